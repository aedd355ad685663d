"""Outcomes from a file: each row by key or prediction id, and a report of what became of it.

The id of an outcome follows from its row's content, so importing a file twice changes nothing.
"""

import csv
import json
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, select

from timonel.clock import Clock
from timonel.errors import Phrase
from timonel.events.accumulators import Accumulator
from timonel.events.drain import Drainer
from timonel.events.errors import UndatedTruths, UnusableMapping
from timonel.events.frames import OutcomeFrame
from timonel.events.importing.repeats import predicted_since
from timonel.events.importing.texts import REASONS, WORDS, Fate, counted
from timonel.events.joining import IDENTICAL, INVALID, JOINED
from timonel.events.outcomes import complete_until
from timonel.events.plans import Plan, Plans, Problem
from timonel.events.spool import SpoolWriter
from timonel.store.engine import reading
from timonel.store.tables import outcomes, prediction_keys
from timonel.wire.answer import Label
from timonel.wire.ids import parse_uuid

_NAMESPACE = UUID("6f0f7c3e-6d1b-5a36-9a43-3c3f1f6f2b1d")
_PAGE = 500
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_KEY_LIMIT = 256
FOLDERS = "import-"  # each import spools into one of its own
_ABANDONED = timedelta(days=1)  # no import takes as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of the file say what; one of ``key`` and ``prediction_id`` is needed.

    ``time`` is when the truth held: it belongs to the last prediction of the key until then (a
    date: until the end of that day). ``as_of`` is that of all rows. Without either, until the
    import.
    """

    value: str
    key: str | None = None
    prediction_id: str | None = None
    time: str | None = None
    as_of: str | None = None


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


@dataclass(frozen=True, slots=True)
class _Bad:
    """Why a row cannot be sent: the name of a text and what was found."""

    text: str
    found: str
    expected: str = ""


@dataclass(slots=True)
class _Sent:
    row: int
    id: UUID | None
    key: str | None
    problem: _Bad | None
    known: bool = False


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
    reader = _Reader(columns, project, model, plans.of(model), ZoneInfo(timezone), until)
    frames: list[OutcomeFrame | _Bad] = []
    arrived = 0
    for row in rows:
        # strictly later than the row before it, which it may revise
        arrived = max(arrived + 1, clock.now_us())
        frames.append(reader.frame(row, arrived))
    if columns.key is not None and columns.time is columns.as_of is None:
        _refuse_repeats(engine, project, plans, [f for f in frames if not isinstance(f, _Bad)])
    sent = [
        _Sent(number, None, None, frame)
        if isinstance(frame, _Bad)
        else _Sent(number, UUID(bytes=frame.id), frame.key, None)
        for number, frame in enumerate(frames, start=1)
    ]
    _mark_known(engine, project, sent)
    new = [
        frame
        for one, frame in zip(sent, frames, strict=True)
        if not (isinstance(frame, _Bad) or one.known)
    ]
    if new:  # a spool leaves a row behind, and many a night brings nothing
        _enter(engine, project, new, spool, clock, accumulators)
    with reading(engine) as connection:
        fates = _fates(connection, project, model, sent, lang)
    return _report(rows, fates, rejected, separator)


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
    if columns.as_of is not None and isinstance(_moment(columns.as_of, UTC, 0), _Bad):
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


class _Reader:
    """Makes outcome frames of rows; the same row in the same file gives the same id."""

    def __init__(
        self,
        columns: Columns,
        project: str,
        model: str,
        plan: Plan,
        zone: ZoneInfo,
        until: int,
    ) -> None:
        self._columns = columns
        self._project = project
        self._model = model
        self._plan = plan
        self._zone = zone
        self._until = until
        self._seen = Counter[str]()

    def frame(self, row: Mapping[str, Any], arrived: int) -> OutcomeFrame | _Bad:
        """Read a row, or say why it cannot be sent."""
        content = json.dumps(row, sort_keys=True, default=str)
        identity = [self._project, self._model, content, self._seen[content]]
        as_of = self._columns.as_of
        if as_of is not None:
            identity.append(as_of.strip())
        name = json.dumps(identity)
        self._seen[content] += 1
        value = self._plan.read(_label(row[self._columns.value]))
        if isinstance(value, Problem):
            return _Bad(value.code, value.found, value.expected)
        observed_at: int | _Bad = self._until
        if self._columns.time is not None:
            observed_at = _moment(row[self._columns.time], self._zone, self._until)
        elif as_of is not None:
            observed_at = _moment(as_of, self._zone, self._until)
        if isinstance(observed_at, _Bad):
            return observed_at
        named = self._named(row)
        if isinstance(named, _Bad):
            return named
        return OutcomeFrame(
            id=uuid5(_NAMESPACE, name).bytes,
            at=arrived,
            model=self._model,
            prediction=named if isinstance(named, bytes) else None,
            key=named if isinstance(named, str) else None,
            observed_at=observed_at,
            value=value,
            origin="file",
        )

    def _named(self, row: Mapping[str, Any]) -> bytes | str | _Bad:
        """Read which prediction a row names: an id, or a key."""
        if self._columns.key is None:
            text = _text(row[self._columns.prediction_id or ""])
            return parse_uuid(text) or _Bad("not_an_id", repr(text))
        key = _text(row[self._columns.key])
        if not key or len(key) > _KEY_LIMIT or "\0" in key:
            return _Bad("bad_key", repr(key)[:100])
        return key if self._plan.outcome.key is not None else _Bad("no_key", key)


def _label(cell: Any) -> Label | None:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, str):
        return cell.strip() or None
    return cell if isinstance(cell, bool | int | float) else str(cell)


def _text(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    # spreadsheets turn integer keys into floats
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _moment(cell: Any, zone: tzinfo, until: int) -> int | _Bad:
    if isinstance(cell, str):
        try:
            text = cell.strip()
            cell = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
        except ValueError:
            return _Bad("bad_time", repr(text))
    if isinstance(cell, date) and not isinstance(cell, datetime):
        # of today, only what has passed
        return min(until, _microseconds(datetime.combine(cell, time.max, zone)))
    if not isinstance(cell, datetime):
        return _Bad("bad_time", repr(cell))
    return _microseconds(cell if cell.tzinfo is not None else cell.replace(tzinfo=zone))


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _mark_known(engine: Engine, project: str, sent: Iterable[_Sent]) -> None:
    with reading(engine) as connection:
        known = _states(connection, project, sent)
    for one in sent:
        one.known = one.id in known


def _states(
    connection: Connection, project: str, sent: Iterable[_Sent]
) -> dict[UUID, tuple[str, int | None, str | None]]:
    o = outcomes.c
    ids = [one.id for one in sent if one.id is not None]
    states: dict[UUID, tuple[str, int | None, str | None]] = {}
    for start in range(0, len(ids), _PAGE):
        query = select(o.outcome_id, o.state, o.revision, o.problem).where(
            o.project == project, o.outcome_id.in_(ids[start : start + _PAGE])
        )
        states |= {row[0]: (row[1], row[2], row[3]) for row in connection.execute(query)}
    return states


def _fates(
    connection: Connection, project: str, model: str, sent: list[_Sent], lang: str
) -> list[RowFate]:
    words = REASONS["es" if lang == "es" else "en"]
    states = _states(connection, project, sent)
    parked = [
        one.key
        for one in sent
        if one.id is not None and one.key is not None and states[one.id][0] not in _SETTLED
    ]
    keys = _predicted_keys(connection, project, model, parked)
    fates = []
    for one in sent:
        if one.problem is not None or one.id is None:
            fates.append(_bad(one.row, one.problem or _Bad("no_value", ""), words))
            continue
        state, revision, problem = states[one.id]
        if problem is not None:
            p = Problem.decode(problem)
            fates.append(_bad(one.row, _Bad(p.code, p.found, p.expected), words))
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


_SETTLED = (JOINED, IDENTICAL, INVALID)


def _bad(row: int, bad: _Bad, words: Mapping[str, str]) -> RowFate:
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
