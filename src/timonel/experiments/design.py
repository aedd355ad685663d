"""What an experiment compares, as it was declared: read by serving, drain and analysis alike.

Lean: predict workers import it. A design never changes once it runs; what changes with time (its
state, the shares in force) stands beside it.
"""

from enum import StrEnum
from math import ceil
from typing import Any

import msgspec

from timonel.wire.answer import Label

FORMAT = 1
CONTROL = 0
HOLDOUT = "holdout"
FALLBACK, SLOW, ERROR = EVENTS = ("fallback", "slow", "error")  # of one answer of ours
UNPLACED = "unplaced"  # answered by the hash, since the turn could not be asked for in time
DAY_S = 86_400
COMPLETE = 0.95  # of some units: so many outcomes make them whole
OF_ANSWERS = ("correct", "absolute_error", "squared_error")
STOCKOUT, COST = "stockout", "cost"
STOCKED = (STOCKOUT, COST)  # of a period whose stock is what was forecast
PAIRED_LOSSES = (*OF_ANSWERS[1:], *STOCKED)
LEAST_BLOCKS = 20  # of time, which is the unit then: of fewer nothing is said
LISTED_PHASE = 1  # the units of a list keep the phase of the start


class Mode(StrEnum):
    """How the arms come to answer."""

    SPLIT = "split"  # each unit is answered by its arm
    RAMP = "ramp"  # a split whose share grows while nothing speaks against it
    SHADOW = "shadow"  # the control answers everything, the treatment answers unheard
    OUTSIDE = "outside"  # someone else acts: we assign, log and analyse
    INTERLEAVE = "interleave"  # two rankings of a request become one list, and clicks choose

    @property
    def elsewhere(self) -> bool:
        """Whether someone else acts, by what we say."""
        return self in (Mode.OUTSIDE, Mode.INTERLEAVE)


class Strategy(StrEnum):
    """How a unit comes to its arm."""

    RANDOM_50_50 = "RANDOM_50_50"
    WEIGHT_BASED = "WEIGHT_BASED"
    ROUND_ROBIN = "ROUND_ROBIN"
    TIME_BASED = "TIME_BASED"
    THOMPSON = "THOMPSON"  # shares follow, batch by batch, each arm's chance of being the best


class Answers(StrEnum):
    """Who answers for an arm."""

    VERSION = "version"
    RULES = "rules"
    EXTERNAL = "external"


class State(StrEnum):
    """Where an experiment is in its life."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"


class Arm(msgspec.Struct, frozen=True):
    """One side of a comparison."""

    name: str
    answers: Answers = Answers.VERSION
    version: str = ""


class Condition(msgspec.Struct, frozen=True):
    """A demand on a request: only rows that meet all of them are in the experiment."""

    feature: str
    op: str  # ==, !=, <, <=, >, >=, in
    value: Any


class Namespace(msgspec.Struct, frozen=True):
    """A part of the units; experiments of one namespace whose parts are disjoint share no unit."""

    name: str
    low: float = 0.0
    high: float = 1.0


class Guardrail(msgspec.Struct, frozen=True):
    """A bad event that a treatment may not bring about more often than tolerated, or a metric.

    Events are of one answer (EVENTS), or recorded of a unit as 1 and 0. A metric may not be worse
    by more than the margin.
    """

    event: str  # one of EVENTS, or what is recorded
    tolerated: float = 1.1  # ratio of the rates that is still as good
    threshold_ms: float | None = None  # of "slow": frozen at the start
    higher_is_better: bool | None = None  # of a metric; None: an event
    margin: float = 0.0  # of a metric, in its own unit
    recorded: bool = False  # an event of units, not of answers

    @property
    def of_units(self) -> bool:
        """Whether it is compared by values of units, and not by answers."""
        return self.recorded or self.higher_is_better is not None


class Step(msgspec.Struct, frozen=True):
    """One step of a ramp.

    Parameters
    ----------
    share : float
    least_s : int
        How long it lasts at least.
    least_exposed : int
        How many more units of the treatment, with their labels, it is seen by at least.
    """

    share: float
    least_s: int = 3600
    least_exposed: int = 100


class Cap(msgspec.Struct, frozen=True):
    """Values of the goal above a quantile of the control's count as that.

    Parameters
    ----------
    quantile : float
        In (0, 1).
    steps : int or None
        The cap itself, in steps of 1e-6; None until enough values have come, and all units' values
        are counted under it.
    n : int
        Values of the control that it was fixed by.
    chosen : int or None
        The cap to be, while units are counted under it page by page.
    reached : str
        The last unit that is.
    """

    quantile: float
    steps: int | None = None
    n: int = 0
    chosen: int | None = None
    reached: str = ""

    @property
    def least(self) -> int:
        """Values of the control that are needed: of fewer, none lies above the quantile."""
        return ceil(round(1.0 / (1.0 - self.quantile), 6))


class Costs(msgspec.Struct, frozen=True):
    """What a piece costs, where the stock of a period is what was forecast for it.

    Parameters
    ----------
    holding : float
        One that is left over.
    shortage : float
        One that is short.
    """

    holding: float
    shortage: float


class UnitList(msgspec.Struct, frozen=True, kw_only=True):
    """Units that were all assigned before the start: enough to assign them again from their file.

    Parameters
    ----------
    source : str
        Name of the file.
    sha256 : str
        Of its bytes.
    seed : int
    key : str
        Column of the units' ids.
    block : str
        Column within whose values shares are exact; "" for none.
    counts : tuple of int
        Units an arm.
    covariate : str
        Column of what was known of each unit before; "" for none.
    edges : tuple of int
        Where parts of equal size meet, by the covariate in steps of 1e-6; () for one part.
    """

    source: str
    sha256: str
    seed: int
    key: str
    block: str = ""
    counts: tuple[int, ...]
    covariate: str = ""
    edges: tuple[int, ...] = ()


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was decided before the first unit came.

    Parameters
    ----------
    arms : tuple of Arm
        The control first.
    weights : tuple of float
        Shares at the start, one an arm, summing to 1.
    unit : str
        "unit": whatever ``unit_id`` (else the declared key) of a request names; "request": each
        request for itself; "block": a stretch of time.
    metric : str
        The goal: ``correct``, ``absolute_error``, ``squared_error``, or one recorded by the user.
    higher_is_better : bool
    alpha : float
        Of all looks together.
    margin : float
        How much worse than the control still passes: 0 asks for better, more for not worse.
    planned_n : int or None
        Units in all; the sequence is tuned at a quarter of them.
    ends_after_s : int or None
        With a horizon the engine is group-sequential; None: a confidence sequence.
    listed : UnitList or None
        Units assigned as one list; None: each when it is first seen.
    horizon_days : int
        Days from the start on which outcomes are known, and none is before; 0 for none.
    cap : Cap or None
        Of the goal, where someone else acts.
    floor : float
        With THOMPSON: the share that every arm keeps.
    batch_s : int
        With THOMPSON: how long shares stay at least.
    period_s : int
        In mode shadow: answers of one stretch of time share its weather, so pairs are clustered by
        it as well as by unit; whole days. 0: nothing but the unit is shared.
    costs : Costs or None
        Of pairs of forecasts that are compared in ``cost``.
    window_s : int
        How long after the hour of a unit's first list its clicks count, in mode interleave.
    hypothesis : str
        What is expected and why, in the words of who made it.
    """

    format: int = FORMAT
    name: str
    model: str
    mode: Mode = Mode.SPLIT
    strategy: Strategy = Strategy.WEIGHT_BASED
    hash: str = "blake2b"
    salt: str
    arms: tuple[Arm, ...]
    weights: tuple[float, ...]
    unit: str = "unit"
    block_s: int = 3600
    holdout: float = 0.0
    holdout_answers: Answers = Answers.RULES
    namespace: Namespace | None = None
    targeting: tuple[Condition, ...] = ()
    metric: str = "correct"
    higher_is_better: bool = True
    secondary: tuple[str, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    alpha: float = 0.05
    margin: float = 0.0
    planned_n: int | None = None
    ends_after_s: int | None = None
    steps: tuple[Step, ...] = ()
    depends_on_action: bool = True
    classes: tuple[Label, ...] = ()
    task: str = ""  # of the model; "": a design from before it was kept
    template: str = ""
    listed: UnitList | None = None
    window_s: int = 1800
    floor: float = 0.0
    batch_s: int = 0
    hypothesis: str = ""
    cap: Cap | None = None
    horizon_days: int = 0
    period_s: int = 0
    costs: Costs | None = None

    def encode(self) -> str:
        """Give the canonical JSON text: the same design, the same text."""
        return msgspec.json.encode(self, order="deterministic").decode()

    @property
    def assignment(self) -> str:
        """Say in words for the documents who keeps an arm."""
        if self.mode is Mode.SHADOW:
            return "everyone gets the control"
        if self.unit == "block":
            return "by block of time"
        return "sticky by unit" if self.unit == "unit" else "request-level, not sticky"

    @property
    def first_weights(self) -> tuple[float, ...]:
        """Shares as it starts: a ramp's first step; of a shadow the control answers all."""
        if self.mode is Mode.RAMP:
            return (1.0 - self.steps[0].share, self.steps[0].share)
        return (1.0, 0.0) if self.mode is Mode.SHADOW else self.weights

    @property
    def needs_list(self) -> bool:
        """Whether its units have to be assigned as one list, before it starts."""
        paired = self.mode is Mode.SHADOW  # by what both forecast, and no unit is switched
        return bool(self.horizon_days or (self.template and not paired))

    @property
    def adjusts(self) -> bool:
        """Whether the goal is capped, or held against what was known before."""
        return self.cap is not None or (self.listed is not None and bool(self.listed.covariate))

    @property
    def cap_needs(self) -> int:
        """Values of the control that fix the cap: of a list nearly all, since files have orders."""
        if self.cap is None:
            return 0
        whole = 0 if self.listed is None else ceil(COMPLETE * self.listed.counts[CONTROL])
        return max(self.cap.least, whole)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that units are compared in, the goal first."""
        guarded = [one.event for one in self.guardrails if one.of_units]
        return tuple(dict.fromkeys((self.metric, *self.secondary, *guarded)))

    @property
    def paired(self) -> tuple[str, ...]:
        """Every loss that two answers to the same requests are compared in, the goal first."""
        return (self.metric, *self.secondary) if self.mode is Mode.SHADOW else ()

    @property
    def guarded(self) -> tuple[str, ...]:
        """What is recorded of units that our answers expose: guardrails alone."""
        if self.mode is Mode.OUTSIDE:
            return ()
        names = [one.event for one in self.guardrails if one.of_units]
        return tuple(name for name in names if name not in OF_ANSWERS)

    @property
    def recorded(self) -> tuple[str, ...]:
        """What has to be recorded of units to know all metrics: of a ratio, both of its parts."""
        if self.mode is not Mode.OUTSIDE:
            return self.guarded
        return tuple(dict.fromkeys(part for metric in self.metrics for part in parts_of(metric)))

    @property
    def names(self) -> tuple[str, ...]:
        """The arms' names, the control first."""
        return tuple(arm.name for arm in self.arms)


_decoder = msgspec.json.Decoder(Design)


def decode_design(text: str | bytes) -> Design:
    """Read a design back; raises ``msgspec.ValidationError`` on another form."""
    return _decoder.decode(text)


def condition_text(condition: Condition) -> str:
    """Write a condition as it is given to ``--only``."""
    return f"{condition.feature} {condition.op} {msgspec.json.encode(condition.value).decode()}"


def parts_of(metric: str) -> tuple[str, ...]:
    """Give what a metric is made of: itself, or the two parts of a ratio ``revenue/orders``."""
    return tuple(metric.split("/"))


def variant_of(experiment: str, arm: str) -> str:
    """Give the text by which predictions name their experiment and arm."""
    return f"{experiment}:{arm}"


def split_variant(variant: str) -> tuple[str, str]:
    """Give experiment and arm of a logged variant; two empty texts outside of experiments."""
    experiment, _, arm = variant.partition(":")
    return (experiment, arm) if arm else ("", "")
