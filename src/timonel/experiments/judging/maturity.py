"""How long labels take, what exposures say whose labels have had their time, and by which arm.

Said once an hour, from the ages of labels, which are kept by the day of the exposure.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from timonel.experiments.counting.sums import APART, DAY, PairSums, day_of, stretch_of
from timonel.experiments.design import CONTROL, Design
from timonel.experiments.judging.evidence import Contribution, contribution, maturity
from timonel.experiments.judging.stored import Age, AgedGoal, Maturity, Sums
from timonel.stats.moments import PER_UNIT
from timonel.stats.sequential import asymptotic_cs


def stratum_of(design: Design, exposure: int) -> int:
    """Give the time that units which were first exposed then are compared within."""
    return stretch_of(exposure, design.block_s) if design.unit == "block" else exposure


def maturity_of(sums: Sums, design: Design, until: int, before: Maturity) -> Maturity:
    """Say how long labels take, what mature exposures say, and whether delays differ by arm.

    Parameters
    ----------
    until : int
        The hour up to which everything has been counted.
    before : Maturity
        What was said last: mature exposures change with the day, so their effect is kept until
        there is another day, or labels take another time.
    """
    ages = sums.ages(design.metric)
    by_class: dict[str, dict[int, dict[int, int]]] = {}
    for age, exposure, _, _, metric, n in ages:
        days = by_class.setdefault(metric.partition(APART)[0], {})
        of_day = days.setdefault(exposure, {})
        of_day[age] = of_day.get(age, 0) + n
    known = [maturity(days, until) for days in by_class.values()]
    found = Maturity(hour=until, delay_e=_delays(design, ages), youngest={})
    if not known or None in known:
        return found
    found.after_h = after = max(age for age in known if age is not None)
    found.newest = day_of(until - DAY - after)
    found.immature = sum(n for _, exposure, *_, n in ages if exposure > found.newest)
    found.youngest = _youngest(ages, found.newest)
    if (before.after_h, before.newest) == (after, found.newest):
        found.effect = before.effect
    else:
        goals = sums.aged_goals(design.metric, newest=found.newest, oldest=after)
        found.effect = _mature_effects(design, goals)
    return found


def _youngest(ages: Iterable[Age], newest: int) -> dict[str, int]:
    """Give each arm's newest day of exposure that is mature and has a label."""
    labels: dict[tuple[str, int], int] = defaultdict(int)
    for _, exposure, _, arm, _, n in ages:
        if exposure <= newest:
            labels[arm, exposure] += n  # a label that was corrected is taken back elsewhere
    found: dict[str, int] = {}
    for (arm, exposure), n in labels.items():
        if n > 0:
            found[arm] = max(exposure, found.get(arm, exposure))
    return found


def _mature_effects(design: Design, goals: Iterable[AgedGoal]) -> dict[str, Contribution]:
    days: dict[tuple[int, int], dict[str, PairSums]] = defaultdict(dict)
    for one in goals:
        arms = days[one.phase, stratum_of(design, one.exposure)]
        arms[one.arm] = arms.get(one.arm, PairSums()) + one.sums
    effects: dict[str, Contribution] = {}
    for arms in days.values():
        control = arms.get(design.names[CONTROL])
        for arm in design.names[1:]:
            if control is not None and arm in arms:
                before = effects.get(arm, Contribution())
                effects[arm] = before + contribution(control, arms[arm])
    return effects


def _delays(design: Design, ages: Sequence[Age]) -> float:
    """Weigh the evidence that labels of one class take longer in one arm than in the control.

    Right and wrong answers apart: where wrong ones are labelled sooner in both arms alike, the
    better arm's labels come later, and nothing is the matter.
    """
    if design.unit == "block":
        return 1.0  # labels of one block come together: one by one they say nothing of the arms
    strata: dict[tuple[str, int, int], dict[str, list[int]]] = defaultdict(dict)
    for age, exposure, phase, arm, metric, n in ages:
        sums = strata[metric, phase, exposure].setdefault(arm, [0, 0, 0])
        sums[0] += n
        sums[1] += n * age
        sums[2] += n * age * age
    most = 1.0
    for arm in design.names[1:]:
        total = Contribution()
        for arms in strata.values():
            if design.names[CONTROL] in arms and arm in arms:
                total += contribution(_steps(arms[design.names[CONTROL]]), _steps(arms[arm]))
        found = total.information
        if found.effect is not None and found.se is not None:
            most = max(most, asymptotic_cs(found.effect, found.se, found.n).e_value)
    return min(most, 1e300)


def _steps(sums: list[int]) -> PairSums:
    n, hours, squares = sums
    return PairSums(n, hours * PER_UNIT, squares * PER_UNIT**2)
