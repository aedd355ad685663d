"""What the system did by itself, as its database has it: drift, alerts, jobs, promotions.

The client's record says how well the city was answered; this says what the loop made of it. Reading
changes nothing, and what is new since the last look is found by comparing two looks, so that a
story can be told as it happens.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from timonel.alerts.alert import Alert
from timonel.alerts.rows import Choice
from timonel.alerts.texts import describe, severity_word
from timonel.app import App
from timonel.retraining.report import outcome_sentence
from timonel.retraining.texts import TRIGGERS
from timonel.simulate.texts import Timeline
from timonel.store.engine import reading
from timonel.store.errors import StoreUnavailable
from timonel.store.tables import transitions
from timonel.store.tables_loop import job_steps, jobs, verdicts

DRIFT_MONITORS = ("feature_drift", "prediction_drift")
_US = 1_000_000
_MOST_ALERTS = 500
_LOOK_S = 0.25


class StepSeen(NamedTuple):
    """A step of a job; times are event time."""

    step: str
    state: str
    started_at: int
    finished_at: int | None


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A job as it stands; ``created_at`` is event time."""

    job_id: str
    kind: str
    state: str
    trigger: str
    created_at: int
    result: dict[str, Any]
    error: dict[str, Any]
    steps: tuple[StepSeen, ...] = ()

    @property
    def outcome(self) -> str:
        """What it came to: the result's own word, else the job's state."""
        return str(self.result.get("state", self.state))

    def seconds(self, rate: float) -> float | None:
        """Give the real time that its steps took, on a clock of this rate; None before the end."""
        ends = [step.finished_at for step in self.steps if step.finished_at is not None]
        if len(ends) < len(self.steps) or not ends:
            return None
        begun = min(step.started_at for step in self.steps)
        return round((max(ends) - begun) / _US / rate, 3)


class DriftSeen(NamedTuple):
    """A window in which columns had drifted; times are event time."""

    version: str
    window_start: int
    window_end: int
    judged_at: int
    columns: tuple[tuple[str, float], ...]
    """Name and effect, the greatest first."""


class LinkSeen(NamedTuple):
    """A transition of a version."""

    seq: int
    version: str
    from_stage: str
    to_stage: str
    who: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look found, each in the order of its beginning."""

    alerts: tuple[Alert, ...] = ()
    jobs: tuple[JobSeen, ...] = ()
    drifts: tuple[DriftSeen, ...] = ()
    links: tuple[LinkSeen, ...] = ()

    def champion(self) -> str | None:
        """Give the version that went into production last."""
        return next((x.version for x in reversed(self.links) if x.to_stage == "production"), None)


def look(app: App, model: str) -> Sight:
    """Look at one model of a project.

    Raises
    ------
    StoreUnavailable
        If the database cannot be read now.
    """
    alerts = app.alerts.list(Choice(limit=_MOST_ALERTS))
    with reading(app.engine) as connection:
        return Sight(
            alerts=tuple(alert for alert in reversed(alerts) if alert.model in (model, "")),
            jobs=_jobs(connection, app.name, model),
            drifts=_drifts(connection, app.name, model),
            links=_links(connection, app.name, model),
        )


def _jobs(connection: Connection, project: str, model: str) -> tuple[JobSeen, ...]:
    s = job_steps.c
    steps: dict[Any, list[StepSeen]] = {}
    ordered = (
        select(s.job_id, s.step, s.state, s.started_at, s.finished_at)
        .where(s.project == project)
        .order_by(s.job_id, s.position)
    )
    for job_id, *step in connection.execute(ordered):
        steps.setdefault(job_id, []).append(StepSeen(*step))
    j = jobs.c
    query = (
        select(j.job_id, j.kind, j.state, j.payload, j.created_at, j.result, j.error)
        .where(j.project == project, j.model == model)
        .order_by(j.created_at, j.job_id)
    )
    return tuple(
        JobSeen(
            str(job_id),
            kind,
            state,
            str(json.loads(payload).get("trigger", "")),
            created_at,
            _document(result),
            _document(error),
            tuple(steps.get(job_id, ())),
        )
        for job_id, kind, state, payload, created_at, result, error in connection.execute(query)
    )


def _document(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {"value": found}


def _drifts(connection: Connection, project: str, model: str) -> tuple[DriftSeen, ...]:
    v = verdicts.c
    query = (
        select(v.version, v.window_start, v.window_end, v.judged_at, v.subject, v.effect)
        .where(
            v.project == project,
            v.model == model,
            v.monitor.in_(DRIFT_MONITORS),
            v.state.in_(("warning", "alert")),
            v.subject != "",
        )
        .order_by(v.window_end, v.version)
    )
    found: dict[tuple[str, int, int], list[tuple[int, str, float]]] = {}
    for version, start, end, judged_at, subject, effect in connection.execute(query):
        found.setdefault((version, start, end), []).append((judged_at, subject, effect or 0.0))
    return tuple(
        DriftSeen(
            version,
            start,
            end,
            min(row[0] for row in rows),
            tuple(sorted(((name, effect) for _, name, effect in rows), key=lambda c: -c[1])),
        )
        for (version, start, end), rows in found.items()
    )


def _links(connection: Connection, project: str, model: str) -> tuple[LinkSeen, ...]:
    t = transitions.c
    query = (
        select(t.seq, t.version, t.from_stage, t.to_stage, t.who, t.reason, t.at)
        .where(t.project == project, t.model == model)
        .order_by(t.seq)
    )
    return tuple(LinkSeen(*row) for row in connection.execute(query))


class News(NamedTuple):
    """Something that happened between two looks: a line of the catalogue and its facts."""

    key: str
    facts: dict[str, Any]


def news(before: Sight, now: Sight, *, lang: str, rate: float) -> Iterator[News]:
    """Say what is new in the second of two looks.

    Parameters
    ----------
    lang : {"en", "es"}
        Of the sentences that alerts and retrainings have of their own.
    rate : float
        Of the event clock, for how long a job took.
    """
    known_links = {link.seq for link in before.links}
    for link in now.links:
        if link.seq not in known_links and link.to_stage == "production":
            back = link.from_stage == "archived"
            yield News("went_back" if back else "promoted", {"version": link.version, **_by(link)})
    known_drifts = {_drifted(drift) for drift in before.drifts}
    for drift in now.drifts:
        if _drifted(drift) not in known_drifts:
            known_drifts.add(_drifted(drift))
            named = ", ".join(f"{name} ({effect:.2f})" for name, effect in drift.columns[:3])
            yield News("drift", {"version": drift.version, "columns": named})
    yield from _of_alerts(before, now, lang)
    yield from _of_jobs(before, now, lang, rate)


def _by(link: LinkSeen) -> dict[str, str]:
    return {"who": link.who}


def _drifted(drift: DriftSeen) -> tuple[str, frozenset[str]]:
    # the same columns of the same version, a day later, are no news
    return drift.version, frozenset(name for name, _ in drift.columns)


def _of_alerts(before: Sight, now: Sight, lang: str) -> Iterator[News]:
    known = {alert.alert_id: alert for alert in before.alerts}
    for alert in now.alerts:
        if alert.fired_at is None:
            continue
        old = known.get(alert.alert_id)
        text = describe(alert, lang)
        facts = {
            "id": alert.alert_id,
            "severity": severity_word(alert.severity, lang),
            "title": text.title,
            "seen": text.seen,
        }
        if old is None or old.fired_at is None:
            yield News("alert", facts)
        if not alert.active and (old is None or old.active):
            yield News("alert_over" if alert.resolved_by is None else "alert_closed", facts)


def _of_jobs(before: Sight, now: Sight, lang: str, rate: float) -> Iterator[News]:
    known = {job.job_id: job for job in before.jobs}
    for job in now.jobs:
        old = known.get(job.job_id)
        if old is None:
            cause = TRIGGERS.get(job.trigger, TRIGGERS["hand"])[lang]
            yield News("job", {"trigger": cause})
        if _ended(job) and (old is None or not _ended(old)):
            seconds = job.seconds(rate) or 0.0
            said = _said(job, lang)
            yield News("job_over" if job.state == "succeeded" else "job_failed",
                       {"seconds": seconds, "said": said})  # fmt: skip


def _ended(job: JobSeen) -> bool:
    return job.state in ("succeeded", "failed", "cancelled")


def _said(job: JobSeen, lang: str) -> str:
    if job.state == "succeeded":
        return outcome_sentence(job.result, lang).replace("**", "")
    detail = job.error.get(f"detail_{lang}") or job.error.get("detail") or job.state
    return str(detail)


class Herald:
    """Looks at what the system does, again and again, and says what is new."""

    def __init__(self, app: App, model: str, timeline: Timeline) -> None:
        self._app = app
        self._model = model
        self._timeline = timeline
        self.sight = Sight()

    async def watch(self, halt: asyncio.Event) -> None:
        """Look until told to stop, and once more then; a busy database is asked again."""
        while True:
            last = halt.is_set()
            with suppress(StoreUnavailable):
                await self.look()
            if last:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(halt.wait(), _LOOK_S)

    async def look(self) -> None:
        """Look once."""
        found = await asyncio.to_thread(look, self._app, self._model)
        timeline = self._timeline
        for item in news(self.sight, found, lang=timeline.lang, rate=timeline.clock.rate):
            timeline.say(item.key, **item.facts)
        self.sight = found
