"""Reading an experiment's sums: open cells at every look, closed ones once.

A cell closes when its arrival slot has ended by watermark; what it contributes is then final, and
kept in one row. So a look costs the open cells, however much has been counted before.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from timonel.experiments.counting.derived import cell_of, part_cells
from timonel.experiments.counting.sums import (
    BAD,
    DAY,
    DIFFERENCE,
    EACH,
    EXPOSED,
    FIRST,
    HEARD,
    HOUR_US,
    LEAK,
    OPEN,
    PAIR,
    PERIOD,
    CellKey,
    PairSums,
    beside,
    day_of,
)
from timonel.experiments.design import (
    COMPLETE,
    CONTROL,
    LISTED_PHASE,
    Design,
    Mode,
    Strategy,
)
from timonel.experiments.judging.batches import read_batches
from timonel.experiments.judging.evidence import (
    Contribution,
    Counted,
    Evidence,
    Paired,
    adjusted_contributions,
    contribution,
    join_phases,
    ratio_contributions,
)
from timonel.experiments.judging.maturity import maturity_of, stratum_of
from timonel.experiments.judging.preferences import read_preferences
from timonel.experiments.judging.reports import per_unit_of
from timonel.experiments.judging.stored import StoredSums, Sums, Totals
from timonel.stats.moments import PER_UNIT


class _Cell(NamedTuple):
    arrival: int
    span: int
    exposure: int
    phase: int
    arm: str
    metric: str
    sums: PairSums


_USUAL_H = 2  # hours that end between two looks
_PART = 300  # cells that a transaction closes: some 5 ms
Strata = dict[tuple[int, int], dict[str, PairSums]]


def read_evidence(
    connection: Connection,
    project: str,
    design: Design,
    *,
    revised: int,
    at: int,
    until_us: int,
    started_at: int | None,
) -> Evidence:
    """Read what a look judges, and close what has ended; in the look's own transaction.

    Parameters
    ----------
    revised : int
        Of the experiment, read under its lock.
    at : int
        Microseconds of the event clock.
    until_us : int
        Up to which event time everything has been drained.
    started_at : int or None
    """
    if design.mode is Mode.INTERLEAVE:
        return read_preferences(connection, project, design, at=at, started_at=started_at)
    if design.strategy is Strategy.THOMPSON:
        return read_batches(connection, project, design, at=at, started_at=started_at)
    sums = StoredSums(connection, project, design.name, revised)
    return evidence_of(sums, design, at=at, until_us=until_us, started_at=started_at)


def close_part(sums: StoredSums, design: Design, until_us: int) -> bool:
    """Close some of the cells that have ended, in a transaction of its own; say if it did.

    A look closes the hour that has ended since the last one. Where there was none for weeks, or
    what was closed has changed, all of them at once would hold the database for long; parts come to
    the same sums, to the bit.

    Parameters
    ----------
    until_us : int
        Up to which event time everything has been drained.
    """
    if design.mode is Mode.INTERLEAVE or design.strategy is Strategy.THOMPSON:
        return False
    until = until_us // HOUR_US
    totals, closed_until = sums.totals()
    if until - closed_until <= _USUAL_H:
        return False
    hour = sums.part_until(design.metric, closed_until, until, _PART)
    if hour >= until:
        return False  # few enough for the look itself
    _add(totals, design, _flat(sums.ended(design.metric, closed_until, hour)))
    sums.keep(totals, hour)
    return True


def evidence_of(
    sums: Sums, design: Design, *, at: int, until_us: int, started_at: int | None
) -> Evidence:
    """Say what sums come to, wherever they are kept; see ``read_evidence``."""
    until = min(until_us, at) // HOUR_US
    totals, closed_until = sums.totals()
    cells = _flat(sums.cells(closed_until))
    if design.cap is not None and design.cap.steps is None:
        # some units may be counted under it already
        cells = [cell for cell in cells if cell.metric != cell_of(design, design.metric)]
    if design.listed is not None:
        # the start exposed all of them, whatever else names their arm later
        cells = [cell for cell in cells if cell.metric != FIRST] + _listed(design, started_at)
    evidence = Evidence(at=at, elapsed_us=0 if started_at is None else max(0, at - started_at))
    evidence.weights = sums.weights()
    _count(evidence, design, cells)
    _count_recorded(evidence, design, cells)
    by_arrival = [cell for cell in cells if cell.arrival < OPEN and cell.metric == design.metric]
    closing = [cell for cell in by_arrival if cell.arrival + cell.span <= until]
    late = totals.maturity.hour < until
    if closing:
        _add(totals, design, closing)
    if late:
        totals.maturity = maturity_of(sums, design, until, totals.maturity)
    if closing or late:
        sums.keep(totals, until)
    now = Totals(dict(totals.goal), dict(totals.sums))
    _add(now, design, [cell for cell in by_arrival if cell.arrival + cell.span > until])
    for arm, three in now.sums.items():
        evidence.arms.setdefault(arm, Counted()).add(design.metric, PairSums(*three))
    evidence.goal = dict(now.goal)
    _compare_units(evidence, design, cells)
    if design.mode is Mode.OUTSIDE:
        _compare_complete(evidence, design, cells)
        return evidence
    evidence.mature_after_h = totals.maturity.after_h
    evidence.mature = totals.maturity.effect
    evidence.immature = totals.maturity.immature
    evidence.delay_e = totals.maturity.delay_e
    known = totals.maturity.youngest
    evidence.youngest = None if known is None else dict(known)
    if design.mode is Mode.SHADOW:
        _keep_mature_pairs(evidence, design, cells, until)
    return evidence


def _flat(cells: Mapping[CellKey, PairSums]) -> list[_Cell]:
    return [_Cell(*key[1:], sums) for key, sums in cells.items()]


def _listed(design: Design, started_at: int | None) -> list[_Cell]:
    """Give the exposures of a list of units: all of them came with the start."""
    if design.listed is None or started_at is None:
        return []
    slot = day_of(started_at // HOUR_US)
    return [
        _Cell(OPEN, 0, slot, LISTED_PHASE, arm, FIRST, PairSums(n, n * PER_UNIT, n * PER_UNIT**2))
        for arm, n in zip(design.names, design.listed.counts, strict=True)
    ]


def _count(evidence: Evidence, design: Design, cells: Iterable[_Cell]) -> None:
    """Take the counts that are read anew at every look."""
    for cell in cells:
        if cell.arrival != OPEN:
            continue
        n = cell.sums.n
        if cell.metric == FIRST:
            _tally(evidence.first, cell.phase, cell.arm, n)
            evidence.arms.setdefault(cell.arm, Counted()).units += n
        elif cell.metric == LEAK:
            evidence.leaks += n
        elif cell.metric.startswith(BAD):
            event = evidence.bad.setdefault(cell.metric[len(BAD) :], {})
            _tally(event, cell.phase, cell.arm, n)
        elif cell.metric.startswith(PAIR):
            side = cell.metric[len(PAIR) :]
            evidence.pairs[side] = evidence.pairs.get(side, 0) + n
        elif cell.metric == DIFFERENCE:
            evidence.difference += cell.sums
            evidence.arms.setdefault(cell.arm, Counted()).add(cell.metric, cell.sums)
        else:
            evidence.arms.setdefault(cell.arm, Counted()).add(cell.metric, cell.sums)
    for guardrail in design.guardrails:
        if guardrail.higher_is_better is None:
            evidence.bad.setdefault(guardrail.event, {})


def _count_recorded(evidence: Evidence, design: Design, cells: Iterable[_Cell]) -> None:
    """Take what is recorded of units: how many have a value, and how many had a bad event."""
    events = {guardrail.event for guardrail in design.guardrails if guardrail.recorded}
    for cell in cells if events or design.guarded else ():
        if cell.arrival != OPEN:
            continue
        if cell.metric in design.guarded:
            _tally(evidence.recorded.setdefault(cell.metric, {}), cell.phase, cell.arm, cell.sums.n)
        if cell.metric in events:
            happened = cell.sums.q // PER_UNIT
            _tally(evidence.bad.setdefault(cell.metric, {}), cell.phase, cell.arm, happened)


def _keep_mature_pairs(
    evidence: Evidence, design: Design, cells: Iterable[_Cell], until: int
) -> None:
    """Judge pairs by exposures whose labels have all had their time, and by no others.

    Where what the heard version got wrong is labelled first, young pairs favour the other.
    """
    evidence.pairs, evidence.difference = {}, PairSums()
    if evidence.mature_after_h is None:
        return
    after, unheard = evidence.mature_after_h, design.names[1]
    sums: dict[str, PairSums] = defaultdict(PairSums)
    for cell in cells:
        if cell.arrival != OPEN:
            continue
        of_periods = cell.metric.partition(":")[0] in (PERIOD, EACH, HEARD)
        long = design.period_s * 1_000_000 // HOUR_US if of_periods else DAY
        if cell.exposure - cell.exposure % long + long + after > until:
            continue
        sums[cell.metric] += cell.sums
        if cell.metric == DIFFERENCE and cell.sums.n > 0 and evidence.youngest is not None:
            known = evidence.youngest.get(unheard, cell.exposure)
            evidence.youngest[unheard] = max(day_of(cell.exposure), known)
        if cell.metric.startswith(PAIR):
            side = cell.metric[len(PAIR) :]
            evidence.pairs[side] = evidence.pairs.get(side, 0) + cell.sums.n
    evidence.difference, evidence.periods = sums[DIFFERENCE], sums[PERIOD]
    evidence.each = sums[EACH]
    for metric in design.paired if design.secondary else ():
        by_unit, by_period, each = (
            sums[beside(name, design.metric, metric)] for name in (DIFFERENCE, PERIOD, EACH)
        )
        evidence.paired[metric] = Paired(by_unit, by_period, each, sums[f"{HEARD}:{metric}"])


def _tally(counts: dict[int, dict[str, int]], phase: int, arm: str, n: int) -> None:
    arms = counts.setdefault(phase, {})
    arms[arm] = arms.get(arm, 0) + n


def _add(totals: Totals, design: Design, cells: Iterable[_Cell]) -> None:
    """Add cells of single values: each exposure slot and arrival slot is a stratum."""
    strata: dict[tuple[int, int, int, int], dict[str, PairSums]] = defaultdict(dict)
    for cell in cells:
        place = (cell.phase, cell.exposure, cell.arrival, cell.span)
        strata[place][cell.arm] = cell.sums
        before = PairSums(*totals.sums.get(cell.arm, (0, 0, 0)))
        after = before + cell.sums
        totals.sums[cell.arm] = (after.n, after.q, after.q2)
    for arms in strata.values():
        control = arms.get(design.names[CONTROL])
        if control is None:
            continue
        for arm in design.names[1:]:
            if arm in arms:
                found = contribution(control, arms[arm])
                totals.goal[arm] = totals.goal.get(arm, Contribution()) + found


def _compare_units(evidence: Evidence, design: Design, cells: Sequence[_Cell]) -> None:
    """Compare units that may come again: each phase and day of first exposure is a stratum."""
    came_again = _came_again(design, cells)

    def compared(metric: str) -> dict[str, Contribution]:
        strata: Strata = defaultdict(dict)
        name = cell_of(design, metric)
        for cell in cells:
            if cell.arrival == OPEN and cell.metric == name:
                place = cell.phase, stratum_of(design, cell.exposure)
                before = strata[place].get(cell.arm, PairSums())
                strata[place][cell.arm] = before + cell.sums
        # what is recorded of a unit counts in one phase alone
        again = came_again and metric not in design.guarded
        weights = evidence.weights if again else None
        return compare_strata(design, metric, strata, weights)

    evidence.goal |= compared(design.metric)
    others = design.metrics[1:] if design.mode is not Mode.SHADOW else ()
    if design.mode is Mode.OUTSIDE or others:
        evidence.metrics = {design.metric: dict(evidence.goal)}
        for metric in others:
            evidence.metrics[metric] = compared(metric)
    if design.mode is Mode.OUTSIDE:
        evidence.parts = {name: compared(name) for name in part_cells(design)}


def _came_again(design: Design, cells: Iterable[_Cell]) -> bool:
    """Tell whether units of one phase came in another, too; a block of time does not."""
    n = dict.fromkeys((FIRST, EXPOSED), 0)
    for cell in cells if design.unit == "unit" else ():
        if cell.arrival == OPEN and cell.metric in n:
            n[cell.metric] += cell.sums.n
    return n[EXPOSED] > n[FIRST]


def compare_strata(
    design: Design,
    metric: str,
    strata: Strata,
    came_again: Mapping[int, tuple[float, ...]] | None = None,
) -> dict[str, Contribution]:
    """Compare each treatment with the control in one metric of units, within strata.

    Parameters
    ----------
    design : Design
    metric : str
    strata : mapping of (phase, exposure slot) to mapping of arm to PairSums
    came_again : mapping of phase to tuple of float, or None
        Shares, where units of one phase came in another, too.
    """
    if not strata:
        return {}
    found, control = {}, design.names[CONTROL]
    for place, arm in enumerate(design.names[1:], 1):
        phases = [key[0] for key in sorted(strata) if {control, arm} <= strata[key].keys()]
        both = [
            (arms[control], arms[arm])
            for _, arms in sorted(strata.items())
            if control in arms and arm in arms
        ]
        if cell_of(design, metric) != metric:
            each = adjusted_contributions(both)
        else:
            each = ratio_contributions(both, per_unit_of(metric))
        of_phase: dict[int, Contribution] = {}
        for phase, one in zip(phases, each, strict=True):
            of_phase[phase] = of_phase.get(phase, Contribution()) + one
        if came_again is None:
            found[arm] = sum(of_phase.values(), Contribution())
        else:
            found[arm] = join_phases(of_phase, _nested(design, came_again, place))
    return found


def _nested(
    design: Design, weights: Mapping[int, tuple[float, ...]], place: int
) -> dict[int, float] | None:
    """Give a treatment's share of the two arms by phase, where no unit ever moves back."""
    if len(design.names) > 2 or design.strategy is Strategy.ROUND_ROBIN:
        return None
    return {phase: each[place] / (each[place] + each[0]) for phase, each in weights.items()}


def _compare_complete(evidence: Evidence, design: Design, cells: Iterable[_Cell]) -> None:
    """Compare the days of first exposure of which nearly all units have an outcome in every arm.

    Where outcomes are told a unit at a time, a unit without one is known to be so: nothing has to
    be estimated to say which days are whole.
    """
    units: dict[tuple[int, int], dict[str, int]] = defaultdict(dict)
    values: dict[tuple[int, int], dict[str, PairSums]] = defaultdict(dict)
    compared: dict[tuple[int, int], dict[str, PairSums]] = defaultdict(dict)
    for cell in cells:
        if cell.arrival != OPEN:
            continue
        if cell.metric == FIRST:
            units[cell.phase, cell.exposure][cell.arm] = cell.sums.n
        elif cell.metric == design.metric:
            values[cell.phase, cell.exposure][cell.arm] = cell.sums
        if cell.metric == cell_of(design, design.metric):
            compared[cell.phase, cell.exposure][cell.arm] = cell.sums
    whole: Strata = {}
    youngest: dict[str, int] = {}
    for place, arms in sorted(units.items()):
        known = values.get(place, {})
        n_known = {arm: known.get(arm, PairSums()).n for arm in arms}
        evidence.immature += sum(arms.values()) - sum(n_known.values())
        if all(n_known[arm] >= COMPLETE * n for arm, n in arms.items()):
            whole[place] = compared.get(place, {})
            youngest |= {arm: max(place[1], youngest.get(arm, place[1])) for arm in arms}
    evidence.youngest = youngest
    evidence.mature |= dict.fromkeys(design.names[1:], Contribution())
    evidence.mature |= compare_strata(design, design.metric, whole)
