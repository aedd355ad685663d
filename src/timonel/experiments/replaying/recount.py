"""The sums of an experiment, counted again from the log by the code that counts in the drain.

Answers and truths are read in one snapshot and given, transaction by transaction as they were
drained, to an accumulator that writes to an empty database of its own; then both sets of cells are
compared, exactly. Where someone else acts, exposures and values come from the rows of units: those
are counted, beside the answers that were recorded; so are values that are recorded as guardrails.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, insert, select

from timonel.errors import Phrase
from timonel.events.accumulators import ShadowResult, TruthChange
from timonel.events.frames import PredictionFrame, ShadowAnswer
from timonel.events.joining import IDENTICAL, JOINED, read_logged
from timonel.events.plans import Plan, Plans, Problem
from timonel.events.shadows.answers import read_fates
from timonel.experiments.counting.cells import ExperimentCells, read_cells
from timonel.experiments.counting.derived import cell_of, derived_cells, derived_of, merge_cells
from timonel.experiments.counting.sums import (
    AGE,
    ANSWERS,
    CONFIDENCE,
    CORRECTED,
    HIT,
    LATENCY,
    OPEN,
    CellKey,
    PairSums,
)
from timonel.experiments.counting.units import UnitKey, cells_of_unit
from timonel.experiments.design import HOLDOUT, Design, Mode, variant_of
from timonel.experiments.outside.capping import unit_values
from timonel.experiments.replaying.interleaved import count_interleaved
from timonel.experiments.replaying.own import COPIED, own_database
from timonel.store.tables import outcomes, predictions
from timonel.store.tables_experiments import experiment_units

Cells = dict[CellKey, PairSums]
_COUNTER = "replay"
_PAGE = 500
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class CellDifference:
    """One sum that the log does not give."""

    arm: str
    phase: int
    metric: str
    stored_n: int
    counted_n: int


@dataclass(frozen=True, slots=True)
class Recount:
    """What came of counting again.

    Parameters
    ----------
    n_cells : int
        Sums that were compared.
    n_answers, n_labels : int
        What the log holds (of units that others act on: units, and their values).
    n_different : int
    differences : list of CellDifference
        The first of them.
    reason : Phrase or None
        Why it cannot be said; the log lacks what was counted once.
    """

    n_cells: int
    n_answers: int
    n_labels: int
    n_different: int = 0
    differences: list[CellDifference] = field(default_factory=list)
    reason: Phrase | None = None

    @property
    def same(self) -> bool:
        """Whether the log gives the stored sums, to the last digit."""
        return self.reason is None and not self.n_different


def recount(connection: Connection, project: str, design: Design) -> Recount:
    """Count an experiment's log again and compare with the stored sums.

    Parameters
    ----------
    connection : Connection
        All of its queries see one moment.
    """
    stored = _stored(connection, project, design.name)
    if design.cap is not None and design.cap.steps is None:
        # units are being counted under it, page by page
        name = cell_of(design, design.metric)
        stored = {key: sums for key, sums in stored.items() if key.metric != name}
    if design.mode is Mode.INTERLEAVE:
        cells, n_lists, n_clicks = count_interleaved(connection, project, design)
        found = _compared(stored, cells)
        return replace(found, n_answers=n_lists, n_labels=n_clicks)
    if design.mode is Mode.OUTSIDE:
        answers = {
            key: sums
            for key, sums in _count_log(connection, project, design).items()
            if not _of_units(key)
        }
        return _compared(stored, answers | _count_units(connection, project, design))
    counted = _count_log(connection, project, design)
    if design.guarded:
        told = (*design.guarded, CORRECTED)
        units = _count_units(connection, project, design)
        counted |= {key: sums for key, sums in units.items() if key.metric in told}
    return _compared(stored, counted)


def _compared(stored: Cells, counted: Cells) -> Recount:
    keys = stored.keys() | counted.keys()
    nothing = PairSums()
    different = [
        key for key in sorted(keys) if stored.get(key, nothing) != counted.get(key, nothing)
    ]
    answers, labels = _n(counted, ANSWERS), _n(counted, AGE)
    lacking = [
        Phrase(en, es, found=found, expected=expected)
        for en, es, found, expected in (
            (
                "the log holds {found} of the {expected} answers that were counted",
                "el registro tiene {found} de las {expected} respuestas contadas",
                answers,
                _n(stored, ANSWERS),
            ),
            (
                "the log holds {found} of the {expected} labels that were counted",
                "el registro tiene {found} de los {expected} resultados contados",
                labels,
                _n(stored, AGE),
            ),
        )
        if found < expected
    ]
    if lacking:
        return Recount(len(keys), answers, labels, reason=lacking[0])
    shown = [
        CellDifference(
            key.arm,
            key.phase,
            key.metric,
            stored.get(key, nothing).n,
            counted.get(key, nothing).n,
        )
        for key in different[:_SHOWN]
    ]
    return Recount(len(keys), answers, labels, len(different), shown)


def _n(cells: Cells, metric: str) -> int:
    return sum(sums.n for key, sums in cells.items() if key.metric.startswith(metric))


def _stored(connection: Connection, project: str, name: str) -> Cells:
    cells = read_cells(connection, project, name)
    return {key: sums for key, sums in cells.items() if sums}


# -- where someone else acts -----------------------------------------------------------------


def _of_units(key: CellKey) -> bool:
    """Say whether a sum is made of units' rows, and not of answers one by one."""
    of_answers = (ANSWERS, LATENCY, CONFIDENCE)
    by_answer = key.metric in of_answers or key.metric.startswith(HIT)
    return key.arrival_slot == OPEN and not by_answer


def _count_units(connection: Connection, project: str, design: Design) -> Cells:
    name = design.name
    u = experiment_units.c
    query = (
        select(u.unit_id, u.phase, u.metric, u.arm, u.first_slot, u.x, u.q)
        .where(u.project == project, u.experiment == name)
        .order_by(u.unit_id, u.phase)
    )
    rows = connection.execution_options(yield_per=1000).execute(query)
    cells: Cells = {}
    for (unit, phase), group in groupby(rows, key=lambda row: (row.unit_id, row.phase)):
        known = {row.metric: (row.arm, row.first_slot, int(row.x), int(row.q)) for row in group}
        for key, sums in cells_of_unit(UnitKey(name, unit, phase), known).items():
            cells[key] = cells.get(key, PairSums()) + sums
    pairs = derived_of(design)
    needed = sorted({metric for pair in pairs for metric in pair.needs})
    for one in unit_values(connection, project, name, needed) if pairs else ():
        merge_cells(
            cells, derived_cells(pairs, one.key, one.arm, one.slot, {}, one.values, one.covariate)
        )
    return {key: sums for key, sums in cells.items() if sums}


# -- from the log ----------------------------------------------------------------------------


def _count_log(connection: Connection, project: str, design: Design) -> Cells:
    with own_database() as own:
        for table in COPIED:
            _copy(connection, own, table, project)
        counter = ExperimentCells(project)
        for frames in _drained(connection, project, design):
            counter.add_predictions(frames)
            counter.write(own, _COUNTER)
            counter.clear()
        for changes in _truths(connection, project, design):
            counter.add_truths(changes)
            counter.write(own, _COUNTER)
            counter.clear()
        for results in _fates(connection, project, design):
            counter.add_shadows(results)
            counter.write(own, _COUNTER)
            counter.clear()
        return _stored(own, project, design.name)


def _copy(connection: Connection, own: Connection, table: Table, project: str) -> None:
    rows = connection.execute(select(table).where(table.c.project == project)).mappings()
    copies = [dict(row) for row in rows]
    if copies:
        own.execute(insert(table), copies)


def _variants(design: Design) -> list[str]:
    return [variant_of(design.name, arm) for arm in (*design.names, HOLDOUT)]


def _drained(
    connection: Connection, project: str, design: Design
) -> Iterator[list[PredictionFrame]]:
    """Give answers as they were drained: a unit stands where its first transaction put it."""
    p = predictions.c
    query = (
        select(predictions)
        .where(p.project == project, p.model == design.model, p.variant.in_(_variants(design)))
        .order_by(p.ingested_at, p.drainer_id)
    )
    rows = connection.execution_options(yield_per=1000).execute(query)
    for _, group in groupby(rows, key=lambda row: (row.ingested_at, row.drainer_id)):
        yield [_frame(row) for row in group]


def _frame(row: Row[Any]) -> PredictionFrame:
    return PredictionFrame(
        id=row.prediction_id.bytes,
        at=row.at,
        model=row.model,
        version=row.version,
        variant=row.variant,
        source=row.source,
        reason=row.reason,
        key=row.key,
        unit=row.unit_id,
        generation=row.generation,
        prediction=msgspec.json.decode(row.prediction),
        score=row.score,
        probabilities=row.probabilities and msgspec.json.decode(row.probabilities),
        explanation=None,
        latency_us=row.latency_us,
        features=b"{}",
        shadow=row.shadow and msgspec.json.decode(row.shadow, type=ShadowAnswer),
        shadow_asked=row.shadow_asked,
    )


def _truths(connection: Connection, project: str, design: Design) -> Iterator[list[TruthChange]]:
    """Give the changes that truths made: each retracts the one that arrived before it."""
    o, p = outcomes.c, predictions.c
    plan = _plan(connection, project, design)
    query = (
        select(o.prediction_id, o.arrived_at, o.value)
        .join(predictions, (p.project == o.project) & (p.prediction_id == o.prediction_id))
        .where(
            o.project == project,
            o.state.in_((JOINED, IDENTICAL)),
            p.model == design.model,
            p.variant.in_(_variants(design)),
        )
        .order_by(o.prediction_id, o.arrived_at, o.outcome_id)
    )
    rows = connection.execution_options(yield_per=1000).execute(query)
    page: dict[bytes, list[Any]] = {}
    for identifier, group in groupby(rows, key=lambda row: row.prediction_id.bytes):
        page[identifier] = list(group)
        if len(page) >= _PAGE:
            yield _changes(connection, project, page, plan)
            page = {}
    if page:
        yield _changes(connection, project, page, plan)


def _fates(connection: Connection, project: str, design: Design) -> Iterator[list[ShadowResult]]:
    """Give what came of asking unheard versions; their pairs were counted with the truths."""
    if design.mode is not Mode.SHADOW:
        return
    plan = _plan(connection, project, design)
    rows = iter(read_fates(connection, project, design.model, _variants(design)))
    while page := list(islice(rows, _PAGE)):
        logged = read_logged(connection, project, [row.prediction_id.bytes for row in page])
        yield [ShadowResult(logged[row.prediction_id.bytes], row.fate, None, plan) for row in page]


def _plan(connection: Connection, project: str, design: Design) -> Plan:
    plans = Plans(project)
    plans.refresh(connection)
    return plans.of(design.model)


def _changes(
    connection: Connection, project: str, page: dict[bytes, list[Any]], plan: Plan
) -> list[TruthChange]:
    logged = read_logged(connection, project, page)
    changes = []
    for identifier, rows in page.items():
        before = None
        for row in rows:
            value = plan.read(msgspec.json.decode(row.value))
            if isinstance(value, Problem) or (before is not None and plan.same(before, value)):
                continue
            prediction = logged[identifier]
            changes.append(TruthChange(prediction, value, row.arrived_at, 1, plan))
            if before is not None:
                changes.append(TruthChange(prediction, before, row.arrived_at, -1, plan))
            before = value
    return changes
