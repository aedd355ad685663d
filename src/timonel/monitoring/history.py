"""What was said of a model's windows, for pages, routes and commands; nothing is judged here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, select

from timonel.monitoring.drift_check import ANSWERS, FEATURES
from timonel.monitoring.verdicts import Verdict, read_verdicts
from timonel.store.engine import reading
from timonel.store.tables_loop import verdicts

_LONGEST_US = 7 * 24 * 3600 * 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Monitor(StrEnum):
    """What is watched, as the rows of whole windows name it."""

    FEATURE_DRIFT = "feature_drift"
    PERFORMANCE = "performance"
    METRIC_LOSS = "metric_loss"
    ESTIMATED = "estimated"
    CONCEPT_DRIFT = "concept_drift"
    FALLBACK = "fallback"
    LOW_CONFIDENCE = "low_confidence"
    NO_DATA = "no_data"
    DATA_QUALITY = "data_quality"
    OUTLIERS = "outliers"
    SCHEMA = "schema"
    ANOMALY = "anomaly"


@dataclass(frozen=True, slots=True)
class JudgedWindow:
    """A window with the verdict on the whole, and those on its columns, the worst first.

    ``performance`` is the newest measured (else estimated) figure of a window of answers that
    overlaps it, if there is one.
    """

    whole: Verdict
    columns: tuple[Verdict, ...]
    performance: Verdict | None = None

    def document(self) -> dict[str, Any]:
        """Give it for JSON, times in ISO 8601."""
        return {
            **verdict_document(self.whole),
            "columns": [verdict_document(column) for column in self.columns],
            "performance": None if self.performance is None else verdict_document(self.performance),
        }


def drift_windows(engine: Engine, project: str, model: str, limit: int) -> list[JudgedWindow]:
    """Read the last windows that were judged for drift, the newest first."""
    with reading(engine) as connection:
        v = verdicts.c
        starts = (
            connection.execute(
                select(v.window_start)
                .where(
                    v.project == project,
                    v.model == model,
                    v.monitor == FEATURES,
                    v.subject == "",
                )
                .order_by(v.window_start.desc())
                .limit(limit)
            )
            .scalars()
            .all()
        )
        if not starts:
            return []
        found = [
            verdict
            for monitor in (FEATURES, ANSWERS)
            for verdict in read_verdicts(
                connection, project, model, monitor, since_us=min(starts), limit=100_000
            )
        ]
        measured = [
            verdict
            for monitor in (Monitor.PERFORMANCE, Monitor.ESTIMATED)
            for verdict in read_verdicts(
                connection, project, model, monitor, since_us=min(starts) - _LONGEST_US
            )
        ]
    return [replace(one, performance=_overlapping(one, measured)) for one in _windows(found)]


def _overlapping(window: JudgedWindow, measured: Sequence[Verdict]) -> Verdict | None:
    whole = window.whole
    return next(
        (
            v
            for v in measured
            if v.version == whole.version
            and v.effect is not None
            and not v.subject.endswith((":arrival", ":since_deploy"))
            and v.start_us < whole.end_us
            and v.end_us > whole.start_us
        ),
        None,
    )


def recent_verdicts(
    engine: Engine, project: str, model: str, *, monitor: Monitor | None, limit: int
) -> list[Verdict]:
    """Read the newest verdicts on whole windows, of one monitor or of all."""
    monitors = [monitor] if monitor is not None else list(Monitor)
    with reading(engine) as connection:
        found = [
            verdict
            for name in monitors
            for verdict in read_verdicts(
                connection,
                project,
                model,
                name,
                since_us=0,
                subject="" if name is Monitor.FEATURE_DRIFT else None,
                limit=limit,
            )
        ]
    return sorted(found, key=lambda v: (-v.start_us, v.monitor, v.subject))[:limit]


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Describe a verdict; the reason of one that says nothing is in ``facts``."""
    return {
        "version": verdict.version,
        "monitor": verdict.monitor,
        "subject": verdict.subject,
        "window_start": iso(verdict.start_us),
        "window_end": iso(verdict.end_us),
        "state": str(verdict.state),
        "n": verdict.n,
        "statistic": verdict.statistic,
        "p_value": verdict.p_value,
        "effect": verdict.effect,
        "facts": verdict.facts,
        "judged_at": iso(verdict.judged_at),
    }


def _windows(found: Sequence[Verdict]) -> list[JudgedWindow]:
    columns: dict[tuple[int, str], list[Verdict]] = {}
    for verdict in found:
        if verdict.subject:
            columns.setdefault((verdict.start_us, verdict.version), []).append(verdict)
    order = ("alert", "warning", "ok", "not_enough", "unknown")
    return [
        JudgedWindow(
            whole,
            tuple(
                sorted(
                    columns.get((whole.start_us, whole.version), ()),
                    key=lambda v: (order.index(v.state), -(v.effect or 0.0), v.subject),
                )
            ),
        )
        for whole in sorted(found, key=lambda v: -v.start_us)
        if not whole.subject
    ]


def iso(at_us: int) -> str:
    """Write microseconds since the epoch in ISO 8601, in UTC."""
    moment = _EPOCH + timedelta(microseconds=at_us)
    return moment.isoformat().replace("+00:00", "Z")
