"""Outcomes from a file: each row by key or prediction id, and a report of what became of it.

The id of an outcome follows from its row's content, so importing a file twice changes nothing.
"""

import csv
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, select

from timonel.clock import Clock
from timonel.errors import Phrase
from timonel.events.accumulators import Accumulator
from timonel.events.drain import Drainer
from timonel.events.errors import UndatedTruths, UnusableMapping
from timonel.events.frames import OutcomeFrame
from timonel.events.importing.reading import Bad, Columns, Reader, identities, moment_of
from timonel.events.importing.repeats import predicted_since
from timonel.events.importing.texts import REASONS, WORDS, Fate, counted
from timonel.events.joining import IDENTICAL, INVALID, JOINED
from timonel.events.outcomes import complete_until
from timonel.events.plans import Plans, Problem
from timonel.events.spool import SpoolWriter
from timonel.store.engine import reading
from timonel.store.tables import outcomes, prediction_keys
from timonel.store.url import SQLITE

_PAGE = 500
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
FOLDERS = "import-"  # each import spools into one of its own
_ABANDONED = timedelta(days=1)  # no import takes as long


@dataclass(frozen=True, slots=True)
class RowFate:
    """One row, 1 for the first below the header, that did not simply join."""

    row: int
    fate: Fate
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file's rows.

    Parameters
    ----------
    n_rows : int
    counts : dict of Fate to int
    rows : list of RowFate
        Rows that are early, unknown or invalid, in order.
    rejected : Path or None
        The file with the unknown and invalid rows and their reasons; None if there are none.
    """

    n_rows: int
    counts: dict[Fate, int]
    rows: list[RowFate]
    rejected: Path | None

    def render(self, lang: str = "en") -> str:
        """Say it to a person, in English or Spanish."""
        words = WORDS["es" if lang == "es" else "en"]
        lines = counted(self.n_rows, self.counts, lang)
        lines += [words["row"].format(row=one.row, reason=one.reason) for one in self.rows[:20]]
        if len(self.rows) > 20:
            lines.append(words["more"].format(n=len(self.rows) - 20))
        if self.rejected is not None:
            lines.append(words["rejected"].format(path=self.rejected))
        return "\n".join(lines)


class _Kept(NamedTuple):
    """What the database says of an outcome."""

    state: str
    revision: int | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Sent:
    """A row with the id of its outcome; ``frame`` None: settled before, so that it is not read."""

    row: int
    id: bytes
    frame: OutcomeFrame | Bad | None
    known: bool

    @property
    def key(self) -> str | None:
        """The key that it names."""
        return self.frame.key if isinstance(self.frame, OutcomeFrame) else None


def import_outcomes(
    engine: Engine,
    rows: Sequence[Mapping[str, Any]],
    columns: Columns,
    *,
    project: str,
    model: str,
    timezone: str,
    spool: Path,
    clock: Clock,
    rejected: Path,
    accumulators: Sequence[Accumulator],
    separator: str = ",",
    lang: str = "en",
) -> ImportReport:
    """Send a table's truths through a spool of their own, drain it, and say what became of each.

    Parameters
    ----------
    timezone : str
        IANA zone in which times without one are read.
    spool : Path
        Root of the spools; the import makes and removes a folder in it.
    rejected : Path
        Where rows that cannot be used are written with the reason, ``separator`` between cells.
    accumulators : sequence of Accumulator
        The sums that any drainer of this project keeps.

    Raises
    ------
    UnusableMapping
        If the columns are not in the table.
    UndatedTruths
        If rows without a time were imported before, and their keys were predicted again since.
    StoreUnavailable
        If the database cannot be reached; import the file again, nothing is counted twice.
    """
    _check(rows, columns, model)
    plans = Plans(project)
    with reading(engine) as connection:
        plans.refresh(connection)
        # later predictions may still be on their way to the database
        until = min(clock.now_us(), complete_until(connection, project))
        ids = identities(rows, columns, project, model)
        states = _states(connection, project, ids)
    reader = Reader(columns, model, plans.of(model), ZoneInfo(timezone), until)
    undated = columns.key is not None and columns.time is columns.as_of is None
    # what is in the database and joined stays so; of rows without a time even that is asked about
    settled = set() if undated else {id_ for id_, kept in states.items() if kept.state in _JOINED}
    frames = _frames(reader, rows, ids, settled, clock)
    if undated:
        _refuse_repeats(engine, project, plans, [f for f in frames if isinstance(f, OutcomeFrame)])
    sent = [
        _Sent(number, id_, frame, known=id_ in states)
        for number, (id_, frame) in enumerate(zip(ids, frames, strict=True), start=1)
    ]
    new = [one.frame for one in sent if isinstance(one.frame, OutcomeFrame) and not one.known]
    if new:  # a spool leaves a row behind, and many a night brings nothing
        _enter(engine, project, new, spool, clock, accumulators)
    with reading(engine) as connection:
        again = [id_ for id_ in ids if id_ not in settled]
        states |= _states(connection, project, again)
        fates = _fates(connection, project, model, sent, states, lang)
    return _report(rows, fates, rejected, separator)


def _frames(
    reader: Reader,
    rows: Sequence[Mapping[str, Any]],
    ids: Sequence[bytes],
    settled: Set[bytes],
    clock: Clock,
) -> list[OutcomeFrame | Bad | None]:
    """Read the rows that are not settled; None for the others."""
    frames: list[OutcomeFrame | Bad | None] = []
    arrived = 0
    for row, id_ in zip(rows, ids, strict=True):
        if id_ in settled:
            frames.append(None)
            continue
        # strictly later than the row before it, which it may revise
        arrived = max(arrived + 1, clock.now_us())
        frames.append(reader.frame(row, id_, arrived))
    return frames


def _refuse_repeats(
    engine: Engine, project: str, plans: Plans, frames: Sequence[OutcomeFrame]
) -> None:
    with reading(engine) as connection:
        since = predicted_since(connection, project, plans, frames)
    if since:
        raise UndatedTruths(model=frames[0].model, found=len(since), of=len(frames), key=since[0])


def _enter(
    engine: Engine,
    project: str,
    frames: Sequence[OutcomeFrame],
    spool: Path,
    clock: Clock,
    accumulators: Sequence[Accumulator],
) -> None:
    _forget_the_killed(spool)
    folder = spool / f"{FOLDERS}{uuid4().hex}"
    writer = SpoolWriter.open(folder)
    try:
        writer.append_many(frames)
        writer.close()
        _drain(engine, project, folder, clock, accumulators)
    finally:
        writer.close()
        shutil.rmtree(folder, ignore_errors=True)


def _forget_the_killed(spool: Path) -> None:
    """Remove what imports left that were killed: nothing of it was acknowledged."""
    for folder in spool.glob(f"{FOLDERS}*"):
        with suppress(FileNotFoundError):  # its import is over, or another import removes it
            changed = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
            if datetime.now(UTC) - changed > _ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)


def _drain(
    engine: Engine,
    project: str,
    folder: Path,
    clock: Clock,
    accumulators: Sequence[Accumulator],
) -> None:
    drainer = Drainer(
        engine,
        project=project,
        folders=[folder],
        drainer_id=folder.name,
        accumulators=accumulators,
        clock=clock,
        watermarked=False,
    )
    while drainer.drain_once().lag_bytes:
        continue


def _check(rows: Sequence[Mapping[str, Any]], columns: Columns, model: str) -> None:
    found = list(rows[0]) if rows else []
    if columns.time is not None and columns.as_of is not None:
        both, one = Phrase("--time and --as-of", "--time y --as-of"), Phrase("one", "una")
        raise UnusableMapping(model=model, found=both, expected=one)
    if columns.as_of is not None and isinstance(moment_of(columns.as_of, UTC, 0), Bad):
        when = Phrase("a date such as 2026-12-31", "una fecha como 2026-12-31")
        raise UnusableMapping(model=model, found=columns.as_of, expected=when)
    named = [columns.value, columns.key, columns.prediction_id, columns.time]
    missing = [name for name in named if name is not None and name not in found]
    if missing or (columns.key is None) == (columns.prediction_id is None):
        either = Phrase("a key or a prediction id column", "una columna de llave o de id")
        names = ", ".join(found) or "-"
        raise UnusableMapping(
            model=model,
            found=Phrase("the columns {names}", "las columnas {names}", names=names),
            expected=", ".join(missing) or either,
        )


def _states(connection: Connection, project: str, ids: Sequence[bytes]) -> dict[bytes, _Kept]:
    states: dict[bytes, _Kept] = {}
    for start in range(0, len(ids), _PAGE):
        page = ids[start : start + _PAGE]
        if connection.dialect.name == SQLITE:
            # as it stores ids: by UUIDs, made of thousands both ways, it takes four times as long
            marks = ", ".join("?" * len(page))
            found = connection.exec_driver_sql(
                "SELECT outcome_id, state, revision, problem FROM outcomes "  # noqa: S608
                f"WHERE project = ? AND outcome_id IN ({marks})",
                (project, *[id_.hex() for id_ in page]),
            )
            states |= {bytes.fromhex(row[0]): _Kept(*row[1:]) for row in found.all()}
            continue
        o = outcomes.c
        query = select(o.outcome_id, o.state, o.revision, o.problem).where(
            o.project == project, o.outcome_id.in_([UUID(bytes=id_) for id_ in page])
        )
        states |= {row[0].bytes: _Kept(*row[1:]) for row in connection.execute(query).all()}
    return states


def _fates(
    connection: Connection,
    project: str,
    model: str,
    sent: list[_Sent],
    states: Mapping[bytes, _Kept],
    lang: str,
) -> list[RowFate]:
    words = REASONS["es" if lang == "es" else "en"]
    parked = [
        one.key
        for one in sent
        if isinstance(one.frame, OutcomeFrame)
        and one.key is not None
        and states[one.id].state not in _SETTLED
    ]
    keys = _predicted_keys(connection, project, model, parked)
    fates = []
    for one in sent:
        if isinstance(one.frame, Bad):
            fates.append(_bad(one.row, one.frame, words))
            continue
        state, revision, problem = states[one.id]
        if problem is not None:
            p = Problem.decode(problem)
            fates.append(_bad(one.row, Bad(p.code, p.found, p.expected), words))
        elif state == IDENTICAL or (one.known and state == JOINED):
            fates.append(RowFate(one.row, Fate.IDENTICAL, ""))
        elif state == JOINED:
            fate = Fate.REVISED if (revision or 1) > 1 else Fate.JOINED
            fates.append(RowFate(one.row, fate, ""))
        elif one.key is not None and one.key not in keys:
            fates.append(RowFate(one.row, Fate.UNKNOWN, words["unknown"].format(found=one.key)))
        else:
            name = "early_id" if one.key is None else "early"
            fates.append(RowFate(one.row, Fate.EARLY, words[name].format(found=one.key)))
    return fates


_JOINED = (JOINED, IDENTICAL)
_SETTLED = (*_JOINED, INVALID)


def _bad(row: int, bad: Bad, words: Mapping[str, str]) -> RowFate:
    reason = words[bad.text].format(found=bad.found, expected=bad.expected)
    return RowFate(row, Fate.INVALID, reason)


def _predicted_keys(
    connection: Connection, project: str, model: str, keys: Sequence[str]
) -> set[str]:
    k = prediction_keys.c
    wanted = sorted(set(keys))
    found: set[str] = set()
    for start in range(0, len(wanted), _PAGE):
        query = (
            select(k.key)
            .where(k.project == project, k.model == model, k.key.in_(wanted[start : start + _PAGE]))
            .distinct()
        )
        found.update(connection.scalars(query))
    return found


def _report(
    rows: Sequence[Mapping[str, Any]], fates: list[RowFate], rejected: Path, separator: str
) -> ImportReport:
    counts = Counter(one.fate for one in fates)
    refused = [one for one in fates if one.fate in (Fate.UNKNOWN, Fate.INVALID)]
    if refused:
        names = list(rows[0])
        reason = "reason" if "reason" not in names else "timonel_reason"
        with rejected.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.writer(file, delimiter=separator)
            writer.writerow([neutral(name) for name in (*names, reason)])
            for one in refused:
                row = rows[one.row - 1]
                cells = [*(row[name] for name in names), one.reason]
                writer.writerow([neutral(cell) for cell in cells])
    return ImportReport(
        n_rows=len(rows),
        counts=dict(counts),
        rows=[one for one in fates if one.fate in (Fate.EARLY, Fate.UNKNOWN, Fate.INVALID)],
        rejected=rejected if refused else None,
    )


def neutral(cell: Any) -> str:
    """Give a cell's text so that no spreadsheet runs it as a formula.

    Examples
    --------
    >>> neutral("=1+1"), neutral("-3.5")
    ("'=1+1", '-3.5')
    """
    text = "" if cell is None else str(cell)
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return "'" + text
    return text
