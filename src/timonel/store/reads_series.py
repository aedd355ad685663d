"""Reads of hourly series for the checks: column counts, labels, and minutes of answers."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import msgspec
import numpy as np
from sqlalchemy import (
    BindParameter,
    Connection,
    Float,
    Select,
    bindparam,
    case,
    cast,
    func,
    select,
    union_all,
)

from timonel.stats.profiles.packing import FloatArray, IntArray
from timonel.store.engine import plain_rows
from timonel.store.tables import minute_windows, performance_cells, predictions, truths
from timonel.store.tables_loop import column_windows, refusal_windows, row_windows
from timonel.wire.answer import FAILED

OF_THE_ROW = ("invalid_row", "invalid_record", "invalid_tensor", "invalid_table")
"""Refusals that are the data's fault; others are the caller's or the server's."""
# statements that a tick runs are written once: SQLAlchemy takes longer to write one than to run it
_PROJECT: BindParameter[str] = bindparam("project")
_MODEL: BindParameter[str] = bindparam("model")
_SINCE: BindParameter[int] = bindparam("since")
_UNTIL: BindParameter[int] = bindparam("until")
_NEWEST = 20_000


class Counted(NamedTuple):
    """Column counts of one hour, profile, version, variant and drainer; ``counts`` is JSON."""

    profile_id: str
    version: str
    n: int
    counts: str


class Hourly(NamedTuple):
    """Rows by epoch hour, as columns: hours, ascending, and how many rows each holds."""

    hour: IntArray
    n: IntArray


class VersionHours(NamedTuple):
    """Rows by epoch hour, profile and version, as columns; by hour."""

    hour: IntArray
    n: IntArray
    answered: tuple[tuple[str, str], ...]

    def since(self, hour: int) -> "VersionHours":
        """Give those of an hour and later."""
        first = int(self.hour.searchsorted(hour))
        return VersionHours(self.hour[first:], self.n[first:], self.answered[first:])

    def in_all(self) -> Hourly:
        """Give all rows, whoever answered."""
        first = np.flatnonzero(np.diff(self.hour, prepend=-1))
        return Hourly(self.hour[first], np.add.reduceat(self.n, first) if len(first) else self.n)

    def of(self, profile_id: str, version: str) -> Hourly:
        """Give the answers of one version, in the cells of one profile."""
        mine = np.array([one == (profile_id, version) for one in self.answered], bool)
        return Hourly(self.hour[mine], self.n[mine])


class LabelledHours(NamedTuple):
    """Labels of a metric by epoch hour, as columns, and about their sums (steps of 1e-6)."""

    hour: IntArray
    n: IntArray
    total: FloatArray

    def within_each(self, start_h: IntArray, end_h: IntArray) -> tuple[IntArray, FloatArray]:
        """Add up n and sum of the labels of stretches ``[start, end)``.

        A stretch of one hour has that hour's sum to the bit.
        """
        first, last = self.hour.searchsorted(start_h), self.hour.searchsorted(end_h)
        n = np.append(0, self.n.cumsum())
        filled = first < last
        total = np.zeros(len(first))
        if filled.any():
            # pairs of bounds, of which every second one ends a stretch
            bounds = np.stack([first[filled], last[filled]], axis=1).ravel()
            total[filled] = np.add.reduceat(np.append(self.total, 0.0), bounds)[::2]
        return n[np.maximum(first, last)] - n[first], total


class MarkedRows(NamedTuple):
    """How many rows one drainer stored in an hour, and a bitmap of them as text."""

    n: int
    bits: str


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


_w = column_windows.c
_OF_MODEL = (_w.project == _PROJECT, _w.model == _MODEL, _w.hour >= _SINCE)
_COUNTED_HOURS = (
    select(_w.hour, func.sum(_w.n), _w.profile_id, _w.version)
    .where(*_OF_MODEL)
    .group_by(_w.hour, _w.profile_id, _w.version)
    .order_by(_w.hour, _w.profile_id, _w.version)
)
_COUNTED = (
    select(_w.profile_id, _w.version, _w.n, _w.counts)
    .where(*_OF_MODEL, _w.hour < _UNTIL)
    .order_by(_w.profile_id, _w.version, _w.variant, _w.hour, _w.drainer_id)
)


def read_counted_hours(
    connection: Connection, project: str, model: str, since_h: int
) -> VersionHours:
    """Count the rows in column windows by epoch hour, profile and version."""
    given: dict[str, Any] = {"project": project, "model": model, "since": since_h}
    rows = plain_rows(connection, _COUNTED_HOURS, given)
    hour, n = _columns(rows, np.int64, np.int64)
    return VersionHours(hour, n, tuple((profile_id, version) for _, _, profile_id, version in rows))


def _columns(rows: Sequence[tuple[Any, ...]], *types: Any) -> Iterator[np.ndarray[Any, Any]]:
    """Give rows of numbers as columns; a sum may come as a Decimal."""
    for at, type_ in enumerate(types):
        yield np.fromiter((row[at] for row in rows), type_, len(rows))


def read_counted(
    connection: Connection, project: str, model: str, start_h: int, end_h: int
) -> list[Counted]:
    """Read the column counts of ``[start, end)``, in a stable order."""
    given: dict[str, Any] = {"project": project, "model": model, "since": start_h, "until": end_h}
    return [Counted(*row) for row in connection.execute(_COUNTED, given)]


def read_marked_rows(
    connection: Connection, project: str, model: str, start_h: int, end_h: int
) -> list[MarkedRows]:
    """Read which rows came in ``[start, end)``."""
    r = row_windows.c
    rows = connection.execute(
        select(r.n, r.bits).where(
            r.project == project, r.model == model, r.hour >= start_h, r.hour < end_h
        )
    )
    return [MarkedRows(*row) for row in rows]


_c = performance_cells.c
_LABELS = (
    _c.project == _PROJECT,
    _c.model == _MODEL,
    _c.version == bindparam("version"),
    _c.source == "model",
    _c.metric == bindparam("metric"),
)
_LABEL_HOURS, _LABEL_HOURS_BY_ARRIVAL = (
    select(hour, func.sum(_c.n), func.sum(cast(_c.sum_q, Float(53))))
    .where(*_LABELS, hour >= _SINCE)
    .group_by(hour)
    .order_by(hour)
    for hour in (_c.exposure_hour, _c.arrival_hour)
)
_ARRIVED = (
    select(_c.arrival_hour, _c.exposure_hour, _c.n, _c.sum_q, _c.sum_q2)
    .where(*_LABELS, _c.arrival_hour >= _SINCE, _c.arrival_hour < _UNTIL)
    .order_by(_c.arrival_hour, _c.exposure_hour)
)
_LABEL_SUMS, _LABEL_SUMS_BY_ARRIVAL = (
    select(_c.n, _c.sum_q, _c.sum_q2).where(*_LABELS, hour >= _SINCE, hour < _UNTIL)
    for hour in (_c.exposure_hour, _c.arrival_hour)
)


def read_label_hours(
    connection: Connection,
    project: str,
    model: str,
    version: str,
    metric: str,
    since_h: int,
    *,
    by_arrival: bool = False,
) -> LabelledHours:
    """Give a version's own labels by hour of prediction, or by hour of the label's arrival.

    The sums are floats: they tell whether something changed, and by about how much.
    """
    given: dict[str, Any] = {"project": project, "model": model, "version": version}
    given |= {"metric": metric, "since": since_h}
    rows = plain_rows(connection, _LABEL_HOURS_BY_ARRIVAL if by_arrival else _LABEL_HOURS, given)
    return LabelledHours(*_columns(rows, np.int64, np.int64, np.float64))


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
    given: dict[str, Any] = {"project": project, "model": model, "version": version}
    given |= {"metric": metric, "since": start_h, "until": end_h}
    rows = connection.execute(_ARRIVED, given)
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
    given: dict[str, Any] = {"project": project, "model": model, "version": version}
    given |= {"metric": metric, "since": start_h, "until": end_h}
    rows = plain_rows(connection, _LABEL_SUMS_BY_ARRIVAL if by_arrival else _LABEL_SUMS, given)
    n, sums, squares = zip(*rows, strict=True) if rows else ((), (), ())
    return sum(n), sum(map(int, sums)), sum(map(int, squares))


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


_m = minute_windows.c
_r = refusal_windows.c
_OF_MINUTES, _OF_REFUSALS = (
    (t.project == _PROJECT, t.model == _MODEL, t.minute >= _SINCE, t.minute < _UNTIL)
    for t in (_m, _r)
)
_REASONS = (
    select(_m.minute, _m.reason, func.sum(_m.n))
    .where(*_OF_MINUTES)
    .group_by(_m.minute, _m.reason)
    .order_by(_m.minute, _m.reason)
)
_REFUSED = (
    select(_r.minute, _r.n, _r.fields)
    .where(*_OF_REFUSALS, _r.code.in_(OF_THE_ROW))
    .order_by(_r.minute, _r.code, _r.drainer_id)
)


def _presences() -> Select[int, int, int, int, int | None]:
    answered = select(_m.minute, _m.n).where(*_OF_MINUTES)
    refused = select(_r.minute, _r.n).where(*_OF_REFUSALS, _r.code.in_(OF_THE_ROW))
    rows = union_all(answered, refused).subquery().c
    minutes = select(rows.minute, func.sum(rows.n).label("n")).group_by(rows.minute)
    m = minutes.subquery().c
    hour = (m.minute // 60).label("hour")
    before = func.lag(m.minute).over(partition_by=hour, order_by=m.minute)
    g = select(hour, m.minute, m.n, (m.minute - before).label("gap")).subquery().c
    ends = func.min(g.minute), func.max(g.minute), func.max(g.gap)
    return select(g.hour, func.sum(g.n), *ends).group_by(g.hour)


_PRESENCES = _presences()
_FAILED = _m.reason.in_(sorted(FAILED))
_MINUTE_SUMS = (
    select(
        _m.minute,
        func.sum(_m.n),
        func.sum(_m.latency_sum_us),
        func.sum(case((_m.reason != "assigned", _m.n), else_=0)),
        func.sum(case((_FAILED, _m.n), else_=0)),
        func.sum(_m.confidence_n),
        func.sum(cast(_m.confidence_q, Float(53))),
    )
    .where(*_OF_MINUTES)
    .group_by(_m.minute)
    .order_by(_m.minute)
)
# by whether only answers with a confidence count: the first such minute, and the last; the index by
# minute gives either without reading what lies between
_KNOWN = {
    confident: [
        select(_m.minute)
        .where(*_OF_MINUTES, counted > 0)
        .group_by(_m.minute)
        .having(func.sum(counted) >= bindparam("least"))
        .order_by(order)
        .limit(1)
        for order in (_m.minute, _m.minute.desc())
    ]
    for confident, counted in ((False, _m.n), (True, _m.confidence_n))
}


def _minutes(project: str, model: str, since: int, until: int) -> dict[str, Any]:
    return {"project": project, "model": model, "since": since, "until": until}


def read_reasons(
    connection: Connection, project: str, model: str, since_minute: int, until_minute: int
) -> list[Minute]:
    """Count answers by minute and reason in ``[since, until)``, epoch minutes."""
    given = _minutes(project, model, since_minute, until_minute)
    rows = connection.execute(_REASONS, given).all()
    return [Minute(int(minute), reason, int(n)) for minute, reason, n in rows]


def read_refused(
    connection: Connection, project: str, model: str, since_minute: int, until_minute: int
) -> list[Refused]:
    """Read the rows that broke the schema in ``[since, until)``, epoch minutes, in their order."""
    given = _minutes(project, model, since_minute, until_minute)
    return [
        Refused(int(minute), int(n), msgspec.json.decode(fields, type=dict[str, int]))
        for minute, n, fields in connection.execute(_REFUSED, given)
    ]


def read_presences(
    connection: Connection, project: str, model: str, since_minute: int, until_minute: int
) -> dict[int, Presence]:
    """Say by epoch hour when a model was asked in ``[since, until)``, refused rows included.

    One row an hour comes back, however many minutes there are; none of an hour without any.
    """
    given = _minutes(project, model, since_minute, until_minute)
    return {
        int(hour): Presence(int(n), first, last, (longest or 1) - 1)
        for hour, n, first, last, longest in connection.execute(_PRESENCES, given)
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


def read_minute_sums(
    connection: Connection, project: str, model: str, since_minute: int, until_minute: int
) -> list[MinuteSums]:
    """Add up a model's answers by minute in ``[since, until)``; empty minutes are absent."""
    given = _minutes(project, model, since_minute, until_minute)
    rows = connection.execute(_MINUTE_SUMS, given).all()
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
    given = _minutes(project, model, since_minute, until_minute)
    first, last = (connection.scalar(one, given | {"least": least}) for one in _KNOWN[confident])
    return None if first is None or last is None else (int(first), int(last))
