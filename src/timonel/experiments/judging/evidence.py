"""What the sums of an experiment say at one moment: pure, from counts to comparisons.

Contributions of strata are rounded once to a fixed step and added as integers, so a look gives the
same bits however its cells were closed and in whatever order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from math import sqrt

import msgspec

from timonel.experiments.counting.sums import DAY, FINE_H, PairSums
from timonel.stats.moments import (
    PER_UNIT,
    BivariateMoments,
    Moments,
    adjusted,
    quantise,
    theta_of,
)
from timonel.stats.sequential import Information, stratum

_STEP = 10**12
ArmSums = Mapping[str, PairSums]


class Contribution(msgspec.Struct, frozen=True):
    """What strata add to a comparison, in steps of 1e-12."""

    score: int = 0
    variance: int = 0
    weight: int = 0

    def __add__(self, other: "Contribution") -> "Contribution":
        return Contribution(
            self.score + other.score, self.variance + other.variance, self.weight + other.weight
        )

    @property
    def information(self) -> Information:
        """The comparison they make."""
        return Information(self.score / _STEP, self.variance / _STEP, self.weight / _STEP)


@dataclass(slots=True)
class Counted:
    """One arm's own numbers, over everything that was counted.

    Parameters
    ----------
    units : int
        Distinct units at their first exposure, or requests where each is a unit.
    values : dict of str to PairSums
        By metric.
    """

    units: int = 0
    values: dict[str, PairSums] = field(default_factory=dict)

    def add(self, metric: str, sums: PairSums) -> None:
        """Add sums of a metric."""
        self.values[metric] = self.values.get(metric, PairSums()) + sums

    def sums(self, metric: str) -> PairSums:
        """Give the sums of a metric."""
        return self.values.get(metric, PairSums())


class Paired(msgspec.Struct):
    """Pairs of answers in one loss: the differences, and the loss of the answer that was heard.

    Parameters
    ----------
    difference, periods, each : PairSums
        Treatment less control by unit, by stretch of time, and one by one.
    heard : PairSums
        One by one.
    """

    difference: PairSums = PairSums()
    periods: PairSums = PairSums()
    each: PairSums = PairSums()
    heard: PairSums = PairSums()


@dataclass(slots=True)
class Evidence:
    """Everything that a look judges.

    Parameters
    ----------
    at : int
        Microseconds of the event clock.
    weights : dict of int to tuple of float
        Shares asked for, by phase.
    arms : dict of str to Counted
    first : dict of int to dict of str to int
        Units at their first exposure of all, by phase and arm.
    goal, mature : dict of str to Contribution
        Each treatment against the control: by all labels that arrived, and by mature exposures.
    mature_after_h : int or None
        None: it is not known how long labels take.
    immature : int
        Units too young to count as mature.
    bad : dict of str to dict of int to dict of str to int
        Units with a bad event, by event, phase and arm.
    leaks : int
        Units seen in two arms of one phase.
    delay_e : float
        Evidence that labels of one class come later in one arm.
    pairs : dict of str to int
        Of shadow answers: right were "treatment" alone, "control" alone, or "tied".
    difference : PairSums
        Of shadow answers: treatment less control.
    periods, each : PairSums
        The same differences by stretch of time, and one by one, where pairs are clustered by it.
    paired : dict of str to Paired
        Of every loss, the goal first, where there are several; by exposures whose labels have had
        their time.
    elapsed_us : int
        Since the start.
    batches : dict of int to dict of str to tuple of int
        Of a bandit, by phase and arm: units, units with a value, and their sums q and q2.
    running : int or None
        The phase whose batch has not ended.
    metrics : dict of str to dict of str to Contribution
        Each treatment against the control in every metric of units, the goal first; empty where
        answers are ours and no metric is guarded.
    parts : dict of str to dict of str to Contribution
        Of the goal in parts of a list, by the name of their cells.
    recorded : dict of str to dict of int to dict of str to int
        Units with a value of a guarded metric, by metric, phase and arm; where answers are ours.
    youngest : dict of str to int, or None
        By arm: the newest day of exposure (its first hour) that is mature and has a label; None
        where that is not asked for, as in evidence from before it was.
    """

    at: int
    weights: dict[int, tuple[float, ...]] = field(default_factory=dict)
    arms: dict[str, Counted] = field(default_factory=dict)
    first: dict[int, dict[str, int]] = field(default_factory=dict)
    goal: dict[str, Contribution] = field(default_factory=dict)
    mature: dict[str, Contribution] = field(default_factory=dict)
    mature_after_h: int | None = None
    immature: int = 0
    bad: dict[str, dict[int, dict[str, int]]] = field(default_factory=dict)
    leaks: int = 0
    delay_e: float = 1.0
    pairs: dict[str, int] = field(default_factory=dict)
    difference: PairSums = field(default_factory=PairSums)
    elapsed_us: int = 0
    batches: dict[int, dict[str, tuple[int, int, int, int]]] = field(default_factory=dict)
    running: int | None = None
    metrics: dict[str, dict[str, Contribution]] = field(default_factory=dict)
    parts: dict[str, dict[str, Contribution]] = field(default_factory=dict)
    periods: PairSums = field(default_factory=PairSums)
    each: PairSums = field(default_factory=PairSums)
    paired: dict[str, Paired] = field(default_factory=dict)
    recorded: dict[str, dict[int, dict[str, int]]] = field(default_factory=dict)
    youngest: dict[str, int] | None = None


_decoder = msgspec.json.Decoder(Evidence)


def encode_evidence(evidence: Evidence) -> str:
    """Give what a look was fed as JSON text, to judge it again: exact, and in order of counting."""
    return msgspec.json.encode(evidence).decode()


def decode_evidence(text: str) -> Evidence:
    """Read it back; raises ``msgspec.DecodeError`` (or its ``ValidationError``) on another form."""
    return _decoder.decode(text)


def contribution(control: PairSums, treatment: PairSums) -> Contribution:
    """Compare two arms in one stratum of single values."""
    a, b = control.alone.moments(), treatment.alone.moments()
    if a is None or b is None:
        return Contribution()
    return _rounded(stratum(a, b))


def ratio_contributions(
    strata: Iterable[tuple[PairSums, PairSums]], x_per_unit: int = 1
) -> list[Contribution]:
    """Compare two arms by a ratio of sums a unit (hits over tries), within each stratum.

    Parameters
    ----------
    strata : iterable of (control, treatment)
        Pairs (q, x) of units: q the sum of a unit's values, x their number.
    x_per_unit : int
        Steps of x: 1 where it is a number of values.

    Returns
    -------
    list of Contribution
        One a stratum.

    Notes
    -----
    Linearised about the pooled ratio R: a unit's value is ``(q - R x) / mean x``, whose variance
    is the delta method's. Source: A. Deng, U. Knoblich, J. Lu, KDD 2018, section 2.
    """
    each = list(strata)
    pooled = sum((a + b for a, b in each), PairSums())
    whole = pooled.moments(x_per_unit=x_per_unit)
    if whole is None or whole.mean_x <= 0.0:
        return [Contribution() for _ in each]
    ratio, found = whole.mean_y / whole.mean_x, []
    for control, treatment in each:
        a = _linear(control.moments(x_per_unit=x_per_unit), ratio, whole.mean_x)
        b = _linear(treatment.moments(x_per_unit=x_per_unit), ratio, whole.mean_x)
        found.append(Contribution() if a is None or b is None else _rounded(stratum(a, b)))
    return found


def adjusted_contributions(
    strata: Iterable[tuple[PairSums, PairSums]],
) -> list[Contribution]:
    """Compare two arms by values less what was known of their units before, in each stratum.

    Parameters
    ----------
    strata : iterable of (control, treatment)
        Pairs (q, x) of units: q the value, x the covariate, both in steps.

    Notes
    -----
    ``y - theta x``, theta from within-arm moments pooled: see ``timonel.stats.compare.cuped``.
    """
    each = [(covaried(control), covaried(treatment)) for control, treatment in strata]
    known = [(a, b) for a, b in each if a is not None and b is not None]
    theta = theta_of(arm for pair in known for arm in pair)
    return [
        Contribution()
        if a is None or b is None
        else _rounded(stratum(adjusted(a, theta), adjusted(b, theta)))
        for a, b in each
    ]


def join_phases(
    of_phase: Mapping[int, Contribution], shares: Mapping[int, float] | None
) -> Contribution:
    """Add up phases in which the same units came again: a unit that stayed says little new.

    Parameters
    ----------
    of_phase : mapping of phase to Contribution
    shares : mapping of phase to float, or None
        The treatment's share of the two arms, where a share that grows moves no unit back; None:
        nothing is known of who moved.

    Notes
    -----
    A phase's score is ``S_p = sum A_ip c_ip`` over units, A whether the unit is treated and c its
    centred value. As ranges are nested, ``cov(A_ip, A_iq) = pi_p (1 - pi_q)`` for ``pi_p <= pi_q``,
    and by Cauchy and Schwarz ``cov(S_p, S_q) <= rho_pq sqrt(V_p V_q)`` with ``rho_pq`` the
    correlation of A: the greatest it can be, reached where a unit's value never changes. Without
    shares ``rho`` is 1.
    """
    total = sum(of_phase.values(), Contribution())
    shared = 0.0
    for p, q in combinations(sorted(of_phase), 2):
        both = sqrt(of_phase[p].variance) * sqrt(of_phase[q].variance)
        shared += 2.0 * both * (1.0 if shares is None else _stayed(shares[p], shares[q]))
    return Contribution(total.score, total.variance + round(shared), total.weight)


def _stayed(one: float, other: float) -> float:
    """Correlate who is treated at two shares of nested ranges."""
    low, high = sorted((one, other))
    return sqrt(low * (1.0 - high) / ((1.0 - low) * high)) if 0.0 < low <= high < 1.0 else 0.0


def covaried(sums: PairSums) -> BivariateMoments | None:
    """Give the moments of values and covariates; None where there are none."""
    return sums.moments(x_per_unit=PER_UNIT)


def _linear(m: BivariateMoments | None, ratio: float, mean_x: float) -> Moments | None:
    if m is None:
        return None
    mean = (m.mean_y - ratio * m.mean_x) / mean_x
    m2 = (m.m2_y - 2.0 * ratio * m.c_yx + ratio * ratio * m.m2_x) / (mean_x * mean_x)
    return Moments(m.n, mean, max(0.0, m2))


def _rounded(found: Information) -> Contribution:
    return Contribution(
        quantise(found.score, _STEP), quantise(found.variance, _STEP), quantise(found.weight, _STEP)
    )


Ages = Mapping[int, Mapping[int, int]]


def maturity(ages: Ages, until: int, *, share: float = 0.95) -> int | None:
    """Say at what age this share of the labels has arrived, though younger exposures lack theirs.

    Parameters
    ----------
    ages : mapping of exposure day (its first hour) to mapping of age (hours) to count
    until : int
        The hour up to which everything has been counted.
    share : float

    Returns
    -------
    int or None
        Hours; None until three successive days find ages within a tenth of each other.

    Notes
    -----
    The right-truncation product limit: ``r(a) = labels of delay a / labels of delay <= a, from
    exposures of age >= a``, ``F(a) = prod over u > a of (1 - r(u))``. Source: S. W. Lagakos,
    L. M. Barraj, V. De Gruttola, 1988, Biometrika 75, 515-523.
    """
    found = [_age_of_share(ages, until - back * DAY, share) for back in range(3)]
    known = [one for one in found if one is not None]
    if len(known) < 3 or max(known) - min(known) > max(1.0, 0.1 * max(known)):
        return None
    return known[0]


def _age_of_share(ages: Ages, until: int, share: float) -> int | None:
    counts = {
        day: {age: n for age, n in labels.items() if n > 0 and day + age <= until}
        for day, labels in ages.items()
    }
    below = 1.0
    for age in sorted({a for labels in counts.values() for a in labels}, reverse=True):
        # the youngest exposure of a day is a day younger than its first hour
        old = [labels for day, labels in counts.items() if until - day - DAY >= last_hour(age)]
        within = sum(n for labels in old for a, n in labels.items() if a <= age)
        if not within:
            continue
        below *= 1.0 - sum(labels.get(age, 0) for labels in old) / within
        if below < share:
            return last_hour(age)
    return None


def last_hour(age: int) -> int:
    """Give the last hour that an age stands for: from two days on it is that of a whole day."""
    return age if age < FINE_H else age + DAY - 1
