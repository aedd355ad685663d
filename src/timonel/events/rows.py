"""Frames to rows: inserted fast and counted once; and the dead letters a database would refuse."""

import base64
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from timonel import tracing
from timonel.errors import TimonelError
from timonel.events.frames import (
    FORMAT,
    KINDS,
    Fate,
    Frame,
    MetricFrame,
    OutcomeFrame,
    PredictionFrame,
    RefusalFrame,
    ShadowFrame,
    decode,
)
from timonel.events.intake import REJECTED, Letter, write_durably
from timonel.events.recorded.counting import refused_metric
from timonel.store.errors import StoreUnavailable
from timonel.store.tables import predictions

DEAD_LETTERS = "dead-letters.ndjson"
PREDICTION_COLUMNS = (
    "project",
    "prediction_id",
    "at",
    "ingested_at",
    "model",
    "version",
    "variant",
    "source",
    "reason",
    "key",
    "unit_id",
    "generation",
    "prediction",
    "score",
    "probabilities",
    "explanation",
    "latency_us",
    "features",
    "data_age_ms",
    "shadow",
    "shadow_asked",
    "drainer_id",
)

_KEY_COLUMNS = ("project", "model", "key", "at", "prediction_id")
TRY_AGAIN = ("40001", "40P01")  # serialization failure, deadlock
_DUPLICATES = ("23505", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE")
_LOOKUP = 1000

Row = tuple[Any, ...]

_NAME, _VERSION, _WORD, _ID = 64, 32, 16, 256
_CODE = 32
_INT64 = 1 << 63
_FATES = frozenset(Fate)

_json = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A frame that no row can be made of, and why."""

    letter: Letter
    reason: str


@dataclass(slots=True)
class Sorted:
    """A batch's frames by kind, and those that were refused."""

    predictions: list[PredictionFrame] = field(default_factory=list)
    outcomes: list[OutcomeFrame] = field(default_factory=list)
    refusals: list[RefusalFrame] = field(default_factory=list)
    metrics: list[MetricFrame] = field(default_factory=list)
    shadows: list[ShadowFrame] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    origins: dict[bytes, Letter] = field(default_factory=dict)  # by the prediction's id


@contextmanager
def as_span(frames: Sorted, drainer_id: str) -> Iterator[None]:
    """Trace the storing of a batch, where traces are asked for; an empty one is no span."""
    kinds = (frames.predictions, frames.outcomes, frames.refusals, frames.metrics, frames.shadows)
    n_frames = sum(len(of_a_kind) for of_a_kind in kinds)
    if tracing.active is None or not n_frames:
        yield
        return
    counts = {"frames": n_frames, "predictions": len(frames.predictions)}
    with tracing.working("drain", drainer=drainer_id, **counts) as span:
        try:
            yield
        except TimonelError as error:
            if span is not None:
                span.ended("not_stored", error.code)
            raise


def sort_letters(letters: list[Letter]) -> Sorted:
    """Decode frames and set aside those that the database could not hold."""
    result = Sorted()
    for letter in letters:
        try:
            frame = decode(letter.payload)
        except msgspec.DecodeError as error:  # ValidationError is one too
            result.dead.append(DeadLetter(letter, _unreadable(letter.payload, error)))
            continue
        reason = _refusal(frame)
        if reason is not None:
            result.dead.append(DeadLetter(letter, reason))
        elif isinstance(frame, PredictionFrame):
            result.predictions.append(frame)
            result.origins[frame.id] = letter
        elif isinstance(frame, OutcomeFrame):
            result.outcomes.append(frame)
        elif isinstance(frame, RefusalFrame):
            result.refusals.append(frame)
        elif isinstance(frame, MetricFrame):
            result.metrics.append(frame)
        elif isinstance(frame, ShadowFrame):
            result.shadows.append(frame)
    return result


def _unreadable(payload: bytes, error: msgspec.DecodeError) -> str:
    """Say why a frame cannot be read: it is damaged, or of a release to come."""
    try:
        kind = msgspec.msgpack.decode(payload, type=list[Any])[0]
    except (msgspec.DecodeError, IndexError):
        kind = None
    if isinstance(kind, str) and kind not in KINDS:
        return f"a frame of the kind {kind[:32]!r}: drain it with the release that wrote it"
    return f"unreadable frame: {error}"


def _refusal(frame: Frame) -> str | None:
    if frame.v != FORMAT:
        return f"format {frame.v}, expected {FORMAT}: drain it with the release that wrote it"
    if len(frame.id) != 16:
        return f"an id of {len(frame.id)} bytes, expected 16"
    if not -_INT64 <= frame.at < _INT64:
        return f"time {frame.at}, expected 64 bits"
    if isinstance(frame, PredictionFrame):
        return _refused_prediction(frame)
    if isinstance(frame, OutcomeFrame):
        return _refused_outcome(frame)
    if isinstance(frame, MetricFrame):
        return refused_metric(frame)
    if isinstance(frame, ShadowFrame):
        return _refused_shadow(frame)
    return _unfit(("model", frame.model, _NAME), ("code", frame.code, _CODE))


def _refused_prediction(frame: PredictionFrame) -> str | None:
    for name in ("generation", "latency_us", "data_age_ms"):
        number = getattr(frame, name)
        if number is not None and not -_INT64 <= number < _INT64:
            return f"{name} {number}, expected 64 bits"
    if b"\0" in frame.features or not _utf8(frame.features):
        return "features are no JSON text"
    where = _refused_place(frame.model, frame.version, frame.variant, frame.source, frame.reason)
    if where is not None or (frame.key is None and frame.unit is None):
        return where
    return _unfit(("key", frame.key, _ID), ("unit", frame.unit, _ID))


@lru_cache(maxsize=256)
def _refused_place(model: str, version: str, variant: str, source: str, reason: str) -> str | None:
    return _unfit(
        ("model", model, _NAME),
        ("version", version, _VERSION),
        ("variant", variant, _NAME),
        ("source", source, _WORD),
        ("reason", reason, _WORD),
    )


def _refused_outcome(frame: OutcomeFrame) -> str | None:
    if frame.prediction is not None and len(frame.prediction) != 16:
        return f"a prediction id of {len(frame.prediction)} bytes, expected 16"
    if frame.observed_at is not None and not -_INT64 <= frame.observed_at < _INT64:
        return f"observed_at {frame.observed_at}, expected 64 bits"
    return _unfit(
        ("model", frame.model, _NAME), ("key", frame.key, _ID), ("origin", frame.origin, _WORD)
    )


def _refused_shadow(frame: ShadowFrame) -> str | None:
    if len(frame.prediction) != 16:
        return f"a prediction id of {len(frame.prediction)} bytes, expected 16"
    for name, number in (("generation", frame.generation), ("latency_us", frame.latency_us)):
        if not -_INT64 <= number < _INT64:
            return f"{name} {number}, expected 64 bits"
    if frame.fate not in _FATES:
        return f"the fate {frame.fate[:32]!r}, expected {', '.join(sorted(_FATES))}"
    if (frame.answer is None) == (frame.fate == Fate.ANSWERED):
        return f"the fate {frame.fate!r} with the answer {str(frame.answer)[:32]!r}"
    return _unfit(
        ("model", frame.model, _NAME),
        ("variant", frame.variant, _NAME),
        ("version", frame.version, _VERSION),
    )


def _unfit(*texts: tuple[str, str | None, int]) -> str | None:
    for name, text, limit in texts:
        if text is None:
            continue
        if len(text) > limit:
            return f"{name} has {len(text)} characters, expected at most {limit}"
        if "\0" in text:
            return f"{name} holds a NUL character"
    return None


def _utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def json_text(value: Any) -> str:
    """Give the canonical JSON text of a scalar or a mapping; NaN and infinities become null."""
    return _json.encode(value).decode()


def prediction_row(
    frame: PredictionFrame, project: str, drainer_id: str, ingested_at: int, *, hex_ids: bool
) -> tuple[Any, ...]:
    """Give a prediction's values in the order of ``PREDICTION_COLUMNS``."""
    explanation = frame.explanation
    return (
        project,
        frame.id.hex() if hex_ids else UUID(bytes=frame.id),
        frame.at,
        ingested_at,
        frame.model,
        frame.version,
        frame.variant,
        frame.source,
        frame.reason,
        frame.key,
        frame.unit,
        frame.generation,
        json_text(frame.prediction),
        frame.score,
        None if frame.probabilities is None else json_text(frame.probabilities),
        # a sentence for people: PostgreSQL cannot hold the one character it replaces
        None if explanation is None else explanation.replace("\0", "\ufffd"),
        frame.latency_us,
        frame.features.decode(),
        frame.data_age_ms,
        None if frame.shadow is None else json_text(frame.shadow),
        frame.shadow_asked,
        drainer_id,
    )


def bury(dead: list[DeadLetter]) -> Counter[Path]:
    """Keep dead letters with their reasons, one JSON object a line, beside their spools.

    A line names spool, segment and offset: after a crash between this and the commit a letter may
    stand there twice.
    """
    lines: dict[Path, list[str]] = {}
    for one in dead:
        segment = one.letter.segment
        line = json.dumps(
            {
                "spool": segment.spool_id,
                "segment": segment.number,
                "offset": one.letter.offset,
                "reason": one.reason,
                "payload": base64.b64encode(one.letter.payload).decode(),
            }
        )
        lines.setdefault(segment.path.parent / REJECTED / DEAD_LETTERS, []).append(line)
    for path, texts in lines.items():
        write_durably(path, "".join(text + "\n" for text in texts).encode(), append=True)
    return Counter({path: len(texts) for path, texts in lines.items()})


# -- into the database ------------------------------------------------------------------------


class Raced(Exception):
    """Another transaction was in the way, or decided the same rows meanwhile."""


class RefusedRow(Exception):
    """The database refuses the values of one row; ``index`` is its place among the frames."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index
        self.reason = reason


def insert_predictions(
    connection: Connection,
    frames: Sequence[PredictionFrame],
    *,
    project: str,
    drainer_id: str,
    ingested_at: int,
) -> list[PredictionFrame]:
    """Insert rows in the caller's transaction; give the frames that were really inserted.

    The plain way (``executemany``, ``COPY``) is tried first. Where a row exists already, the batch
    goes again in a way that tells which: within SQLite's write lock by asking, on PostgreSQL
    through a temporary table with ``ON CONFLICT DO NOTHING RETURNING``.

    Raises
    ------
    RefusedRow
        If the database refuses a row for another reason than being there; nothing is inserted.
    """
    if not frames:
        return []
    on_sqlite = connection.dialect.name == "sqlite"
    rows = [
        prediction_row(frame, project, drainer_id, ingested_at, hex_ids=on_sqlite)
        for frame in frames
    ]
    try:
        with connection.begin_nested():
            _write(connection, "predictions", PREDICTION_COLUMNS, rows)
    except Exception as error:
        if not _is_refusal(connection, error):
            raise
    else:
        return list(frames)
    first: dict[bytes, int] = {}
    for index, frame in enumerate(frames):
        first.setdefault(frame.id, index)
    chosen = list(first.values())
    try:
        with connection.begin_nested():
            fresh = (_new_on_sqlite if on_sqlite else _insert_on_postgres)(
                connection, project, [frames[i] for i in chosen], [rows[i] for i in chosen]
            )
    except Exception as error:
        if not _is_refusal(connection, error):
            raise
        raise _find_refused(connection, frames, rows, chosen) from error
    return [frames[i] for i in chosen if frames[i].id in fresh]


def insert_keys(connection: Connection, frames: Sequence[PredictionFrame], *, project: str) -> None:
    """Enter predictions into the look-up table by the user's own key."""
    if not frames:
        return
    on_sqlite = connection.dialect.name == "sqlite"
    rows = [
        (project, f.model, f.key, f.at, f.id.hex() if on_sqlite else UUID(bytes=f.id))
        for f in frames
    ]
    _write(connection, "prediction_keys", _KEY_COLUMNS, rows)


def _write(connection: Connection, table: str, columns: tuple[str, ...], rows: list[Row]) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608
        return
    driver = cast("Any", connection.connection.driver_connection)
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except cast("Any", connection.dialect.dbapi).OperationalError as error:
        # psycopg's own interface: nobody translated this on its way
        if getattr(error, "sqlstate", None) in TRY_AGAIN:
            raise Raced from error
        place = connection.engine.url.render_as_string()
        detail = (str(error).strip().splitlines() or ["the connection was lost"])[0]
        raise StoreUnavailable(database=place, detail=detail) from error


def _is_refusal(connection: Connection, error: Exception) -> bool:
    """Tell a row that the database refuses from a database that cannot be used."""
    original = error.orig if isinstance(error, DBAPIError) else error
    dbapi = cast("Any", connection.dialect.dbapi)
    if isinstance(original, OverflowError | UnicodeError):
        return True
    if not isinstance(original, dbapi.Error):
        return False
    state = getattr(original, "sqlstate", None)
    if state is not None:
        return str(state)[:2] in ("22", "23", "54")
    return isinstance(original, dbapi.IntegrityError | dbapi.DataError | dbapi.InterfaceError)


def _is_duplicate(original: BaseException | None) -> bool:
    state = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return state in _DUPLICATES


def _new_on_sqlite(
    connection: Connection, project: str, frames: list[PredictionFrame], rows: list[Row]
) -> set[bytes]:
    p = predictions.c
    known: set[bytes] = set()
    for start in range(0, len(frames), _LOOKUP):
        ids = [UUID(bytes=frame.id) for frame in frames[start : start + _LOOKUP]]
        found = select(p.prediction_id).where(p.project == project, p.prediction_id.in_(ids))
        known.update(identifier.bytes for identifier in connection.execute(found).scalars())
    new = [(f.id, row) for f, row in zip(frames, rows, strict=True) if f.id not in known]
    if new:
        _write(connection, "predictions", PREDICTION_COLUMNS, [row for _, row in new])
    return {identifier for identifier, _ in new}


def _insert_on_postgres(
    connection: Connection, project: str, frames: list[PredictionFrame], rows: list[Row]
) -> set[bytes]:
    names = ", ".join(f'"{name}"' for name in PREDICTION_COLUMNS)
    connection.exec_driver_sql(
        "CREATE TEMPORARY TABLE IF NOT EXISTS arriving_predictions "
        "(LIKE predictions) ON COMMIT DELETE ROWS"
    )
    _write(connection, "arriving_predictions", PREDICTION_COLUMNS, rows)
    found = connection.exec_driver_sql(
        f"INSERT INTO predictions ({names}) SELECT {names} FROM arriving_predictions "  # noqa: S608
        "ORDER BY prediction_id ON CONFLICT (project, prediction_id) DO NOTHING "
        "RETURNING prediction_id"
    )
    return {identifier.bytes for identifier in found.scalars()}


def _find_refused(
    connection: Connection, frames: Sequence[PredictionFrame], rows: list[Row], chosen: list[int]
) -> RefusedRow:
    """Insert one row at a time, taking each back, until the refused one is found."""
    for index in chosen:
        savepoint = connection.begin_nested()
        try:
            _write(connection, "predictions", PREDICTION_COLUMNS, [rows[index]])
        except Exception as error:
            savepoint.rollback()
            if not _is_refusal(connection, error):
                raise
            original = error.orig if isinstance(error, DBAPIError) else error
            if not _is_duplicate(original):
                return RefusedRow(index, str(original).splitlines()[0][:300])
        else:
            savepoint.rollback()
    raise AssertionError("refused together, taken one by one")
