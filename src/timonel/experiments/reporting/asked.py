"""Who takes part in an experiment and in what shares, as its design asks for it."""

from timonel.errors import Phrase, figure, joined
from timonel.experiments.design import Design, condition_text


def participation(design: Design) -> list[tuple[str, Phrase]]:
    """Give what limits who takes part, or lets shares grow, as a key of ``phrases`` and its text.

    Texts hold what people wrote (names, values), so a page of markup has to escape them.
    """
    rows: list[tuple[str, Phrase]] = []
    if design.targeting:
        rows.append(("only", joined([condition_text(one) for one in design.targeting], ", ")))
    part = design.namespace
    if part is not None:
        rows.append(("namespace", joined([f"{part.name} {part.low:g}-{part.high:g}"])))
    if design.holdout:
        share = figure(design.holdout * 100, ".3g")
        rows.append(("holdout", Phrase("{share} % by rules", "{share} % por reglas", share=share)))
    if design.steps:
        each = [
            Phrase(
                "{share} % ({hours} h, {units})",
                "{share} % ({hours} h, {units})",
                share=figure(step.share * 100, ".3g"),
                hours=figure(step.least_s / 3600, ".3g"),
                units=step.least_exposed,
            )
            for step in design.steps
        ]
        steps = Phrase(
            "{each}: the share, how long at least, and by how many labelled units of the treatment",
            "{each}: la parte, cuánto dura al menos y con cuántas unidades con resultado del "
            "tratamiento",
            each=joined(each, ", "),
        )
        rows.append(("steps", steps))
    return rows
