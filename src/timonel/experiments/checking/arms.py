"""What is asked of the versions that arms name, by what they were published as."""

from timonel.errors import Phrase
from timonel.experiments.checking.refusals import refusal
from timonel.experiments.design import ERROR, Answers, Design, Mode
from timonel.registry.registry import Registry


def check_arms(design: Design, registry: Registry) -> None:
    """Refuse versions that cannot be compared, or not in the way that was asked for.

    Raises
    ------
    InvalidDesign, UnknownModel, UnknownVersion
    """
    champion = registry.champion(design.model)
    for arm in design.arms:
        if arm.answers is not Answers.VERSION:
            continue
        version = registry.get(design.model, arm.version)
        if champion is not None and version.schema_digest != champion.schema_digest:
            found = Phrase(
                "{v}, which takes other inputs", "{v}, que toma otras entradas", v=version.version
            )
            expected = Phrase(
                "a version with the inputs of {v}",
                "una versión con las entradas de {v}",
                v=champion.version,
            )
            raise refusal(design, f"arm {arm.name}", found, expected)
    if design.mode is Mode.SHADOW:
        _check_shadow(design, registry)
    if any(guardrail.event == ERROR for guardrail in design.guardrails):
        _check_always_answered(design, registry)


def _check_shadow(design: Design, registry: Registry) -> None:
    shadow = design.arms[1]
    field = f"arm {shadow.name}"
    if shadow.answers is not Answers.VERSION:
        expected = Phrase("a version: it is asked unheard", "una versión: responde sin voz")
        raise refusal(design, field, str(shadow.answers), expected)
    if registry.manifest(design.model, shadow.version).predictor == "none":
        found = Phrase("a version without a model", "una versión sin modelo")
        expected = Phrase(
            "a version that answers by a model: only its answers can be compared",
            "una versión que responda con un modelo: solo así se puede comparar",
        )
        raise refusal(design, field, found, expected)
    if design.depends_on_action:
        expected = Phrase(
            "split: the outcome depends on which answer was acted on (outcome_depends_on_action)",
            "split: el resultado depende de qué respuesta se siguió (outcome_depends_on_action)",
        )
        raise refusal(design, "mode", "shadow", expected)


def _check_always_answered(design: Design, registry: Registry) -> None:
    """Refuse to count errors where a failing version leaves no answer, and so no arm, to count."""
    for arm in design.arms:
        if arm.answers is not Answers.VERSION:
            continue
        manifest = registry.manifest(design.model, arm.version)
        if manifest.rules is None and manifest.baseline is None:
            found = Phrase(
                "error, while {v} has neither rules nor a baseline: where it fails nobody answers, "
                "and what is not answered is in no arm's count",
                "error, y {v} no tiene reglas ni línea base: donde falla nadie responde, y lo que "
                "no se responde no cuenta en ninguna variante",
                v=arm.version,
            )
            expected = Phrase(
                "versions that rules or a baseline stand in for",
                "versiones que reglas o una línea base puedan suplir",
            )
            raise refusal(design, "guardrails", found, expected)
