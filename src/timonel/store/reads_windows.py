"""Reads of sums and counts: what the drain keeps, over drainers, and what was found in it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from timonel.store.engine import database_now
from timonel.store.tables import (
    aliases,
    control,
    declarations,
    drainers,
    minute_windows,
    model_versions,
    performance_cells,
    predictions,
    processes,
)
from timonel.store.tables_loop import NEVER_AGAIN, alert_outbox, alerts, score_windows, verdicts

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
MOST_UNIT_ROWS = 20_000
_PROBED = 20
DRIFT_MONITORS = ("feature_drift", "prediction_drift")
"""The first one also judges windows as such."""


class Answered(NamedTuple):
    """How many answers a version (or the rules) gave for a reason, and their summed latency."""

    version: str
    source: str
    reason: str
    n: int
    latency_sum_us: int
    variant: str = ""


class Cell(NamedTuple):
    """Exact sums of one metric over one hour of predictions; quantities in steps of 1e-6."""

    version: str
    source: str
    metric: str
    exposure_hour: int
    n: int
    sum_q: int
    sum_q2: int
    variant: str = ""


class Paired(NamedTuple):
    """How many labelled answers had one pair of truth and answer (``metric`` names it)."""

    version: str
    source: str
    variant: str
    metric: str
    n: int


class Stated(NamedTuple):
    """Sums of labelled scores of an hour and drainer, as JSON."""

    version: str
    source: str
    variant: str
    sums: str


class DeclarationRow(NamedTuple):
    """A published declaration: a serving manifest without a version, as JSON text."""

    model: str
    manifest: str
    declared_at: int


class DrainerRow(NamedTuple):
    """How far a drainer is in event time, and for how long it has said nothing."""

    drainer_id: str
    watermark: int
    silent_us: int


class ProcessRow(NamedTuple):
    """A process that serves, the generation it runs, and for how long it has said nothing."""

    role: str
    generation: int
    silent_us: int


def read_answered(
    connection: Connection, project: str, model: str, since_us: int, until_us: int
) -> list[Answered]:
    """Add up a model's answers of the minutes in ``[since, until)``, event time."""
    w = minute_windows.c
    rows = connection.execute(
        select(w.version, w.source, w.reason, func.sum(w.n), func.sum(w.latency_sum_us), w.variant)
        .where(
            w.project == project,
            w.model == model,
            w.minute >= since_us // MINUTE_US,
            w.minute < -(-until_us // MINUTE_US),
        )
        .group_by(w.version, w.source, w.reason, w.variant)
    )
    # PostgreSQL sums bigints to numeric
    return [Answered(v, s, r, int(n), int(us), variant) for v, s, r, n, us, variant in rows]


def read_minutes(
    connection: Connection, project: str, model: str, since_us: int, until_us: int
) -> dict[int, int]:
    """Count a model's answers per epoch minute in ``[since, until)``; empty minutes are absent."""
    w = minute_windows.c
    rows = connection.execute(
        select(w.minute, func.sum(w.n))
        .where(
            w.project == project,
            w.model == model,
            w.minute >= since_us // MINUTE_US,
            w.minute < -(-until_us // MINUTE_US),
        )
        .group_by(w.minute)
    )
    return {int(minute): int(n) for minute, n in rows}


def read_cells(
    connection: Connection,
    project: str,
    model: str,
    since_us: int,
    until_us: int,
    *,
    metrics: Sequence[str],
    by_arrival: bool = False,
) -> list[Cell]:
    """Add up some metrics per version, source, metric, hour of prediction and variant.

    The span is of the predictions' time, or of the truths' arrival. The sums are unbounded
    integers kept as text, so they are added here, not in SQL. Retractions by revised outcomes are
    part of them; a cell that adds up to nothing is left out.
    """
    c = performance_cells.c
    hour = c.arrival_hour if by_arrival else c.exposure_hour
    rows = connection.execute(
        select(
            *(c.version, c.source, c.metric, c.exposure_hour, c.variant, c.n, c.sum_q, c.sum_q2)
        ).where(
            c.project == project,
            c.model == model,
            c.metric.in_(metrics),
            hour >= since_us // HOUR_US,
            hour < -(-until_us // HOUR_US),
        )
    )
    sums: dict[tuple[str, str, str, int, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for version, source, metric, hour, variant, n, sum_q, sum_q2 in rows:
        total = sums[version, source, metric, hour, variant]
        total[0] += n
        total[1] += int(sum_q)
        total[2] += int(sum_q2)
    return [
        Cell(*key[:4], n, sum_q, sum_q2, key[4])
        for key, (n, sum_q, sum_q2) in sorted(sums.items())
        if n
    ]


def read_pairs(
    connection: Connection,
    project: str,
    model: str,
    since_us: int,
    until_us: int,
    *,
    prefix: str,
    by_arrival: bool = False,
) -> list[Paired]:
    """Count labelled answers per version, source, variant and pair of truth and answer."""
    c = performance_cells.c
    hour = c.arrival_hour if by_arrival else c.exposure_hour
    rows = connection.execute(
        select(c.version, c.source, c.variant, c.metric, func.sum(c.n))
        .where(
            c.project == project,
            c.model == model,
            c.metric.startswith(prefix, autoescape=True),
            hour >= since_us // HOUR_US,
            hour < -(-until_us // HOUR_US),
        )
        .group_by(c.version, c.source, c.variant, c.metric)
    )
    return [Paired(v, s, variant, m, int(n)) for v, s, variant, m, n in rows if n]


def read_scores(
    connection: Connection,
    project: str,
    model: str,
    since_us: int,
    until_us: int,
    *,
    by_arrival: bool = False,
) -> list[Stated]:
    """Read the sums of labelled scores over a span."""
    s = score_windows.c
    rows = connection.execute(
        select(s.version, s.source, s.variant, s.sums).where(
            s.project == project,
            s.model == model,
            s.axis == ("arrival" if by_arrival else "prediction"),
            s.hour >= since_us // HOUR_US,
            s.hour < -(-until_us // HOUR_US),
        )
    )
    return [Stated(*row) for row in rows]


def read_holdouts(
    connection: Connection, project: str, model: str, versions: Iterable[str]
) -> dict[str, str]:
    """Give what training measured of some versions (JSON), by version."""
    v = model_versions.c
    rows = connection.execute(
        select(v.version, v.metrics).where(
            v.project == project, v.model == model, v.version.in_(sorted(versions))
        )
    )
    return {str(version): str(metrics) for version, metrics in rows}


def read_declarations(connection: Connection, project: str) -> list[DeclarationRow]:
    """Read what the project's models were last published as, by name."""
    d = declarations.c
    rows = connection.execute(
        select(d.model, d.manifest, d.declared_at).where(d.project == project).order_by(d.model)
    )
    return [DeclarationRow(*row) for row in rows]


def read_aliases(connection: Connection, project: str, model: str) -> dict[str, str]:
    """Give a model's named versions: champion, challenger, previous."""
    a = aliases.c
    rows = connection.execute(
        select(a.alias, a.version).where(a.project == project, a.model == model)
    )
    return {str(alias): str(version) for alias, version in rows}


def read_drainers(connection: Connection, project: str) -> list[DrainerRow]:
    """Read how far each drainer is."""
    d = drainers.c
    rows = connection.execute(
        select(d.drainer_id, d.watermark, database_now() - d.seen_at).where(d.project == project)
    )
    return [DrainerRow(*row) for row in rows]


def read_processes(connection: Connection, project: str) -> list[ProcessRow]:
    """Read the processes that have reported themselves, also those that have fallen silent."""
    p = processes.c
    rows = connection.execute(
        select(p.role, p.generation, database_now() - p.seen_at).where(p.project == project)
    )
    return [ProcessRow(*row) for row in rows]


def read_generation(connection: Connection, project: str) -> int | None:
    """Give the generation that every process should run; None without the project's row."""
    c = control.c
    return connection.scalar(select(c.generation).where(c.project == project))


class DriftRow(NamedTuple):
    """What the newest judged window said of a column; ``column`` is "" for it as a whole."""

    model: str
    version: str
    monitor: str
    column: str
    state: str
    n: int
    effect: float | None
    p_value: float | None
    window_end: int


def read_last_drift(connection: Connection, project: str) -> list[DriftRow]:
    """Read each model's newest judged window, by model, monitor and column."""
    v, m = verdicts.c, model_versions.c
    start = (  # one step down the primary key for each version, however many windows there are
        select(func.max(v.window_start))
        .where(
            v.project == project,
            v.model == m.model,
            v.version == m.version,
            v.monitor == DRIFT_MONITORS[0],
            v.subject == "",
        )
        .correlate(model_versions)
        .scalar_subquery()
    )
    newest: dict[str, tuple[int, str]] = {}
    starts = connection.execute(select(m.model, m.version, start).where(m.project == project))
    for model, version, start_us in starts:
        if start_us is not None:
            newest[model] = max(newest.get(model, (start_us, version)), (start_us, version))
    shown = (v.model, v.version, v.monitor, v.subject, v.state, v.n, v.effect, v.p_value)
    found: list[DriftRow] = []
    for model, (start_us, version) in sorted(newest.items()):
        rows = connection.execute(
            select(*shown, v.window_end)
            .where(
                v.project == project,
                v.model == model,
                v.window_start == start_us,
                v.version == version,
                v.monitor.in_(DRIFT_MONITORS),
            )
            .order_by(v.monitor, v.subject)
        )
        found += [DriftRow(*row) for row in rows]
    return found


class AlertRow(NamedTuple):
    """How many alerts of a kind, severity and state a model has, and how many of them ever fired.

    ``model`` is "" for those of the whole project.
    """

    model: str
    kind: str
    severity: str
    state: str
    n: int
    n_fired: int


def read_alert_counts(connection: Connection, project: str) -> list[AlertRow]:
    """Count all alerts there ever were."""
    a = alerts.c
    by = (a.model, a.kind, a.severity, a.state)
    rows = connection.execute(
        select(*by, func.count(), func.count(a.fired_at))
        .where(a.project == project)
        .group_by(*by)
        .order_by(*by)
    )
    return [AlertRow(*row) for row in rows]


def read_waiting_messages(connection: Connection, project: str) -> dict[str, int]:
    """Count, per channel, the messages about alerts that are not delivered yet."""
    o = alert_outbox.c
    rows = connection.execute(
        select(o.channel, func.count())
        .where(o.project == project, o.delivered_at.is_(None), o.next_at < NEVER_AGAIN)
        .group_by(o.channel)
        .order_by(o.channel)
    )
    return {str(channel): int(n) for channel, n in rows}


def read_unit_sizes(
    connection: Connection, project: str, model: str, since_us: int, until_us: int
) -> list[int]:
    """Count the rows of each unit among the first 20,000 of ``[since, until)``.

    Returns
    -------
    list of int
        Rows without a unit are one each; empty where the first rows name none at all.
    """
    p = predictions.c
    rows = (
        select(p.unit_id)
        .where(p.project == project, p.model == model, p.at >= since_us, p.at < until_us)
        .order_by(p.at)
    )
    if not any(connection.scalars(rows.limit(_PROBED))):
        return []
    sizes = Counter(connection.scalars(rows.limit(MOST_UNIT_ROWS)))
    alone = sizes.pop(None, 0)
    return [*sizes.values(), *[1] * alone]
