"""Starting retrainings: by hand, by schedule, by what monitoring found; and saying why not."""

from typing import Any

from sqlalchemy import func, select

from timonel.jobs.endings import failure_of, last_ended
from timonel.jobs.errors import JobActive, UnknownSchedule
from timonel.jobs.job import Job, JobState, one_per_model
from timonel.jobs.queue import JobQueue
from timonel.jobs.schedule import Scheduler
from timonel.project.durations import duration
from timonel.project.model import Model, Policy
from timonel.registry.versions import Stage
from timonel.retraining.judging.comparisons import newest_compared
from timonel.retraining.judging.verdicts import Loss, confirmed_loss
from timonel.retraining.learning.log import count_answers, count_labelled
from timonel.retraining.leftovers import remove_leftovers
from timonel.retraining.parts import Parts
from timonel.retraining.pipeline import KIND
from timonel.retraining.texts import WHY
from timonel.retraining.triggers import Facts, Policies, TriggerReport, decide, labels_needed
from timonel.signals import Condition, Kind, Severity, Signal
from timonel.store.engine import reading
from timonel.store.tables_loop import verdicts

MONITOR = "retraining"
_ACTIVE = (JobState.QUEUED, JobState.RUNNING)


class Retraining:
    """Starts and explains the retrainings of one project.

    Parameters
    ----------
    parts : Parts
    queue : JobQueue
    scheduler : Scheduler
    """

    def __init__(self, parts: Parts, queue: JobQueue, scheduler: Scheduler) -> None:
        self.parts = parts
        self._queue = queue
        self._scheduler = scheduler

    def start(self, model: str, *, who: str, trigger: str = "hand") -> Job:
        """Enter a retraining.

        Raises
        ------
        JobActive
            If one of this model has not ended; ``context["job_id"]`` names it.
        UnknownModel
            With the known names.
        """
        self.parts.registry.declaration(model)
        return self._queue.submit(
            KIND,
            model=model,
            payload={"trigger": trigger},
            unique_key=one_per_model(KIND, model),
            requested_by=who,
        )

    def jobs(self, model: str, limit: int = 20) -> list[Job]:
        """List a model's retrainings, the newest first."""
        return self._queue.list(model=model, kind=KIND, limit=limit)

    def check(self, model: str) -> TriggerReport:
        """Say what would happen now, and why; changes nothing."""
        self.parts.registry.declaration(model)
        policy = self.parts.model(model).policy
        return decide(model, self._facts(model), policies_of(policy))

    def _due(self, model: Model) -> str | None:
        policies = policies_of(model.policy)
        return decide(model.name, self._facts(model.name, policies), policies).by_itself

    def consider(self) -> list[Job]:
        """Start what is to start by itself, and signal what ended badly or waits for a person."""
        started = []
        for model in self.parts.models().values():
            if not self._is_published(model.name):
                continue
            self._signal(model.name)
            trigger = self._due(model)
            if trigger is None:
                continue
            try:
                started.append(self.start(model.name, who=f"trigger {trigger}", trigger=trigger))
            except JobActive:  # another worker's consideration was first
                continue
        return started

    def remove_leftovers(self) -> int:
        """Remove the rows that ended retrainings had fetched, a day after; give how many files."""
        return remove_leftovers(self.parts)

    def schedule(self) -> None:
        """Bring the schedules to what the policies say."""
        known = {schedule.name for schedule in self._scheduler.list()}
        for model in self.parts.models().values():
            name, cron = schedule_name(model.name), model.policy.retrain
            if cron is not None:
                self._scheduler.put(name, cron, KIND, model.name, {"trigger": "cron"})
            elif name in known:
                self._forget(name)

    def _forget(self, name: str) -> None:
        try:
            self._scheduler.remove(name)
        except UnknownSchedule:  # another process was first
            return

    def _is_published(self, model: str) -> bool:
        return any(row.model == model for row in self.parts.registry.declarations())

    def _facts(self, model: str, enough: Policies | None = None) -> Facts:
        """Gather what the triggers ask; with ``enough``, labels are counted no further."""
        parts = self.parts
        champion = parts.registry.champion(model)
        jobs = self.jobs(model, limit=20)
        active = next((job.job_id for job in jobs if job.state in _ACTIVE), None)
        last = next((job.created_at for job in jobs if job.state is not JobState.CANCELLED), None)
        made_at = None if champion is None else champion.created_at
        loss = None
        if champion is not None:
            found = confirmed_loss(parts.engine, parts.name, champion)
            loss = None if found is None else _loss_facts(found)
        with reading(parts.engine) as connection:
            compared = newest_compared(connection, parts.name, model)
        return Facts(
            now=parts.now_us(),
            n_labels=count_answers(
                parts.engine,
                parts.name,
                model,
                after_us=max(compared or 0, loss["since"] - 1 if loss else 0),
                at_most=None if enough is None else labels_needed(enough, loss),
            ),
            n_new_labels=self._new_labels(model, max(last or 0, made_at or 0), enough),
            champion=None if champion is None else champion.version,
            champion_at=made_at,
            loss=loss,
            n_drifted=self._drifted(model),
            active_job=active,
            last_job_at=last,
            next_tick_at=self._next_tick(model),
        )

    def _new_labels(self, model: str, since: int, enough: Policies | None) -> int:
        if enough is not None and enough.on_labels is None:
            return 0  # nobody asks: it would read all truths, again and again
        most = None if enough is None else enough.on_labels
        parts = self.parts
        return count_labelled(parts.engine, parts.name, model, since_us=since, at_most=most)

    def _drifted(self, model: str) -> int:
        row = verdicts.c
        mine = (row.project == self.parts.name, row.model == model, row.monitor == "feature_drift")
        newest = select(func.max(row.window_end)).where(*mine).scalar_subquery()
        query = select(func.count()).where(
            *mine, row.window_end == newest, row.state.in_(("warning", "alert")), row.subject != ""
        )
        with reading(self.parts.engine) as connection:
            return int(connection.scalar(query) or 0)

    def _next_tick(self, model: str) -> int | None:
        try:
            tick = self._scheduler.next_tick(schedule_name(model))
        except UnknownSchedule:
            return None
        return None if tick is None else tick.at_us

    def _signal(self, model: str) -> None:
        """Say whether the last retraining failed, and whether it waits for a person."""
        last = last_ended(self.jobs(model, 5))
        if last is None:
            return
        self.parts.raise_signal(failure_of(last, MONITOR))
        pending = self._waits_for_approval(model, last)
        self.parts.raise_signal(
            Signal(
                kind=Kind.APPROVAL_PENDING,
                condition=Condition.HOLDS if pending else Condition.CLEAR,
                severity=Severity.INFO,
                model=model,
                monitor=MONITOR,
                at=last.finished_at or self.parts.now_us(),
                facts=pending,
            )
        )

    def _waits_for_approval(self, model: str, last: Job) -> dict[str, Any]:
        """Give what the last retraining left to a person; empty where it left nothing."""
        result = last.result or {}
        if result.get("state") != "pending":
            return {}
        version = self.parts.registry.get(model, result["version"])
        if version.stage is not Stage.VALIDATION:  # somebody has decided
            return {}
        why = {lang: said[0].upper() + said[1:] for lang, said in WHY[result["why"]].items()}
        return {"job_id": last.job_id, "candidate": version.version, "why": why}


def _loss_facts(loss: Loss) -> dict[str, Any]:
    return {"since": loss.since_us, "n": loss.n, "effect": loss.effect, "metric": loss.subject}


def schedule_name(model: str) -> str:
    """Name the schedule of a model's retraining."""
    return f"{KIND}:{model}"


def policies_of(policy: Policy) -> Policies:
    """Give the part of a policy that decides when to retrain."""
    return Policies(
        cron=policy.retrain,
        on_loss=policy.retrain_on_loss,
        on_labels=policy.retrain_on_labels,
        max_age_us=_micros(policy.max_age),
        cooldown_us=_micros(policy.cooldown) or 0,
        min_samples=policy.min_samples,
    )


def _micros(text: str | None) -> int | None:
    return None if text is None else round(duration(text).total_seconds() * 1e6)
