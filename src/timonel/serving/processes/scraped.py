"""What a host knows beside its workers' counters, as Prometheus text.

The project's own metrics, as the drainers of this host have committed them; what stands in its
spools; and what checks found, which is the database's and the same on every host.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from timonel.clock import AffineClock
from timonel.events.lag import Lag
from timonel.events.recorded.counting import EDGES, Total
from timonel.events.recorded.naming import Series
from timonel.serving.exposition import head, written_labels
from timonel.stats.moments import PER_UNIT
from timonel.store.control import DISK, MACHINE, HostReading
from timonel.store.reads_windows import AlertRow, DriftRow

_PREFIX = "timonel_metric_"
_STATES = {"ok": 0, "warning": 1, "alert": 2}
"""Of a column; about those in another state nothing can be said."""
_COLUMN = ("model", "version", "monitor", "column")

Sample = tuple[tuple[str, ...], float]


def recorded_exposition(totals: Mapping[Series, Total]) -> str:
    """Write each metric as a histogram of its own, ``timonel_metric_<name>``.

    Parameters
    ----------
    totals : mapping of Series to Total
        In the order of the names.
    """
    return _text(_lines(totals))


def _lines(totals: Mapping[Series, Total]) -> Iterator[str]:
    for metric, found in groupby(totals.items(), key=lambda item: item[0].name):
        name = f"{_PREFIX}{metric}"
        yield from head(name, "histogram", "Recorded by the project.")
        for series, total in found:
            yield from _histogram(name, series, total)


def _histogram(name: str, series: Series, total: Total) -> Iterator[str]:
    names = tuple(key for key, _ in series.labels)
    values = tuple(value for _, value in series.labels)
    edges = [f"{edge / PER_UNIT:g}" for edge in EDGES]
    below = 0
    for edge, n in zip([*edges, "+Inf"], total.bins, strict=True):
        below += n
        labels = written_labels((*names, "le"), (*values, edge))
        yield f"{name}_bucket{labels} {below}"
    labels = written_labels(names, values) if names else ""
    yield f"{name}_sum{labels} {total.q / PER_UNIT:.6f}"
    yield f"{name}_count{labels} {below}"


def lag_exposition(lag: Lag, clock: AffineClock | None) -> str:
    """Write what stands in the spools of this host.

    Parameters
    ----------
    lag : Lag
    clock : AffineClock or None
        Event time. None: it was never read, and the age is left out.
    """
    lines = _gauge(
        "timonel_spool_undrained_bytes",
        "Bytes of events on this host that the database does not hold yet.",
        (),
        [((), lag.n_bytes)],
    )
    if clock is not None:
        behind_us = 0 if lag.oldest_at is None else max(0, clock.now_us() - lag.oldest_at)
        lines += _gauge(
            "timonel_spool_oldest_undrained_seconds",
            "Age of the oldest event on this host that the database does not hold yet.",
            (),
            [((), round(behind_us / 1e6 / clock.rate, 3))],
        )
    return _text(lines)


def host_exposition(readings: Sequence[HostReading]) -> str:
    """Write what the processes, the machine and the disk use; nothing where it is not measured."""
    processes = [one for one in readings if one.name not in (MACHINE, DISK)]
    lines = _gauge(
        "timonel_process_memory_bytes",
        "Resident memory of a process, with those that it has started.",
        ("process",),
        [((one.name,), one.used) for one in processes],
    )
    for name, what in ((MACHINE, "memory"), (DISK, "disk")):
        found = [one for one in readings if one.name == name]
        figures = (
            ("used", [((), one.used) for one in found]),
            ("allowed", [((), one.allowed) for one in found if one.allowed is not None]),
        )
        for figure, samples in figures:
            text = f"Bytes {figure} of this host's {what}."
            lines += _gauge(f"timonel_{what}_{figure}_bytes", text, (), samples)
    return _text(lines)


def watched_exposition(
    drift: Sequence[DriftRow], alerts: Sequence[AlertRow], waiting: Mapping[str, int]
) -> str:
    """Write what the newest judged windows said, and which alerts there are.

    Parameters
    ----------
    drift : sequence of DriftRow
    alerts : sequence of AlertRow
    waiting : mapping of str to int
        Messages that wait, by channel.
    """
    return _text([*_drift(drift), *_alerts(alerts, waiting)])


def _drift(rows: Sequence[DriftRow]) -> Iterator[str]:
    columns = [row for row in rows if row.column]
    windows = [row for row in rows if not row.column]
    yield from _gauge(
        "timonel_drift_effect",
        "How far a column of the newest judged window lies from its reference, by its own test.",
        _COLUMN,
        [(_place(row), row.effect) for row in columns if row.effect is not None],
    )
    yield from _gauge(
        "timonel_drift_p_value",
        "The p-value beside the effect.",
        _COLUMN,
        [(_place(row), row.p_value) for row in columns if row.p_value is not None],
    )
    yield from _gauge(
        "timonel_drift_state",
        "0 ok, 1 drifted in one window, 2 in two of three (an alert).",
        _COLUMN,
        [(_place(row), _STATES[row.state]) for row in columns if row.state in _STATES],
    )
    yield from _gauge(
        "timonel_drift_window_state",
        "The state of the newest judged window is the one whose series is there.",
        ("model", "version", "state"),
        [((row.model, row.version, row.state), 1) for row in windows],
    )
    yield from _gauge(
        "timonel_drift_window_rows",
        "Rows of the newest judged window.",
        ("model", "version"),
        [((row.model, row.version), row.n) for row in windows],
    )
    yield from _gauge(
        "timonel_drift_window_end_unix_seconds",
        "End of the newest judged window, event time.",
        ("model", "version"),
        [((row.model, row.version), row.window_end / 1e6) for row in windows],
    )


def _place(row: DriftRow) -> tuple[str, ...]:
    return (row.model, row.version, row.monitor, row.column)


def _alerts(rows: Sequence[AlertRow], waiting: Mapping[str, int]) -> Iterator[str]:
    yield from _gauge(
        "timonel_alerts",
        "Alerts that are in a state.",
        ("model", "type", "severity", "state"),
        [((row.model, row.kind, row.severity, row.state), row.n) for row in rows],
    )
    # by severity it could go back: that of an alert may rise
    fired: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        fired[row.model, row.kind] += row.n_fired
    yield from _family(
        "timonel_alerts_fired_total",
        "counter",
        "Alerts that ever fired.",
        ("model", "type"),
        fired.items(),
    )
    yield from _gauge(
        "timonel_alert_messages_waiting",
        "Messages about alerts that their channel has not taken yet.",
        ("channel",),
        [((channel,), n) for channel, n in waiting.items()],
    )


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> list[str]:
    return list(_family(name, "gauge", text, labels, samples))


def _family(
    name: str, kind: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample]
) -> Iterator[str]:
    yield from head(name, kind, text)
    for values, value in samples:
        # a whole number as such: six figures are too few for a moment
        shown = str(int(value)) if float(value).is_integer() else repr(float(value))
        yield f"{name}{written_labels(labels, values) if labels else ''} {shown}"


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
