"""The control's usual latency, from the minute windows that the drain keeps anyway."""

import msgspec
from sqlalchemy import Connection, select

from timonel.events.accumulators import LATENCY_EDGES_US, MINUTE_US
from timonel.store.tables import minute_windows

DAY_MINUTES = 1440
_LEAST = 200
_SHARE = 0.95


def frozen_p95_ms(
    connection: Connection, project: str, model: str, version: str, at: int
) -> float | None:
    """Give the 95th percentile of a version's latency over the day before a moment.

    Returns
    -------
    float or None
        Milliseconds, the upper edge of its bin (bins are half powers of two); None under 200
        answers.
    """
    m = minute_windows.c
    now = at // MINUTE_US
    query = select(m.latency_histogram).where(
        m.project == project,
        m.model == model,
        m.version == version,
        m.minute >= now - DAY_MINUTES,
        m.minute < now,
    )
    counts = [0] * (len(LATENCY_EDGES_US) + 1)
    for text in connection.scalars(query):
        for place, n in enumerate(msgspec.json.decode(text, type=list[int])):
            counts[place] += n
    total = sum(counts)
    if total < _LEAST:
        return None
    below = 0
    for place, n in enumerate(counts[:-1]):
        below += n
        if below >= _SHARE * total:
            return LATENCY_EDGES_US[place] / 1000.0
    return None
