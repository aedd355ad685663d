"""What checks said of windows: kept, so that persistence, pages and a restart can read it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, literal, select

from timonel.monitoring.windows import HOUR_US, Judged
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
    v = verdicts.c
    query = select(*verdicts.c).where(
        v.project == project, v.model == model, v.monitor == monitor, v.window_start >= since_us
    )
    if versions is not None:
        query = query.where(v.version.in_(versions))
    if subject is not None:
        query = query.where(v.subject == subject)
    if before_us is not None:
        query = query.where(v.window_start < before_us)
    if without:
        query = query.where(v.state.not_in([str(state) for state in without]))
    rows = connection.execute(
        query.order_by(v.window_start.desc(), v.version, v.subject).limit(limit)
    )
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
) -> list[JudgedWindow]:
    """Read what was judged of windows that begin at ``since`` or later, the newest first.

    A month of hours costs a fifth of ``read_verdicts``. Without ``facts`` theirs are not read.
    """
    v = verdicts.c
    shown = (v.window_start, v.window_end, v.version, v.state, v.n, v.judged_at)
    rows = connection.execute(
        select(*shown, v.facts if facts else literal("{}"))
        .where(
            v.project == project,
            v.model == model,
            v.monitor == monitor,
            v.subject == subject,
            v.version.in_(versions),
            v.window_start >= since_us,
        )
        .order_by(v.window_start.desc(), v.version)
    )
    return [
        JudgedWindow(start, end, version, _STATES[state], n, judged_at, text)
        for start, end, version, state, n, judged_at, text in rows
    ]


def read_ever_alerted(
    connection: Connection, project: str, model: str, monitors: Sequence[str], since_us: int
) -> set[tuple[str, str, str]]:
    """Give (version, monitor, subject) of the alerts of windows since some moment."""
    v = verdicts.c
    rows = connection.execute(
        select(v.version, v.monitor, v.subject)
        .where(
            v.project == project,
            v.model == model,
            v.window_start >= since_us,
            v.monitor.in_(monitors),
            v.state == AN_ALERT,
        )
        .distinct()
    )
    return {(str(version), str(monitor), str(subject)) for version, monitor, subject in rows}


def judged(found: Iterable[Verdict | JudgedWindow]) -> list[Judged]:
    """Give verdicts as what ``windows.due`` asks for."""
    return [Judged(v.start_us // HOUR_US, v.end_us // HOUR_US, v.n) for v in found]


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
