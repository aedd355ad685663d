"""What checks said of windows: kept, so that persistence, pages and a restart can read it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple, overload

import msgspec
import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, bindparam, literal, select

from timonel.monitoring.windows import HOUR_US, JudgedHours
from timonel.store.engine import plain_rows
from timonel.store.keyed import write_keyed
from timonel.store.tables_loop import AN_ALERT, verdicts

_N_KEY = 6
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class VerdictState(StrEnum):
    """What can be said of a window; the last two always with a reason in ``facts``."""

    OK = "ok"
    WARNING = "warning"
    ALERT = "alert"
    NOT_ENOUGH = "not_enough"
    UNKNOWN = "unknown"


_FOUND = (VerdictState.WARNING, VerdictState.ALERT)
_STATES = {str(state): state for state in VerdictState}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one monitor says of one subject in one window.

    Parameters
    ----------
    monitor : str
        feature_drift, prediction_drift, performance, fallback, low_confidence, no_data,
        data_quality, outliers.
    subject : str
        Column or metric; "" for the window as a whole.
    start_us, end_us : int
        Event time.
    n : int
        Rows (or labels) it was judged on.
    facts : dict
        JSON-safe.
    """

    model: str
    version: str
    monitor: str
    subject: str
    start_us: int
    end_us: int
    state: VerdictState
    n: int
    statistic: float | None = None
    p_value: float | None = None
    effect: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    judged_at: int = 0

    @property
    def found(self) -> bool:
        """Whether the monitor found something, be it once."""
        return self.state in _FOUND


class JudgedWindow(NamedTuple):
    """What is left of a verdict where thousands are read: no figure of it, its facts unread."""

    start_us: int
    end_us: int
    version: str
    state: VerdictState
    n: int
    judged_at: int
    text: str

    @property
    def found(self) -> bool:
        """Whether the monitor found something, be it once."""
        return self.state in _FOUND

    @property
    def facts(self) -> dict[str, Any]:
        """Its facts, read anew each time."""
        return _decode(self.text)


class JudgedWindows(Sequence[JudgedWindow]):
    """Verdicts on the windows of some weeks, the newest first: as columns, or one by one.

    Parameters
    ----------
    rows : list of tuple
        As the fields of ``JudgedWindow``, its state as it is stored.
    """

    __slots__ = ("_rows", "end_us", "judged_at", "n", "start_us", "states", "texts")

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        columns = [*zip(*rows, strict=True)] or [()] * len(JudgedWindow._fields)
        starts, ends, _, self.states, n, judged_at, self.texts = columns
        self._rows = rows
        self.start_us, self.end_us, self.n, self.judged_at = (
            np.array(column, np.int64) for column in (starts, ends, n, judged_at)
        )

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> JudgedWindow: ...

    @overload
    def __getitem__(self, at: slice) -> "JudgedWindows": ...

    def __getitem__(self, at: int | slice) -> "JudgedWindow | JudgedWindows":
        if isinstance(at, slice):
            return JudgedWindows(self._rows[at])
        start, end, version, state, n, judged_at, text = self._rows[at]
        return JudgedWindow(start, end, version, _STATES[state], n, judged_at, text)

    @property
    def newest_us(self) -> int:
        """Where the window that ends last does; 0 where there is none."""
        return int(self.end_us.max(initial=0))

    def of(self, start_us: int) -> JudgedWindow | None:
        """Give the verdict on the window that begins at a moment."""
        found = np.flatnonzero(self.start_us == start_us)
        return self[int(found[-1])] if len(found) else None

    def hours(self) -> JudgedHours:
        """Give them as what ``windows.due`` asks for."""
        return JudgedHours(self.start_us // HOUR_US, self.end_us // HOUR_US, self.n)


# what a tick asks many times is written once: SQLAlchemy takes longer to write than to run it
_v = verdicts.c
_OF_MODEL = (
    _v.project == bindparam("project"),
    _v.model == bindparam("model"),
    _v.window_start >= bindparam("since"),
)
_OF_MONITOR = (*_OF_MODEL, _v.monitor == bindparam("monitor"))
_OPTIONS: dict[str, ColumnElement[bool]] = {
    "versions": _v.version.in_(bindparam("versions", expanding=True)),
    "subject": _v.subject == bindparam("subject"),
    "before": _v.window_start < bindparam("before"),
    "without": _v.state.not_in(bindparam("without", expanding=True)),
}
_JUDGED, _JUDGED_WITH_FACTS = (
    select(_v.window_start, _v.window_end, _v.version, _v.state, _v.n, _v.judged_at, facts)
    .where(*_OF_MONITOR, _OPTIONS["subject"], _OPTIONS["versions"])
    .order_by(_v.window_start.desc(), _v.version)
    for facts in (literal("{}"), _v.facts)
)
_JUDGED_BEFORE = _JUDGED_WITH_FACTS.where(_OPTIONS["before"]).limit(bindparam("limit"))
_EVER_ALERTED = (
    select(_v.version, _v.monitor, _v.subject)
    .where(*_OF_MODEL, _v.monitor.in_(bindparam("monitors", expanding=True)), _v.state == AN_ALERT)
    .distinct()
)


@cache
def _whole(asked: frozenset[str]) -> Select[Any]:
    return (
        select(*verdicts.c)
        .where(*_OF_MONITOR, *(_OPTIONS[name] for name in sorted(asked)))
        .order_by(_v.window_start.desc(), _v.version, _v.subject)
        .limit(bindparam("limit"))
    )


def write_verdicts(connection: Connection, project: str, found: Iterable[Verdict]) -> None:
    """Store verdicts; one of the same window replaces the older one."""
    rows = [
        (
            project,
            v.model,
            v.version,
            v.monitor,
            v.subject[:256],
            v.start_us,
            v.end_us,
            str(v.state),
            v.n,
            v.statistic,
            v.p_value,
            v.effect,
            _encode(v.facts).decode(),
            v.judged_at,
        )
        for v in found
    ]
    write_keyed(connection, verdicts, _N_KEY, rows)


def read_verdicts(
    connection: Connection,
    project: str,
    model: str,
    monitor: str,
    *,
    since_us: int,
    versions: Sequence[str] | None = None,
    subject: str | None = None,
    before_us: int | None = None,
    without: Sequence[VerdictState] = (),
    limit: int = 10_000,
) -> list[Verdict]:
    """Read verdicts of windows that begin at ``since`` or later, the newest first.

    With ``versions`` and ``subject`` both given, the primary key finds them. Those in a state of
    ``without`` are passed over.
    """
    given: dict[str, Any] = {"project": project, "model": model, "monitor": monitor}
    given |= {"since": since_us, "limit": limit}
    options = {
        "versions": versions,
        "subject": subject,
        "before": before_us,
        "without": [str(state) for state in without] or None,
    }
    asked = {name: value for name, value in options.items() if value is not None}
    rows = connection.execute(_whole(frozenset(asked)), given | asked)
    return [_verdict(row) for row in rows]


def read_judged(
    connection: Connection,
    project: str,
    model: str,
    monitor: str,
    *,
    since_us: int,
    versions: Sequence[str],
    subject: str,
    facts: bool = False,
) -> JudgedWindows:
    """Read what was judged of windows that begin at ``since`` or later, the newest first.

    A month of hours costs a tenth of ``read_verdicts``. Without ``facts`` theirs are not read.
    """
    given: dict[str, Any] = {"project": project, "model": model, "monitor": monitor}
    given |= {"since": since_us, "versions": versions, "subject": subject}
    return JudgedWindows(plain_rows(connection, _JUDGED_WITH_FACTS if facts else _JUDGED, given))


def read_judged_before(
    connection: Connection,
    project: str,
    model: str,
    monitor: str,
    *,
    since_us: int,
    before_us: int,
    version: str,
    most: int,
) -> JudgedWindows:
    """Read what was judged of the last whole windows that begin before a moment, with its facts."""
    given: dict[str, Any] = {"project": project, "model": model, "monitor": monitor}
    given |= {"since": since_us, "before": before_us, "versions": [version], "subject": ""}
    return JudgedWindows(plain_rows(connection, _JUDGED_BEFORE, given | {"limit": most}))


def read_ever_alerted(
    connection: Connection, project: str, model: str, monitors: Sequence[str], since_us: int
) -> set[tuple[str, str, str]]:
    """Give (version, monitor, subject) of the alerts of windows since some moment."""
    given = {"project": project, "model": model, "monitors": monitors, "since": since_us}
    rows = connection.execute(_EVER_ALERTED, given)
    return {(str(version), str(monitor), str(subject)) for version, monitor, subject in rows}


def _verdict(row: Any) -> Verdict:
    return Verdict(
        model=row.model,
        version=row.version,
        monitor=row.monitor,
        subject=row.subject,
        start_us=row.window_start,
        end_us=row.window_end,
        state=_STATES[row.state],
        n=row.n,
        statistic=row.statistic,
        p_value=row.p_value,
        effect=row.effect,
        facts=_decode(row.facts),
        judged_at=row.judged_at,
    )
