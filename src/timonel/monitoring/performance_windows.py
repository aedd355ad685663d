"""What was estimated of a model's windows, beside what its truths said; nothing is judged here."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from timonel.monitoring.concept_check import CONCEPT, STREAM, WINDOW
from timonel.monitoring.estimate_check import ESTIMATED
from timonel.monitoring.performance import Quality, metric_of, quality
from timonel.monitoring.performance_check import PERFORMANCE
from timonel.monitoring.series.metric_check import METRIC_LOSS
from timonel.monitoring.verdicts import Verdict, read_verdicts
from timonel.store.engine import reading
from timonel.store.reads_windows import HOUR_US, read_cells

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BLIND_SPOT = "estimates follow the scores: none of them sees concept drift"


@dataclass(frozen=True, slots=True)
class PerformanceWindow:
    """One window of predictions: estimated when it closed, realised by the truths so far.

    Parameters
    ----------
    estimated : Verdict
    realised : Quality
        By time of prediction; unknown with a reason before truths come.
    concept : Verdict or None
        Whether the truths said less than the scores promised; None before there are truths.
    """

    estimated: Verdict
    realised: Quality
    concept: Verdict | None

    def document(self) -> dict[str, Any]:
        """Give it for JSON, times in ISO 8601."""
        facts, interval = self.estimated.facts, self.realised.interval
        main = facts["estimates"][facts["metric"]]
        return {
            "version": self.estimated.version,
            "window_start": _iso(self.estimated.start_us),
            "window_end": _iso(self.estimated.end_us),
            "n": self.estimated.n,
            "metric": facts["metric"],
            "baseline": facts["baseline"],
            "limit": facts["limit"],
            "estimated": {
                "state": str(self.estimated.state),
                "value": main["value"],
                "lower": main["lower"],
                "upper": main["upper"],
                "reason": facts.get("reason"),
                "others": {k: v for k, v in facts["estimates"].items() if k != facts["metric"]},
            },
            "realised": {
                "value": interval.estimate if interval else None,
                "lower": interval.low if interval else None,
                "upper": interval.high if interval else None,
                "n_labels": self.realised.n_labels,
                "enough": self.realised.enough,
                "reason": str(self.realised.unknown) if self.realised.unknown else None,
            },
            "concept": None
            if self.concept is None
            else {
                "state": str(self.concept.state),
                "effect": self.concept.effect,
                "p_value": self.concept.p_value,
                "reason": self.concept.facts.get("reason"),
            },
        }


@dataclass(frozen=True, slots=True)
class PerformanceHistory:
    """The last windows of a model, and the newest word of every other look at its truths."""

    windows: tuple[PerformanceWindow, ...]
    looks: tuple[Verdict, ...]

    def document(self) -> dict[str, Any]:
        """Give it for JSON; the state of a detector is its own affair."""
        return {
            "windows": [window.document() for window in self.windows],
            "looks": [
                {
                    "version": look.version,
                    "look": look.subject,
                    "window_start": _iso(look.start_us),
                    "window_end": _iso(look.end_us),
                    "state": str(look.state),
                    "n": look.n,
                    "effect": look.effect,
                    "facts": {k: v for k, v in look.facts.items() if k not in ("state", "known")},
                }
                for look in self.looks
            ],
            "blind_spot": BLIND_SPOT,
        }


def performance_history(
    engine: Engine, project: str, model: str, task: str, *, n_needed: int, limit: int
) -> PerformanceHistory:
    """Read the last windows that were estimated, the newest first, with the truths so far."""
    with reading(engine) as connection:
        estimated = [
            verdict
            for verdict in read_verdicts(
                connection, project, model, ESTIMATED, since_us=0, limit=limit
            )
            if "estimates" in verdict.facts
        ]
        others = [
            verdict
            for monitor in (PERFORMANCE, METRIC_LOSS, CONCEPT)
            for verdict in read_verdicts(
                connection, project, model, monitor, since_us=0, limit=3 * limit
            )
        ]
        cells = []
        if estimated:
            since = min(verdict.start_us for verdict in estimated)
            until = max(verdict.end_us for verdict in estimated)
            kept = [metric_of(task)[1]]
            cells = read_cells(connection, project, model, since, until, metrics=kept)
    windows = []
    for one in estimated:
        hours = range(one.start_us // HOUR_US, one.end_us // HOUR_US)
        mine = [
            cell
            for cell in cells
            if (cell.version, cell.source) == (one.version, "model") and cell.exposure_hour in hours
        ]
        found = quality(mine, task, n_answered=one.n, n_needed=n_needed)
        windows.append(PerformanceWindow(one, found, _concept_of(one, others)))
    return PerformanceHistory(tuple(windows), tuple(_newest(others, metric_of(task)[0])))


def _concept_of(one: Verdict, others: list[Verdict]) -> Verdict | None:
    return next(
        (
            v
            for v in others
            if v.monitor == CONCEPT
            and v.subject.endswith(f":{WINDOW}")
            and (v.version, v.start_us, v.end_us) == (one.version, one.start_us, one.end_us)
        ),
        None,
    )


def _newest(others: list[Verdict], metric: str) -> list[Verdict]:
    """Give the newest verdict of each look of the version that was judged last."""
    if not others:
        return []
    version = max(others, key=lambda v: v.judged_at).version
    views = ("prediction", "arrival", "since_deploy")
    further = sorted({v.subject.partition(":")[0] for v in others if v.monitor == METRIC_LOSS})
    looks = [f"{metric}:{look}" for look in (*views, STREAM)]
    looks += [f"{one}:{look}" for one in further for look in views]
    found = []
    for look in looks:
        mine = [v for v in others if (v.version, v.subject) == (version, look)]
        found += [max(mine, key=lambda v: (v.end_us, v.judged_at))] if mine else []
    return found


def _iso(at_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")
