"""One look at an experiment: from evidence to a verdict, with the rule applied and its numbers."""

from enum import StrEnum
from math import isfinite
from typing import Any

import msgspec

from timonel.experiments.design import Design, Mode

DEFAULT_N_STAR = 5000.0
RAMP_N_STAR = 2000.0
PERIODS_N_STAR = 26.0


class Verdict(StrEnum):
    """What a look comes to."""

    PROMOTE = "PROMOTE"
    ROLL_BACK = "ROLL_BACK"
    CONTINUE = "CONTINUE"
    INCONCLUSIVE_STOP = "INCONCLUSIVE_STOP"
    INVALID = "INVALID"


class Rule(StrEnum):
    """Why; one a sentence of the catalogue."""

    NO_DATA = "no_data"
    TOO_FEW = "too_few"
    TOO_FEW_EVENTS = "too_few_events"
    NOT_YET = "not_yet"
    IMMATURE = "immature"
    IMMATURE_PAIRS = "immature_pairs"
    OUTCOMES_MISSING = "outcomes_missing"
    MATURE_DISAGREES = "mature_disagrees"
    GOAL_BETTER = "goal_better"
    GOAL_NOT_WORSE = "goal_not_worse"
    GOAL_HARM = "goal_harm"
    GUARDRAIL_HARM = "guardrail_harm"
    PAIRS_BETTER = "pairs_better"
    PAIRS_WORSE = "pairs_worse"
    PAIRS_MISSING = "pairs_missing"
    SHARES_DIFFER = "shares_differ"
    UNIT_IN_TWO_ARMS = "unit_in_two_arms"
    DELAYS_DIFFER = "delays_differ"
    TIME_IS_UP = "time_is_up"
    TOO_FEW_BLOCKS = "too_few_blocks"
    BANDIT_FOLLOWS = "bandit_follows"
    BANDIT_HOLDS = "bandit_holds"
    NO_COMPARISON = "no_comparison"
    RANKING_BETTER = "ranking_better"
    RANKING_WORSE = "ranking_worse"
    LOSS_SMALLER = "loss_smaller"
    LOSS_LARGER = "loss_larger"
    TOO_FEW_PERIODS = "too_few_periods"
    NOTHING_TO_COMPARE = "nothing_to_compare"


class ArmReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of one arm; None is "cannot say"."""

    arm: str
    units: int
    answers: int
    labelled: int
    mean: float | None = None
    lower: float | None = None
    upper: float | None = None
    fallback_rate: float | None = None
    mean_latency_ms: float | None = None
    mean_confidence: float | None = None
    classes: dict[str, dict[str, float | None]] = {}
    # hours since the newest day of exposure ended whose labels have had their time and of which
    # there are some; unset: not asked for, as in looks from before it was
    mature_label_age_h: int | msgspec.UnsetType | None = msgspec.UNSET


class GoalReport(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison of one arm with the control."""

    arm: str
    metric: str
    effect: float | None = None
    lower: float | None = None
    upper: float | None = None
    e_value: float = 1.0
    p_value: float = 1.0  # the smallest of all looks so far
    harm_e: float = 1.0
    information: float = 0.0
    mature_effect: float | None = None
    chance_to_win: float | None = None  # not a stopping rule


class Unsaid(StrEnum):
    """Why a metric has no effect; one a sentence of the catalogue."""

    NOT_RECORDED = "not_recorded"  # of no unit
    ARM_EMPTY = "arm_empty"
    NO_SPREAD = "no_spread"  # all values are the same
    NO_CAP = "no_cap"  # too few values of the control to fix it
    CAP_PENDING = "cap_pending"  # not all units are counted under it
    NO_PAIR = "no_pair"  # none whose truths have had their time
    FEW_PERIODS = "few_periods"  # or few units: not known how they spread


class MetricReport(msgspec.Struct, frozen=True, kw_only=True):
    """One arm against the control in one metric of units; None is unknown, and has a reason.

    Parameters
    ----------
    n_control, n_treatment : int
        Units with a value.
    control, treatment : float or None
        Means.
    lower, upper : float or None
        Of the effect, at this metric's own alpha, for all looks.
    p_value : float or None
        The smallest of all looks so far.
    adjusted_p : float or None
        By Holm, together with all other metrics and arms: to be held against alpha. Guardrails have
        none: they are weighed as such.
    """

    metric: str
    role: str  # goal, secondary, guardrail
    arm: str
    n_control: int
    n_treatment: int
    control: float | None = None
    treatment: float | None = None
    effect: float | None = None
    lower: float | None = None
    upper: float | None = None
    e_value: float | None = None
    p_value: float | None = None
    adjusted_p: float | None = None
    reason: Unsaid | None = None


class PartReport(MetricReport, frozen=True, kw_only=True):
    """The goal in one part of a list, by what was known of its units before.

    Parameters
    ----------
    part : int
        From 1, by rising covariate.
    above, up_to : float or None
        Of the covariate; None: without a bound.
    """

    part: int
    above: float | None = None
    up_to: float | None = None


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of requests whose shadow is asked after the answer; each is in one of these.

    Parameters
    ----------
    answered, late, invalid, failed : int
        Those of which it is known.
    dropped : int
        Not asked, without looking at them: too many were being asked, or that host cannot ask.
    missing : int
        Asked, and nothing is known of it: it is still on its way, or its worker died meanwhile.
    """

    answered: int
    late: int
    invalid: int
    failed: int
    dropped: int
    missing: int

    @property
    def asked(self) -> int:
        """Requests whose shadow was asked."""
        return self.answered + self.late + self.invalid + self.failed + self.missing

    @property
    def paired(self) -> float:
        """The share of all requests that there are two answers to."""
        return self.answered / (self.asked + self.dropped)

    @property
    def unanswered(self) -> float:
        """The share of what it was asked that it did not answer."""
        return 1.0 - self.answered / self.asked if self.asked else 0.0


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen, by which rule it was judged, and what came of it."""

    at: int
    verdict: Verdict
    rule: Rule
    arm: str = ""  # the treatment that the verdict is about
    alpha: float
    engine: str
    goals: list[GoalReport] = []
    arms: list[ArmReport] = []
    guardrails: dict[str, float] = {}  # e-value each
    ramp_e: float | None = None
    srm_e: float = 1.0
    srm_p: float | None = None
    delay_e: float = 1.0
    leaks: int = 0
    mature_after_h: int | None = None
    immature: int = 0
    pairs: dict[str, int] = {}
    expected_days: float | None = None
    facts: dict[str, Any] = {}
    # of units that others act on; looks from before they were compared have none, in any bit
    metrics: list[MetricReport] | msgspec.UnsetType = msgspec.UNSET
    parts: list[PartReport] | msgspec.UnsetType = msgspec.UNSET
    # of shadows that are asked after the answer; others have none
    shadow: ShadowReport | msgspec.UnsetType = msgspec.UNSET
    # guarded metrics of which too little was recorded to speak of harm
    unheard_of: list[str] | msgspec.UnsetType = msgspec.UNSET

    @property
    def silent(self) -> list[str]:
        """What is to be guarded, and was recorded of too few units to speak of harm."""
        return [] if self.unheard_of is msgspec.UNSET else self.unheard_of

    @property
    def compared(self) -> list[MetricReport]:
        """Every metric that units are compared in, the goal first."""
        return [] if self.metrics is msgspec.UNSET else self.metrics

    @property
    def by_part(self) -> list[PartReport]:
        """The goal in each part of a list, where it has parts."""
        return [] if self.parts is msgspec.UNSET else self.parts

    @property
    def asked_later(self) -> ShadowReport | None:
        """What came of asking a shadow after the answers; None where that is not done."""
        return None if self.shadow is msgspec.UNSET else self.shadow

    @property
    def goal(self) -> GoalReport | None:
        """The comparison that the verdict is about, else the first."""
        chosen = [goal for goal in self.goals if goal.arm == self.arm] or self.goals
        return chosen[0] if chosen else None

    def encode(self) -> str:
        """Give the canonical JSON text: the same look, the same bits."""
        return msgspec.json.encode(self, order="deterministic").decode()


_decoder = msgspec.json.Decoder(Look)


def decode_look(text: str) -> Look:
    """Read a look back."""
    return _decoder.decode(text)


def finite(value: float | None) -> float | None:
    """Give a number that JSON can hold; a bound at infinity is none."""
    return value if value is not None and isfinite(value) else None


def smallest_p(goal: str, arm: str, now: float, before: Look | None) -> float:
    """Keep the smallest p-value of all looks."""
    if before is None:
        return now
    for one in before.goals:
        if one.arm == arm and one.metric == goal:
            return min(now, one.p_value)
    return now


def direction(design: Design) -> float:
    """Give 1 where more of the metric is better, else -1."""
    return 1.0 if design.higher_is_better else -1.0


def alpha_each(design: Design) -> float:
    """Give each treatment its part of alpha."""
    return design.alpha / (len(design.arms) - 1)


def n_star(design: Design) -> float:
    """Give the information at which a design's sequence is narrowest."""
    if design.mode is Mode.RAMP:
        return RAMP_N_STAR
    usual = PERIODS_N_STAR if design.period_s else DEFAULT_N_STAR
    return design.planned_n / 4.0 if design.planned_n else usual
