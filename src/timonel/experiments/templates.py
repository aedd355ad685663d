"""Experiments of an office that come again and again: what they compare, and what they ask for.

A template fills in what a wish leaves open (``timonel.experiments.wishes.filled``).
"""

from dataclasses import dataclass

from timonel.errors import Phrase
from timonel.experiments.design import Design
from timonel.experiments.errors import InvalidDesign


@dataclass(frozen=True, slots=True)
class Template:
    """What an experiment of a kind is.

    Parameters
    ----------
    metric : str
    lower : tuple of str
        Metrics of which less is better, whichever of them is the goal.
    also, guardrails : tuple of str
        As a wish names them.
    cap : float or None
    horizons : tuple of int
        Days after the start, at one of which outcomes are known; () for none. The first is usual.
    covariate, block : Phrase or None
        What the list must have a column of; None: it may have one.
    paired : int
        Seconds of a period, where two versions may also be compared in pairs, unheard; 0: not.
    parts : int
        As many equal parts of the list, by its covariate, are compared each for itself; 0: none.
    """

    metric: str
    lower: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    guardrails: tuple[str, ...] = ()
    cap: float | None = None
    horizons: tuple[int, ...] = ()
    covariate: Phrase | None = None
    block: Phrase | None = None
    paired: int = 0
    parts: int = 0


TEMPLATES: dict[str, Template] = {
    "dynamic-prices": Template(
        metric="revenue",
        guardrails=("churned:lower", "orders_count:higher"),
        cap=0.995,
        covariate=Phrase(
            "the column of what each customer spent before",
            "la columna de lo que cada cliente gastó antes",
        ),
    ),
    "churn-alert": Template(
        metric="churned",
        lower=("churned",),
        horizons=(30, 60, 90),
        covariate=Phrase(
            "the column of each customer's risk", "la columna del riesgo de cada cliente"
        ),
        parts=10,
    ),
    "demand-forecast": Template(
        metric="stockout",
        lower=("stockout", "cost"),
        also=("cost",),
        paired=7 * 86_400,
        block=Phrase(
            "the column of the SKU: each unit is a week of one",
            "la columna del SKU: cada unidad es una semana de uno",
        ),
    ),
}


def check_template(design: Design) -> None:
    """Refuse a design that lacks what its template asks for; raises ``InvalidDesign``."""
    template = TEMPLATES.get(design.template)
    if template is None:
        return
    if template.horizons and design.horizon_days not in template.horizons:
        found, known = str(design.horizon_days), ", ".join(map(str, template.horizons))
        raise _wrong(design.name, "horizon", found, known)
    listed = design.listed
    if listed is None:  # it is still to come, or both answers are known and nothing is switched
        return
    if template.covariate is not None and not listed.covariate:
        raise _wrong(design.name, "covariate", "-", template.covariate)
    if template.block is not None and not listed.block:
        raise _wrong(design.name, "block", "-", template.block)


def _wrong(name: str, field: str, found: str, expected: str) -> InvalidDesign:
    return InvalidDesign(experiment=name[:64], field=field, found=found, expected=expected)
