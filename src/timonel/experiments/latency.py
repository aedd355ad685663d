"""How soon and how well answers came, from the minute windows that the drain keeps anyway."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, select

from timonel.events.accumulators import LATENCY_EDGES_US, MINUTE_US
from timonel.experiments.design import CONTROL, SLOW, Answers, Design
from timonel.experiments.errors import LatencyUnknown
from timonel.store.tables import minute_windows
from timonel.wire.answer import FAILED, Reason

DAY_MINUTES = 1440
_LEAST = 200
_LEAST_SHOWN = 20
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
        _add(counts, text)
    return None if sum(counts) < _LEAST else _p95_ms(counts)


def with_frozen(connection: Connection, project: str, design: Design, at: int) -> Design:
    """Freeze the control's latency of the day before a moment as the threshold of "slow".

    Raises
    ------
    LatencyUnknown
        If that day knows too few answers.
    """
    guardrails = []
    for guardrail in design.guardrails:
        if guardrail.event == SLOW and guardrail.threshold_ms is None:
            control = design.arms[CONTROL].version
            limit_ms = frozen_p95_ms(connection, project, design.model, control, at)
            if limit_ms is None:
                raise LatencyUnknown(
                    experiment=design.name, version=control or str(Answers.RULES), least=_LEAST
                )
            guardrail = replace(guardrail, threshold_ms=limit_ms)
        guardrails.append(guardrail)
    return replace(design, guardrails=tuple(guardrails))


class Answered(NamedTuple):
    """What is known of a variant's answers.

    Parameters
    ----------
    n, failed, fell_back : int
        All; those whose model failed, was late, gave no valid answer or could not be asked
        (``timonel.wire.answer.FAILED``); and those that rules gave, for whatever reason.
    p95_ms : float or None
        As of ``frozen_p95_ms``; None under 20 answers, or beyond the last bin.
    """

    n: int
    failed: int
    fell_back: int
    p95_ms: float | None


def answers_of(
    connection: Connection, project: str, model: str, variants: Sequence[str], since: int
) -> dict[str, Answered]:
    """Give what is known of the answers of variants that have any, since a moment (us)."""
    m = minute_windows.c
    query = select(m.variant, m.reason, m.n, m.latency_histogram).where(
        m.project == project,
        m.model == model,
        m.variant.in_(variants),
        m.minute >= since // MINUTE_US,
    )
    n: dict[tuple[str, str], int] = defaultdict(int)
    counts: dict[str, list[int]] = {}
    for variant, reason, more, histogram in connection.execute(query):
        n[variant, reason] += more
        _add(counts.setdefault(variant, [0] * (len(LATENCY_EDGES_US) + 1)), histogram)
    found = {}
    for variant, of_variant in counts.items():
        total = sum(of_variant)
        failed = sum(n[variant, reason] for reason in FAILED)
        found[variant] = Answered(
            total,
            failed,
            total - n[variant, Reason.ASSIGNED.value],
            _p95_ms(of_variant) if total >= _LEAST_SHOWN else None,
        )
    return found


def _add(counts: list[int], histogram: str) -> None:
    for place, n in enumerate(msgspec.json.decode(histogram, type=list[int])):
        counts[place] += n


def _p95_ms(counts: Sequence[int]) -> float | None:
    below, total = 0, sum(counts)
    for place, n in enumerate(counts[:-1]):
        below += n
        if below >= _SHARE * total:
            return LATENCY_EDGES_US[place] / 1000.0
    return None
