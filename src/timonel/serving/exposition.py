"""The slots as Prometheus text (format 0.0.4): what ``GET /metrics`` answers."""

from collections.abc import Iterator

from timonel.serving.metrics import (
    LATENCY_EDGES_US,
    Family,
    Gauge,
    Reading,
    Series,
    Totals,
)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COUNTERS = (
    (Family.REFUSALS, "timonel_refusals_total", ("model", "code"), "Requests not answered."),
    (Family.OUTCOMES, "timonel_outcomes_received_total", ("model",), "Outcomes accepted."),
    (Family.REQUESTS, "timonel_requests_total", ("route", "status"), "Requests of predict routes."),
    (
        Family.UNLOGGED,
        "timonel_unlogged_predictions_total",
        ("model",),
        "Predictions answered while the spool took nothing.",
    ),
    (
        Family.SHADOWS,
        "timonel_shadow_answers_total",
        ("model", "variant", "fate"),
        "Rows for versions that nobody hears, by what came of asking them.",
    ),
)
_GAUGES = {
    Gauge.GENERATION: "Generation of transitions that the worker serves.",
    Gauge.READY: "1 while the worker has something to answer with.",
    Gauge.IN_FLIGHT: "Requests being answered.",
    Gauge.STORE_SEEN: "When the worker last read the database.",
}
_PREDICTION_LABELS = ("model", "version", "variant", "source", "reason")


def exposition(readings: list[Reading]) -> str:
    """Write counters summed over the workers, and gauges a worker.

    Parameters
    ----------
    readings : list of Reading
        As ``read_slots`` gives them.
    """
    return "\n".join([*_lines(readings, Totals.of(readings)), ""])


def _lines(readings: list[Reading], totals: Totals) -> Iterator[str]:
    predictions = totals.family(Family.PREDICTIONS)
    name = "timonel_predictions_total"
    yield from head(name, "counter", "Answers, by who gave them and why.")
    for one in predictions:
        yield f"{name}{written_labels(_PREDICTION_LABELS, one.labels)} {one.n}"
    yield from _histograms(predictions)
    for family, name, labels, text in _COUNTERS:
        yield from head(name, "counter", text)
        for one in totals.family(family):
            yield f"{name}{written_labels(labels, one.labels)} {one.n}"
    name = "timonel_version_fault"
    yield from head(name, "gauge", "1 while some worker cannot load the version.")
    for one in totals.family(Family.FAULTS):
        yield f"{name}{written_labels(('model', 'version'), one.labels)} {min(one.n, 1)}"
    for gauge, text in _GAUGES.items():
        name = f"timonel_worker_{gauge}"
        yield from head(name, "gauge", text)
        for reading in readings:
            yield f'{name}{{worker="{reading.slot}"}} {reading.gauges[gauge]}'


def _histograms(predictions: list[Series]) -> Iterator[str]:
    name = "timonel_prediction_latency_seconds"
    yield from head(name, "histogram", "From the request's arrival to its answer.")
    for one in predictions:
        labels = written_labels(_PREDICTION_LABELS, one.labels)
        below = 0
        edges = [f"{edge / 1e6:g}" for edge in LATENCY_EDGES_US]
        for edge, n in zip([*edges, "+Inf"], one.buckets, strict=True):
            below += n
            yield f'{name}_bucket{labels[:-1]},le="{edge}"}} {below}'
        yield f"{name}_sum{labels} {one.sum_us / 1e6:.6f}"
        yield f"{name}_count{labels} {below}"


def head(name: str, kind: str, text: str) -> Iterator[str]:
    """Give the lines before a family."""
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def written_labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Write labels in braces; "" for each that has no value."""
    # A series that found no place of its own carries fewer labels than its family has.
    padded = (*values, *("" for _ in range(len(names) - len(values))))
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, padded, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
