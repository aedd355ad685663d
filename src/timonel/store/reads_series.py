"""Reads of hourly series for the checks: column counts, labels, and minutes of answers."""

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Float, case, cast, func, select, union_all

from timonel.store.tables import minute_windows, performance_cells, predictions, truths
from timonel.store.tables_loop import column_windows, refusal_windows

OF_THE_ROW = ("invalid_row", "invalid_record", "invalid_tensor", "invalid_table")
"""Refusals that are the data's fault; others are the caller's or the server's."""
_NEWEST = 20_000
MOST_UNIT_ROWS = 20_000
_PROBED = 20


class Counted(NamedTuple):
    """Column counts of one hour, profile, version, variant and drainer; ``counts`` is JSON."""

    profile_id: str
    version: str
    n: int
    counts: str


class Labelled(NamedTuple):
    """How many labels of a metric an hour holds, and about their sum (steps of 1e-6)."""

    n: int
    total: float


class Arrived(NamedTuple):
    """Exact sums of the labels of one hour of arrival and one of prediction; steps of 1e-6."""

    arrival_h: int
    exposure_h: int
    n: int
    sum_q: int
    sum_q2: int


class Minute(NamedTuple):
    """Answers of one minute by source and reason."""

    minute: int
    reason: str
    n: int


class Refused(NamedTuple):
    """Rows of one minute that broke the schema; ``fields`` counts them by field at fault."""

    minute: int
    n: int
    fields: dict[str, int]


class Presence(NamedTuple):
    """When a model was asked: rows in all, the first and the last minute, the longest silence."""

    n: int
    first: int
    last: int
    longest_silence: int

    def followed_by(self, later: "Presence") -> "Presence":
        """Join with what came after: the silence between the two counts, too.

        Examples
        --------
        >>> Presence(3, 10, 12, 0).followed_by(Presence(2, 20, 20, 0))
        Presence(n=5, first=10, last=20, longest_silence=7)
        """
        between = later.first - self.last - 1
        longest = max(self.longest_silence, between, later.longest_silence)
        return Presence(self.n + later.n, self.first, later.last, longest)


class MinuteSums(NamedTuple):
    """All answers of a model in one minute, whoever gave them; ``confidence_sum`` is rounded."""

    minute: int
    n: int
    latency_sum_us: int
    n_fallback: int
    n_errors: int
    n_confidence: int
    confidence_sum: float


def read_counted_hours(
    connection: Connection, project: str, model: str, since_h: int
) -> dict[int, int]:
    """Count the rows in column windows by epoch hour."""
    w = column_windows.c
    rows = connection.execute(
        select(w.hour, func.sum(w.n))
        .where(w.project == project, w.model == model, w.hour >= since_h)
        .group_by(w.hour)
    )
    return {int(hour): int(n) for hour, n in rows}


def read_counted(
    connection: Connection, project: str, model: str, start_h: int, end_h: int
) -> list[Counted]:
    """Read the column counts of ``[start, end)``, in a stable order."""
    w = column_windows.c
    rows = connection.execute(
        select(w.profile_id, w.version, w.n, w.counts)
        .where(w.project == project, w.model == model, w.hour >= start_h, w.hour < end_h)
        .order_by(w.profile_id, w.version, w.variant, w.hour, w.drainer_id)
    )
    return [Counted(*row) for row in rows]


def read_version_hours(
    connection: Connection, project: str, model: str, version: str, profile_id: str, since_h: int
) -> dict[int, int]:
    """Count the answers of one version, in the cells of one profile, by epoch hour."""
    w = column_windows.c
    rows = connection.execute(
        select(w.hour, func.sum(w.n))
        .where(
            w.project == project,
            w.model == model,
            w.profile_id == profile_id,
            w.version == version,
            w.hour >= since_h,
        )
        .group_by(w.hour)
    )
    return {int(hour): int(n) for hour, n in rows}


def read_label_hours(
    connection: Connection, project: str, model: str, version: str, metric: str, since_h: int
) -> tuple[dict[int, Labelled], dict[int, Labelled]]:
    """Give a version's own labels by hour of prediction, and by hour of the label's arrival.

    The sums are floats: they tell whether something changed, and by about how much.
    """
    c = performance_cells.c
    total = func.sum(cast(c.sum_q, Float(53)))
    mine = (
        c.project == project,
        c.model == model,
        c.version == version,
        c.source == "model",
        c.metric == metric,
    )
    found = []
    for hour in (c.exposure_hour, c.arrival_hour):
        rows = connection.execute(
            select(hour, func.sum(c.n), total).where(*mine, hour >= since_h).group_by(hour)
        )
        found.append({int(h): Labelled(int(n), float(t)) for h, n, t in rows})
    return found[0], found[1]


def read_arrived(
    connection: Connection,
    project: str,
    model: str,
    version: str,
    metric: str,
    start_h: int,
    end_h: int,
) -> list[Arrived]:
    """Give the sums of labels that arrived in ``[start, end)``, by arrival, then by prediction."""
    c = performance_cells.c
    rows = connection.execute(
        select(c.arrival_hour, c.exposure_hour, c.n, c.sum_q, c.sum_q2)
        .where(
            c.project == project,
            c.model == model,
            c.version == version,
            c.source == "model",
            c.metric == metric,
            c.arrival_hour >= start_h,
            c.arrival_hour < end_h,
        )
        .order_by(c.arrival_hour, c.exposure_hour)
    )
    sums: dict[tuple[int, int], list[int]] = {}
    for arrival_h, exposure_h, n, q, q2 in rows:
        total = sums.setdefault((arrival_h, exposure_h), [0, 0, 0])
        total[0] += n
        total[1] += int(q)
        total[2] += int(q2)
    return [Arrived(*key, *total) for key, total in sums.items()]


def read_label_sums(
    connection: Connection,
    project: str,
    model: str,
    version: str,
    metric: str,
    start_h: int,
    end_h: int,
    *,
    by_arrival: bool = False,
) -> tuple[int, int, int]:
    """Add up a version's own labels of ``[start, end)``: n, sum, sum of squares, exactly."""
    c = performance_cells.c
    hour = c.arrival_hour if by_arrival else c.exposure_hour
    rows = connection.execute(
        select(c.n, c.sum_q, c.sum_q2).where(
            c.project == project,
            c.model == model,
            c.version == version,
            c.source == "model",
            c.metric == metric,
            hour >= start_h,
            hour < end_h,
        )
    )
    n = total = squares = 0
    for count, q, q2 in rows:
        n, total, squares = n + count, total + int(q), squares + int(q2)
    return n, total, squares


def read_label_values(
    connection: Connection, project: str, model: str, until_us: int, *, at_most: int = 2
) -> list[str]:
    """Give different truths (JSON) of the newest predictions before a moment, the first few."""
    p, t = predictions.c, truths.c
    newest = (
        select(p.prediction_id)
        .where(p.project == project, p.model == model, p.at < until_us)
        .order_by(p.at.desc())
        .limit(_NEWEST)
        .subquery()
    )
    values = connection.scalars(
        select(t.value)
        .join(newest, newest.c.prediction_id == t.prediction_id)
        .where(t.project == project)
        .distinct()
        .limit(at_most)
    )
    return list(values)


def read_reasons(
    connection: Connection, project: str, model: str, since_minute: int, until_minute: int
) -> list[Minute]:
    """Count answers by minute and reason in ``[since, until)``, epoch minutes."""
    w = minute_windows.c
    rows = connection.execute(
        select(w.minute, w.reason, func.sum(w.n))
        .where(
            w.project == project,
            w.model == model,
            w.minute >= since_minute,
            w.minute < until_minute,
        )
        .group_by(w.minute, w.reason)
        .order_by(w.minute, w.reason)
    )
    return [Minute(int(minute), reason, int(n)) for minute, reason, n in rows]


def read_refused(
    connection: Connection, project: str, model: str, since_minute: int, until_minute: int
) -> list[Refused]:
    """Read the rows that broke the schema in ``[since, until)``, epoch minutes, in their order."""
    w = refusal_windows.c
    rows = connection.execute(
        select(w.minute, w.n, w.fields)
        .where(
            w.project == project,
            w.model == model,
            w.code.in_(OF_THE_ROW),
            w.minute >= since_minute,
            w.minute < until_minute,
        )
        .order_by(w.minute, w.code, w.drainer_id)
    )
    return [
        Refused(int(minute), int(n), msgspec.json.decode(fields, type=dict[str, int]))
        for minute, n, fields in rows
    ]


def read_presences(
    connection: Connection, project: str, model: str, since_minute: int, until_minute: int
) -> dict[int, Presence]:
    """Say by epoch hour when a model was asked in ``[since, until)``, refused rows included.

    One row an hour comes back, however many minutes there are; none of an hour without any.
    """
    parts = []
    for table in (minute_windows, refusal_windows):
        w = table.c
        asked = select(w.minute, w.n).where(
            w.project == project,
            w.model == model,
            w.minute >= since_minute,
            w.minute < until_minute,
        )
        parts.append(asked if table is minute_windows else asked.where(w.code.in_(OF_THE_ROW)))
    rows = union_all(*parts).subquery()
    minutes = (
        select(rows.c.minute, func.sum(rows.c.n).label("n")).group_by(rows.c.minute).subquery()
    )
    m = minutes.c
    hour = (m.minute // 60).label("hour")
    before = func.lag(m.minute).over(partition_by=hour, order_by=m.minute)
    g = select(hour, m.minute, m.n, (m.minute - before).label("gap")).subquery().c
    found = connection.execute(
        select(
            g.hour, func.sum(g.n), func.min(g.minute), func.max(g.minute), func.max(g.gap)
        ).group_by(g.hour)
    )
    return {
        int(hour): Presence(int(n), first, last, (longest or 1) - 1)
        for hour, n, first, last, longest in found
    }


def read_presence(
    connection: Connection, project: str, model: str, since_minute: int, until_minute: int
) -> Presence | None:
    """Say when a model was asked in ``[since, until)``; None where it was not."""
    return presence_of(read_presences(connection, project, model, since_minute, until_minute))


def presence_of(hours: Mapping[int, Presence]) -> Presence | None:
    """Join what is known of hours; of none, None."""
    ordered = [hours[hour] for hour in sorted(hours)]
    return reduce(Presence.followed_by, ordered) if ordered else None


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


def read_minute_sums(
    connection: Connection, project: str, model: str, since_minute: int, until_minute: int
) -> list[MinuteSums]:
    """Add up a model's answers by minute in ``[since, until)``; empty minutes are absent."""
    w = minute_windows.c
    failed = w.reason.in_(("model_error", "timeout", "breaker_open", "overload", "invalid_output"))
    rows = connection.execute(
        select(
            w.minute,
            func.sum(w.n),
            func.sum(w.latency_sum_us),
            func.sum(case((w.reason != "assigned", w.n), else_=0)),
            func.sum(case((failed, w.n), else_=0)),
            func.sum(w.confidence_n),
            func.sum(cast(w.confidence_q, Float(53))),
        )
        .where(
            w.project == project,
            w.model == model,
            w.minute >= since_minute,
            w.minute < until_minute,
        )
        .group_by(w.minute)
        .order_by(w.minute)
    )
    return [
        MinuteSums(int(m), int(n), int(us), int(f), int(e), int(c), float(total) / 1e6)
        for m, n, us, f, e, c, total in rows
    ]


def read_known_minutes(
    connection: Connection,
    project: str,
    model: str,
    since_minute: int,
    until_minute: int,
    *,
    least: int,
    confident: bool = False,
) -> tuple[int, int] | None:
    """Give the first and the last minute of ``[since, until)`` with so many answers.

    Parameters
    ----------
    least : int
        At least 1.
    confident : bool
        Count only answers that gave a confidence.

    Returns
    -------
    (int, int) or None
        None where there is no such minute.
    """
    w = minute_windows.c
    counted = w.confidence_n if confident else w.n
    known = (
        select(w.minute)
        .where(
            w.project == project,
            w.model == model,
            w.minute >= since_minute,
            w.minute < until_minute,
            counted > 0,
        )
        .group_by(w.minute)
        .having(func.sum(counted) >= least)
        .limit(1)
    )  # the index by minute gives either end without reading what lies between
    first = connection.scalar(known.order_by(w.minute))
    last = connection.scalar(known.order_by(w.minute.desc()))
    return None if first is None or last is None else (int(first), int(last))
