"""What the project itself recorded: the statistics of the last hour, and what is usual.

Read from minutes of exact sums and bucket counts; the cost follows the number of minutes and
series, not of values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, select

from timonel.errors import closest
from timonel.events.errors import UnknownMetric
from timonel.events.recorded.counting import stored_sketch
from timonel.events.recorded.naming import Series
from timonel.monitoring.verdicts import Verdict, read_verdicts
from timonel.stats.moments import ExactSums
from timonel.stats.series.sketch import WIDEST, Sketch
from timonel.store.engine import reading
from timonel.store.tables_loop import metric_cells, metric_totals

LAST_MIN = 60
KEPT_MIN = 35 * 24 * 60
"""How long minutes are kept: five whole weeks, of which what is usual is learned."""
MONITOR = "recorded"
MINUTE_US = 60_000_000
_HOUR_US = 60 * MINUTE_US
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_MINUTES_A_DELETE = 10


@dataclass(frozen=True, slots=True)
class Recorded:
    """One series in the last hour of event time.

    Parameters
    ----------
    series : Series
    sketch : Sketch
        Of that hour; empty where nothing came.
    verdict : Verdict or None
        What was last said of its newest minutes; None: nothing yet.
    """

    series: Series
    sketch: Sketch
    verdict: Verdict | None = None

    def document(self) -> dict[str, Any]:
        """Give it for JSON; what cannot be said is null."""
        sketch, verdict = self.sketch, self.verdict
        return {
            "name": self.series.name,
            "labels": dict(self.series.labels),
            "n": sketch.n,
            "mean": sketch.mean,
            "std": sketch.std,
            "min": sketch.least,
            "max": sketch.greatest,
            **{name: sketch.quantile(p) for name, p in _QUANTILES.items()},
            "state": None if verdict is None else str(verdict.state),
            "facts": {} if verdict is None else verdict.facts,
        }


def hour_document(now_us: int, found: list[Recorded]) -> dict[str, Any]:
    """Give all of them for JSON, with what the figures rest on."""
    until = now_us // MINUTE_US + 1
    return {
        "minutes": LAST_MIN,
        "until_us": until * MINUTE_US,
        "quantile_error": WIDEST,
        "metrics": [one.document() for one in found],
    }


def read_recorded(
    engine: Engine, project: str, now_us: int, name: str | None = None
) -> list[Recorded]:
    """Read every series that was ever recorded (of one name), as it is in the last 60 minutes.

    Parameters
    ----------
    now_us : int
        Event time; the present minute, as far as it is stored, is the last of them.
    """
    until = now_us // MINUTE_US + 1
    with reading(engine) as connection:
        known = read_series(connection, project, name)
        sketches = read_sketches(connection, project, until - LAST_MIN, until, name)
        said = read_verdicts(
            connection, project, "", MONITOR, since_us=now_us - 2 * _HOUR_US, versions=("",)
        )
    newest: dict[str, Verdict] = {}
    for verdict in said:
        newest.setdefault(verdict.subject, verdict)
    return [
        Recorded(series, sketches.get(series, Sketch()), newest.get(series.subject))
        for series in known
    ]


def find_recorded(engine: Engine, project: str, now_us: int, name: str) -> list[Recorded]:
    """Read the series of one name, as ``read_recorded`` does.

    Raises
    ------
    UnknownMetric
        If nothing of that name was ever stored.
    """
    found = read_recorded(engine, project, now_us, name)
    if not found:
        with reading(engine) as connection:
            names = {series.name for series in read_series(connection, project)}
        raise UnknownMetric(metric=name, known=closest(name, sorted(names)))
    return found


def read_series(connection: Connection, project: str, name: str | None = None) -> list[Series]:
    """Give the series that were ever recorded, by name and labels."""
    t = metric_totals.c
    query = select(t.name, t.labels).where(t.project == project).distinct()
    if name is not None:
        query = query.where(t.name == name)
    return sorted(Series.read(*row) for row in connection.execute(query))


def read_sketches(
    connection: Connection, project: str, since: int, until: int, name: str | None = None
) -> dict[Series, Sketch]:
    """Add up what was recorded in the minutes ``[since, until)``, by series."""
    c = metric_cells.c
    query = select(c.name, c.labels, c.n, c.sum_q, c.sum_q2, c.low, c.high, c.counts).where(
        c.project == project, c.minute >= since, c.minute < until
    )
    if name is not None:
        query = query.where(c.name == name)
    found: dict[Series, Sketch] = {}
    for metric, labels, *stored in connection.execute(query):
        series = Series.read(metric, labels)
        found[series] = found.get(series, Sketch()) + stored_sketch(*stored)
    return found


def read_active(connection: Connection, project: str, since: int, until: int) -> list[Series]:
    """Give the series with values in the minutes ``[since, until)``."""
    c = metric_cells.c
    rows = connection.execute(
        select(c.name, c.labels)
        .where(c.project == project, c.minute >= since, c.minute < until)
        .distinct()
    )
    return sorted(Series.read(*row) for row in rows)


def read_minutes(
    connection: Connection, project: str, series: Series, since: int, until: int
) -> Mapping[int, ExactSums]:
    """Give the exact sums of a series in ``[since, until)``, by minute."""
    c = metric_cells.c
    rows = connection.execute(
        select(c.minute, c.n, c.sum_q, c.sum_q2).where(
            c.project == project,
            c.name == series.name,
            c.labels == series.text,
            c.minute >= since,
            c.minute < until,
        )
    )
    found: dict[int, ExactSums] = {}
    for minute, n, q, q2 in rows:
        found[minute] = found.get(minute, ExactSums()) + ExactSums(n, int(q), int(q2))
    return found


def remove_old(engine: Engine, project: str, now_us: int) -> int:
    """Delete minutes that are older than any use of them; give how many rows went.

    A few minutes a transaction, so that on SQLite nobody waits long for the write lock.
    """
    c = metric_cells.c
    before = now_us // MINUTE_US - KEPT_MIN
    n_removed = 0
    while True:
        with engine.begin() as connection:
            old = (
                select(c.minute)
                .where(c.project == project, c.minute < before)
                .distinct()
                .order_by(c.minute)
                .limit(_MINUTES_A_DELETE)
            )
            minutes = list(connection.scalars(old))
            if not minutes:
                return n_removed
            gone = delete(metric_cells).where(c.project == project, c.minute.in_(minutes))
            n_removed += connection.execute(gone).rowcount
