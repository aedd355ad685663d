"""What a design must hold before it may be created: nothing that is set is ever ignored."""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from timonel.errors import Phrase
from timonel.experiments.checking.guardrails import check_guardrails
from timonel.experiments.checking.kinds import check_bandit, check_interleave
from timonel.experiments.checking.outside import check_horizon, check_listed, check_outside
from timonel.experiments.checking.pairs import check_pairs
from timonel.experiments.checking.refusals import refusal
from timonel.experiments.choosing import OPERATORS
from timonel.experiments.design import (
    DAY_S,
    HOLDOUT,
    LEAST_BLOCKS,
    OF_ANSWERS,
    PAIRED_LOSSES,
    UNPLACED,
    Answers,
    Condition,
    Design,
    Mode,
    Strategy,
    condition_text,
)
from timonel.experiments.errors import NotRandomised
from timonel.experiments.templates import check_template

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,38}")
_ARM = re.compile(r"[a-z][a-z0-9_.-]{0,22}")
_TOLERANCE = 1e-9
_LEAST_BLOCK_S = 3600
_COMPARED: Mapping[str, tuple[tuple[type, ...], Phrase]] = {
    "number": ((int, float), Phrase("a number", "un número")),
    "flag": ((bool,), Phrase("true or false", "true o false")),
    "category": ((str,), Phrase("a word", "una palabra")),
    "text": ((str,), Phrase("a text", "un texto")),
}
"""What values a condition on an input of each kind is compared with."""
_LONGEST_HYPOTHESIS = 1000


def check_design(
    design: Design,
    features: Mapping[str, str] = MappingProxyType({}),
    *,
    units_follow: bool = False,
) -> None:
    """Refuse a design that cannot be honoured.

    Parameters
    ----------
    design : Design
    features : mapping of str to str
        Kinds of the model's inputs by name, for targeting; none are needed where someone else acts.
    units_follow : bool
        Whether a list of units that it needs may still come.

    Raises
    ------
    InvalidDesign
        Naming the field, what it holds and what was expected.
    """
    if len(design.hypothesis) > _LONGEST_HYPOTHESIS or "\0" in design.hypothesis:
        expected = Phrase("at most 1000 letters", "a lo más 1000 letras")
        raise refusal(design, "hypothesis", design.hypothesis[:64].replace("\0", "?"), expected)
    for check in (
        _check_names,
        _check_shares,
        _check_strategy,
        _check_numbers,
        _check_mode,
        _check_goal,
        _check_turns,
        check_guardrails,
        check_outside,
        check_interleave,
        check_bandit,
        check_horizon,
        check_pairs,
        check_listed,
        check_template,
    ):
        check(design)
    if design.listed is None and design.needs_list and not units_follow:
        raise refusal(design, "units", "-", Phrase("a file of units", "un archivo de unidades"))
    for condition in design.targeting:
        _check_condition(design, condition, features)


def _check_condition(design: Design, condition: Condition, features: Mapping[str, str]) -> None:
    """Refuse what no row can be asked, or no row can ever meet."""
    if condition.op not in OPERATORS:
        raise refusal(design, "targeting", condition.op, " ".join(OPERATORS))
    if design.mode.elsewhere:
        return  # attributes come with each unit and are nobody's schema
    if condition.feature not in features:
        known = ", ".join(list(features)[:10])
        expected = Phrase("an input: {known}", "una entrada: {known}", known=known)
        raise refusal(design, "targeting", condition.feature, expected)
    values = condition.value
    if condition.op != "in":
        values = [values]
    elif not isinstance(values, list):
        raise refusal(design, "targeting", str(values), Phrase("a list", "una lista"))
    kind = features[condition.feature]
    if kind not in _COMPARED:
        return
    types, expected = _COMPARED[kind]
    for value in values:
        if type(value) not in types:
            raise refusal(design, "targeting", condition_text(condition)[:64], expected)


def may_share_units(mine: Design, theirs: Design) -> bool:
    """Tell whether two running experiments could take the same unit, which each thinks its own.

    Where both name one namespace it decides, whoever acts and on whatever model: that is what it
    is for. Otherwise only answers of one model get into each other's way.
    """
    a, b = mine.namespace, theirs.namespace
    if a is not None and b is not None and a.name == b.name and mine.unit == theirs.unit:
        return a.low < b.high and b.low < a.high
    elsewhere = mine.mode.elsewhere or theirs.mode.elsewhere
    return mine.model == theirs.model and not elsewhere


def _check_names(design: Design) -> None:
    if not _NAME.fullmatch(design.name):
        expected = Phrase(
            "a-z, 0-9, - and _, beginning with a letter, at most 39",
            "a-z, 0-9, - y _, comenzando con una letra, a lo más 39",
        )
        raise refusal(design, "name", design.name[:64], expected)
    names = design.names
    if len(names) < 2 or len(set(names)) < len(names):
        expected = Phrase("two or more arms of different names", "dos o más variantes distintas")
        raise refusal(design, "arms", ", ".join(names), expected)
    for arm in design.arms:
        if not _ARM.fullmatch(arm.name) or arm.name in (HOLDOUT, UNPLACED):
            expected = Phrase("a-z, 0-9, -, . and _, at most 23", "a-z, 0-9, -, . y _, a lo más 23")
            raise refusal(design, "arms", arm.name[:64], expected)
    answered = [(arm.answers, arm.version) for arm in design.arms]
    if not design.mode.elsewhere and len(set(answered)) < len(answered):
        shown = ", ".join(arm.version or arm.answers for arm in design.arms)
        expected = Phrase("a different version for each arm", "una versión distinta por variante")
        raise refusal(design, "arms", shown, expected)


def _shown(weights: tuple[float, ...]) -> str:
    return ", ".join(f"{share:.6g}" for share in weights)


def check_shares(design: Design, weights: tuple[float, ...]) -> None:
    """Refuse shares that are none; raises ``InvalidDesign``."""
    if design.mode is Mode.INTERLEAVE and weights != (0.5, 0.5):
        half = Phrase(
            "half and half: teams pick in turns", "mitad y mitad: los equipos eligen por turnos"
        )
        raise refusal(design, "shares", _shown(weights), half)
    if len(weights) != len(design.arms):
        expected = Phrase("one share an arm", "una parte por variante")
        raise refusal(design, "shares", _shown(weights), expected)
    if not all(math.isfinite(w) and 0.0 <= w <= 1.0 for w in weights):
        expected = Phrase("shares from 0 to 1", "partes de 0 a 1")
        raise refusal(design, "shares", _shown(weights), expected)
    if abs(math.fsum(weights) - 1.0) > _TOLERANCE:
        expected = Phrase("shares that sum to 1", "partes que sumen 1")
        raise refusal(design, "shares", f"{_shown(weights)} = {math.fsum(weights):.6g}", expected)


def _check_shares(design: Design) -> None:
    weights = design.weights
    check_shares(design, weights)
    treatment = 1.0 - weights[0]
    if design.mode in (Mode.SPLIT, Mode.OUTSIDE) and not 0.1 - 1e-9 <= treatment <= 0.9 + 1e-9:
        expected = Phrase(
            "a treatment of 10 to 90 % (a ramp may begin with less)",
            "un tratamiento de 10 a 90 % (una rampa puede comenzar con menos)",
        )
        raise refusal(design, "share", f"{treatment:.0%}", expected)


def _check_strategy(design: Design) -> None:
    if design.strategy is Strategy.RANDOM_50_50 and design.weights != (0.5, 0.5):
        expected = Phrase(
            "half and half: that is RANDOM_50_50", "mitad y mitad: eso es RANDOM_50_50"
        )
        raise refusal(design, "shares", _shown(design.weights), expected)
    by_time = design.strategy is Strategy.TIME_BASED
    if by_time != (design.unit == "block"):
        expected = Phrase(
            "block exactly where the strategy is TIME_BASED",
            "block solo con la estrategia TIME_BASED",
        )
        raise refusal(design, "unit", design.unit, expected)
    if by_time and design.block_s < _LEAST_BLOCK_S:
        expected = Phrase("blocks of an hour or more", "bloques de una hora o más")
        raise refusal(design, "block", f"{design.block_s} s", expected)
    if by_time:
        _check_blocks(design)
    if design.unit not in ("unit", "request", "block"):
        raise refusal(design, "unit", design.unit, "unit, request, block")
    if design.hash not in ("blake2b", "fnv1a"):
        raise refusal(design, "hash", design.hash, "blake2b, fnv1a")


def _check_blocks(design: Design) -> None:
    """Refuse blocks that are not switched, or too few to tell an arm from a time of day."""
    if design.mode is Mode.SHADOW:
        expected = Phrase(
            "no blocks in mode shadow: both answer every request",
            "nada de bloques en modo shadow: ambas responden a cada petición",
        )
        raise refusal(design, "strategy", str(design.strategy), expected)
    if design.ends_after_s is None:
        return
    n = design.ends_after_s // design.block_s
    if n < LEAST_BLOCKS:
        found = Phrase(
            "{n} blocks of {hours} h in {days} days",
            "{n} bloques de {hours} h en {days} días",
            n=n,
            hours=f"{design.block_s / 3600:g}",
            days=f"{design.ends_after_s / DAY_S:g}",
        )
        why = Phrase(
            "so few draws may give one arm the days and the other one the nights",
            "tan pocos sorteos pueden dar a una variante los días y a la otra las noches",
        )
        raise NotRandomised(experiment=design.name[:64], found=found, why=why, least=LEAST_BLOCKS)


def _check_numbers(design: Design) -> None:
    for name, value, ok, expected in (
        ("alpha", design.alpha, 0.0 < design.alpha < 0.5, "(0, 0.5)"),
        ("margin", design.margin, 0.0 <= design.margin < math.inf, ">= 0"),
        ("holdout", design.holdout, 0.0 <= design.holdout <= 0.05, "[0, 0.05]"),
        (
            "planned_n",
            design.planned_n,
            design.planned_n is None or design.planned_n >= 50,
            ">= 50",
        ),
        (
            "days",
            design.ends_after_s,
            design.ends_after_s is None or design.ends_after_s >= 3600,
            Phrase("an hour or more", "una hora o más"),
        ),
    ):
        if not ok:
            raise refusal(design, name, str(value), expected)
    namespace = design.namespace
    if namespace is not None and not _NAME.fullmatch(namespace.name):
        expected = Phrase("a name, and its part: NAME:0-0.5", "un nombre y su parte: NOMBRE:0-0.5")
        raise refusal(design, "namespace", namespace.name[:64] or "-", expected)
    if namespace is not None and not 0.0 <= namespace.low < namespace.high <= 1.0:
        expected = Phrase("a part of 0 to 1: NAME:0-0.5", "una parte de 0 a 1: NOMBRE:0-0.5")
        raise refusal(design, "namespace", f"{namespace.low}-{namespace.high}", expected)


def _check_mode(design: Design) -> None:
    external = [arm.name for arm in design.arms if arm.answers is Answers.EXTERNAL]
    if external and not design.mode.elsewhere:
        expected = Phrase(
            "mode outside for arms that someone else acts for",
            "modo outside para variantes en las que actúa otro",
        )
        raise refusal(design, "arms", ", ".join(external), expected)
    if design.mode in (Mode.SHADOW, Mode.RAMP) and len(design.arms) != 2:
        expected = Phrase("a control and one treatment", "un control y un tratamiento")
        raise refusal(design, "arms", ", ".join(design.names), expected)
    if design.mode is Mode.RAMP:
        shares = [step.share for step in design.steps]
        if not shares or shares != sorted(set(shares)) or not 0.0 < shares[0] <= shares[-1] <= 1.0:
            expected = Phrase("growing shares, at most 1", "partes crecientes, a lo más 1")
            raise refusal(design, "steps", str(shares), expected)
        if design.ends_after_s is not None:
            expected = Phrase(
                "none: a ramp ends at its last step", "ninguno: termina con sus pasos"
            )
            raise refusal(design, "days", str(design.ends_after_s), expected)
    elif design.steps:
        raise refusal(design, "steps", str(len(design.steps)), Phrase("mode ramp", "modo ramp"))
    if design.mode is Mode.SHADOW and design.ends_after_s is not None:
        expected = Phrase(
            "none: pairs are decided whenever they say enough",
            "ninguno: los pares se deciden en cuanto dicen lo suficiente",
        )
        raise refusal(design, "days", str(design.ends_after_s), expected)


def _check_goal(design: Design) -> None:
    """Refuse a goal that no answer of ours is ever measured by: it would wait for good."""
    if design.mode.elsewhere:
        return
    known: tuple[str, ...] = OF_ANSWERS
    if design.task:  # designs from before it was kept have none
        of_numbers = PAIRED_LOSSES if design.mode is Mode.SHADOW else OF_ANSWERS[1:]
        known = ("correct",) if design.task != "regression" else of_numbers
    if design.metric not in known:
        expected = Phrase(
            "{known}, which answers are measured by; what units did is recorded in mode outside",
            "{known}, con que se miden las respuestas; lo que hacen las unidades se registra en "
            "modo outside",
            known=", ".join(known),
        )
        raise refusal(design, "metric", design.metric[:64], expected)


def _check_turns(design: Design) -> None:
    if design.strategy is not Strategy.ROUND_ROBIN:
        return
    if design.mode is not Mode.SPLIT:
        # a unit keeps the arm it is stored with, so a ramp could not reach those already seen
        expected = Phrase(
            "mode split with ROUND_ROBIN: who was seen keeps the stored arm",
            "modo split con ROUND_ROBIN: quien ya fue visto conserva su variante guardada",
        )
        raise refusal(design, "mode", str(design.mode), expected)
    if len(design.arms) != 2:
        expected = Phrase("a control and one treatment", "un control y un tratamiento")
        raise refusal(design, "arms", ", ".join(design.names), expected)
