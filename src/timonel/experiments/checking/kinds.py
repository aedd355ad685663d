"""What is asked of designs of two rankings, and of bandits."""

from timonel.errors import Phrase
from timonel.experiments.checking.refusals import refusal
from timonel.experiments.design import (
    OF_ANSWERS,
    Answers,
    Design,
    Mode,
    Strategy,
    parts_of,
)

_MOST_ARMS = 10
_LONGEST_WINDOW_S = 7 * 86_400


def check_interleave(design: Design) -> None:
    """Refuse what two rankings in one list cannot honour."""
    if design.mode is not Mode.INTERLEAVE:
        return
    none = Phrase("none in mode interleave", "nada en modo interleave")
    two = Phrase("two rankings", "dos órdenes")
    days = Phrase(
        "none: pairs are decided whenever they say enough",
        "ninguno: los pares se deciden en cuanto dicen lo suficiente",
    )
    namespace = None if design.namespace is None else design.namespace.name
    ours = [arm.name for arm in design.arms if arm.answers is not Answers.EXTERNAL]
    external = Phrase("external", "external")
    for field, found, wrong, expected in (
        ("arms", ", ".join(ours), bool(ours), external),
        ("metric", design.metric, design.metric != "clicks", Phrase("clicks", "clicks")),
        ("unit", design.unit, design.unit != "unit", Phrase("unit", "unit")),
        ("guardrails", "+", bool(design.guardrails), none),
        ("holdout", str(design.holdout), design.holdout != 0.0, none),
        ("arms", ", ".join(design.names), len(design.names) != 2, two),
        ("strategy", str(design.strategy), design.strategy is not Strategy.WEIGHT_BASED, none),
        ("only", "+", bool(design.targeting), none),
        ("namespace", namespace, namespace is not None, none),
        ("margin", str(design.margin), design.margin != 0.0, none),
        ("planned_n", str(design.planned_n), design.planned_n is not None, none),
        ("days", str(design.ends_after_s), design.ends_after_s is not None, days),
        (
            "lower_is_better",
            "true",
            not design.higher_is_better,
            Phrase("more clicks to be better", "que más clics sean mejor"),
        ),
        (
            "window",
            f"{design.window_s} s",
            not 1 <= design.window_s <= _LONGEST_WINDOW_S,
            Phrase("a second to a week", "de un segundo a una semana"),
        ),
    ):
        if wrong:
            raise refusal(design, field, str(found), expected)


def check_bandit(design: Design) -> None:
    """Refuse what a bandit cannot honour, and its settings without one."""
    if design.strategy is not Strategy.THOMPSON:
        only = Phrase("the strategy THOMPSON", "la estrategia THOMPSON")
        for field, value in (("floor", design.floor), ("batch", design.batch_s)):
            if value:
                raise refusal(design, field, str(value), only)
        return
    n, none = len(design.arms), Phrase("none with THOMPSON", "nada con THOMPSON")
    outside = Phrase("outside: units come one by one", "outside: las unidades llegan una a una")
    goal = Phrase("one value of a unit", "un solo valor por unidad")
    for field, found, wrong, expected in (
        ("mode", str(design.mode), design.mode is not Mode.OUTSIDE, outside),
        ("units", "+", design.listed is not None, outside),
        ("arms", str(n), n > _MOST_ARMS, "2-10"),
        ("share", str(design.weights), max(design.weights) - min(design.weights) > 1e-9, none),
        ("floor", str(design.floor), not 0.01 <= design.floor <= 0.5 / n, f"0.01-{0.5 / n:g}"),
        ("batch", f"{design.batch_s} s", design.batch_s < 3600, ">= 3600 s"),
        ("metric", design.metric, design.adjusts or len(parts_of(design.metric)) > 1, goal),
        ("metric", design.metric, design.metric in OF_ANSWERS, goal),
        ("also", ", ".join(design.secondary), bool(design.secondary), none),
        ("guardrails", "+", bool(design.guardrails), none),
        ("margin", str(design.margin), design.margin != 0.0, none),
        ("planned_n", str(design.planned_n), design.planned_n is not None, none),
        ("days", str(design.ends_after_s), design.ends_after_s is not None, none),
    ):
        if wrong:
            raise refusal(design, field, str(found), expected)
