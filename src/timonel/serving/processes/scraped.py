"""A project's own metrics as Prometheus text: what the drainers of this host have committed."""

from collections.abc import Iterator, Mapping
from itertools import groupby

from timonel.events.recorded.counting import EDGES, Total
from timonel.events.recorded.naming import Series
from timonel.serving.exposition import head, written_labels
from timonel.stats.moments import PER_UNIT

_PREFIX = "timonel_metric_"


def recorded_exposition(totals: Mapping[Series, Total]) -> str:
    """Write each metric as a histogram of its own, ``timonel_metric_<name>``.

    Parameters
    ----------
    totals : mapping of Series to Total
        In the order of the names.
    """
    return "".join(f"{line}\n" for line in _lines(totals))


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
