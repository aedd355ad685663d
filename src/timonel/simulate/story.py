"""The story of ``timonel demo --once``: its arcs in their order, each waited for, none faked.

An arc either happens, or it is noted as missing with the reason; the story itself only changes the
world (calls, road works, a broken disk, a rollback asked for over HTTP) and waits for what the
system makes of it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import httpx

from timonel.alerts.alert import Alert
from timonel.app import App
from timonel.simulate.city import Drift
from timonel.simulate.failure import Damage, break_champion, mend
from timonel.simulate.record import Acknowledged, Choice, Record
from timonel.simulate.result import Told, accuracy
from timonel.simulate.texts import Timeline
from timonel.simulate.traffic import Traffic
from timonel.simulate.witness import Herald, JobSeen

LABELS = 900
"""Labelled answers that each of the three accuracies is measured on, at least."""

REACH_S = 1.0
ROAD_WORKS = Drift(road_works=0.4)
_POLL_S = 0.1
_LONGEST_S = 480.0
"""A busy machine may take this long for all arcs; an idle one needs a fifth of it."""
_TRAINING_S = 240.0
"""As long as a training may take, which on an idle machine is some seconds."""
_ANSWERS_SEEN = 30
_DAY_US = 86_400_000_000
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Scene:
    """What a story plays with; ``http`` is a pool of its own, so that calls do not wait for it."""

    app: App
    http: httpx.AsyncClient
    traffic: Traffic
    herald: Herald
    timeline: Timeline
    halt: asyncio.Event

    @property
    def record(self) -> Record:
        """What the client did so far."""
        return self.traffic.record


class ArcMissing(Exception):
    """An arc did not happen; the text says why."""


class Story:
    """Plays the arcs on a scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._told = Told()
        self._deadline = time.monotonic() + _LONGEST_S
        self._first = ""
        self._drift_from_us = 0
        self._loss: Alert | None = None

    async def tell(self) -> Told:
        """Play all arcs; those after a missing one that they need are missing with it."""
        scene = self._scene
        calm, over = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(scene.herald.watch(over))
            city = group.create_task(scene.traffic.run(None, calm))
            await self._arcs()
            calm.set()
            await city
            with suppress(TimeoutError):
                async with asyncio.timeout(30.0):
                    await scene.traffic.tell_all(scene.halt)
            over.set()
        self._sum_up()
        return self._told

    async def _arcs(self) -> None:
        arcs: tuple[tuple[str, Callable[[], Awaitable[None]], bool], ...] = (
            ("rules_before_a_version", self._rules_first, True),
            ("first_version", self._first_version, True),
            ("normal_traffic", self._normal_traffic, True),
            ("model_failure", self._model_failure, False),
            ("accuracy_before", self._measured_before, True),
            ("drift_detected", self._drift, False),
            ("performance_loss", self._loss_confirmed, False),
            ("retraining", self._retraining, True),
            ("accuracy_repaired", self._repair, False),
            ("alert_resolved", self._resolved, False),
            ("rollback", self._rollback, False),
        )
        blocked = ""
        for name, play, needed in arcs:
            if blocked:
                self._told.lacks(name, f"not reached: {blocked} did not happen")
                continue
            try:
                await play()
            except ArcMissing as missing:
                self._told.lacks(name, str(missing))
                self._scene.timeline.say("missing", arc=name, why=str(missing))
                blocked = name if needed else ""

    async def _until(
        self,
        found: Callable[[], Found | None],
        seconds: float,
        otherwise: str | Callable[[], str],
    ) -> Found:
        """Wait until something is found; ``otherwise`` is said, or asked, when it was not.

        Raises
        ------
        ArcMissing
            If it was not found in time.
        """
        patience = time.monotonic() + seconds
        while True:
            value = found()
            if value:
                return value
            if self._scene.halt.is_set():
                message = "stopped from outside"
                raise ArcMissing(message)
            now = time.monotonic()
            if now > min(patience, self._deadline):
                missed = otherwise if isinstance(otherwise, str) else otherwise()
                limit = f"within {seconds:.0f} s"
                if now <= patience:
                    limit = f"before the story's {_LONGEST_S:.0f} s were over"
                message = f"{missed} {limit}"
                raise ArcMissing(message)
            await asyncio.sleep(_POLL_S)

    # -- before anything goes wrong

    async def _rules_first(self) -> None:
        self._scene.traffic.phase = "early"
        await self._until(
            lambda: self._n("rules", "early") + self._n("baseline", "early"),
            30.0,
            "no call was answered before the first version",
        )
        self._scene.timeline.say("rules_first")

    async def _first_version(self) -> None:
        scene = self._scene
        self._first = await self._until(
            lambda: scene.herald.sight.champion(), _TRAINING_S, "no version went into production"
        )
        scene.traffic.phase = "before"
        await self._until(lambda: self._n("model", "before"), 60.0, "the version answered no call")
        rules, model = self._n("rules", "early"), self._n("model", "early")
        scene.timeline.say("early", n=rules + model, rules=rules, model=model)
        self._told.before = Choice("model", self._first, ("before",))

    async def _normal_traffic(self) -> None:
        await self._labelled(self._told.before, LABELS // 3)

    async def _measured_before(self) -> None:
        self._scene.traffic.phase = "before"
        await self._labelled(self._told.before, LABELS)
        self._scene.timeline.say("accuracy_before", **self._accuracy(self._told.before))

    # -- the model breaks

    async def _model_failure(self) -> None:
        scene = self._scene
        scene.traffic.phase = "broken"
        model = scene.traffic.options.model
        damage = await asyncio.to_thread(break_champion, scene.app, model)
        began, began_us = time.monotonic(), scene.timeline.clock.now_us()
        scene.timeline.say("broken", version=damage.version, n=len(damage.pids))
        try:
            await self._failure(damage, began, began_us)
        finally:
            await asyncio.to_thread(mend, damage)

    async def _failure(self, damage: Damage, began: float, began_us: int) -> None:
        scene = self._scene
        if not damage.files or not damage.pids:
            message = f"{len(damage.files)} artifacts, {len(damage.pids)} workers to break"
            raise ArcMissing(message)
        first = await self._until(self._by_rules_in_its_place, 60.0, "no rules answered")
        until_rules = first.asked_s + first.seconds - began
        scene.timeline.say("rules_again", seconds=until_rules, reason=first.reason)
        alert = await self._until(
            lambda: self._alert("HIGH_FALLBACK_RATE", began_us), 60.0, "no alert fired"
        )
        await asyncio.to_thread(mend, damage)
        mended = time.monotonic()
        scene.timeline.say("mended")
        await self._until(lambda: self._healed(mended), 60.0, "the model did not answer again")
        healed = max(e.asked_s for e in scene.record.chosen(_in_its_place("broken")))
        n = len(scene.record.chosen(_in_its_place("broken")))
        scene.timeline.say("healed", seconds=max(0.0, healed - mended), n=n)
        self._told.model_failure = {
            "version": damage.version,
            "answered_by_rules": n,
            "reasons": sorted({e.reason for e in scene.record.chosen(_in_its_place("broken"))}),
            "workers_killed": len(damage.pids),
            "seconds_until_rules": round(until_rules, 3),
            "seconds_until_alert": round(mended - began, 3),
            "seconds_until_healed": round(max(0.0, healed - mended), 3),
            "alert_id": alert.alert_id,
        }
        scene.traffic.phase = "before"
        await self._until(
            lambda: self._is_over(alert.alert_id), 60.0, "its alert did not resolve itself"
        )

    def _by_rules_in_its_place(self) -> Acknowledged | None:
        return next(iter(self._scene.record.chosen(_in_its_place("broken"))), None)

    def _healed(self, since: float) -> bool:
        """Say whether the last answers are the model's alone, for a second, whoever was asked."""
        n, newest = 0, time.monotonic() - 1.0
        for entry in self._scene.record.latest():
            if entry.asked_s < max(since, newest):
                break
            if entry.source != "model":
                return False
            n += 1
        return n >= _ANSWERS_SEEN

    # -- the world changes

    async def _drift(self) -> None:
        scene = self._scene
        scene.traffic.phase = "drift"
        scene.traffic.city.drift = ROAD_WORKS
        self._drift_from_us = scene.timeline.clock.now_us()
        self._told.during = Choice("model", self._first, ("drift",))
        scene.timeline.say("works_begin")
        seen = await self._until(
            lambda: next(
                (d for d in scene.herald.sight.drifts if d.window_end > self._drift_from_us), None
            ),
            90.0,
            "no window was found to have drifted",
        )
        self._told.drift_detected_at = seen.judged_at

    async def _loss_confirmed(self) -> None:
        self._loss = await self._until(
            lambda: self._alert("PERFORMANCE_DEGRADATION", self._drift_from_us),
            90.0,
            "no alert of a performance loss fired",
        )

    async def _retraining(self) -> None:
        await self._follow(_TRAINING_S)
        self._scene.timeline.say("accuracy_during", **self._accuracy(self._told.during))

    async def _follow(self, seconds: float) -> None:
        """Wait until a retraining has put another version into production, and it answers."""
        before = self._told.promoted
        version = await self._until(
            lambda: self._newest() if self._newest() != before else None,
            seconds,
            lambda: f"no retraining was promoted ({self._endings()})",
        )
        self._told.promoted = version
        self._told.after = Choice("model", version, ("drift", "after"))
        record, choice = self._scene.record, Choice("model", version)
        await self._until(
            lambda: record.chosen(choice), 60.0, "the promoted version answered no call"
        )
        self._scene.traffic.phase = "after"

    def _newest(self) -> str | None:
        """Give the version of the last retraining that ended in a promotion."""
        done = [job for job in self._retrainings() if job.outcome == "promoted"]
        return str(done[-1].result["version"]) if done else None

    def _retrainings(self) -> list[JobSeen]:
        began = self._drift_from_us
        found = self._scene.herald.sight.jobs
        return [job for job in found if job.kind == "retrain" and job.created_at >= began]

    def _endings(self) -> str:
        ends = [f"{job.outcome}: {job.result.get('reason', '')}" for job in self._retrainings()]
        return "; ".join(ends) or "none was started"

    async def _repair(self) -> None:
        """Measure the new version; where it is not yet good, see what the loop makes of that.

        The first retraining knows a day or two of the new world. If these were odd ones, the loss
        goes on, is found again, and the loop turns once more.
        """
        record, told = self._scene.record, self._told
        while True:
            after = told.after or _NOTHING
            await self._until(
                partial(self._measured_or_replaced, after),
                120.0,
                f"fewer than {LABELS} outcomes came",
            )
            was, now = record.accuracy(told.during or _NOTHING), record.accuracy(after)
            if self._newest() == told.promoted:
                self._scene.timeline.say("accuracy_after", **self._accuracy(after))
                if was is not None and now is not None and now.low > was.high:
                    return
                self._scene.timeline.say("not_repaired")
            try:
                await self._follow(_TRAINING_S)
            except ArcMissing as missing:
                message = f"accuracy went from {was} to {now}; {missing}"
                raise ArcMissing(message) from missing

    def _measured_or_replaced(self, after: Choice) -> bool:
        enough = self._scene.record.n_labelled(after) >= LABELS
        return enough or self._newest() != self._told.promoted

    async def _resolved(self) -> None:
        if self._loss is None:
            message = "no alert of a performance loss fired"
            raise ArcMissing(message)
        await self._until(self._losses_are_over, 60.0, "the alert goes on")

    def _losses_are_over(self) -> bool:
        fired = [
            alert
            for alert in self._scene.herald.sight.alerts
            if alert.kind == "PERFORMANCE_DEGRADATION" and alert.fired_at is not None
        ]
        return all(self._is_over(alert.alert_id) for alert in fired)

    # -- and back

    async def _rollback(self) -> None:
        scene = self._scene
        scene.traffic.phase = "drill"
        model, promoted = scene.traffic.options.model, self._told.promoted
        reason = {"who": "demo", "reason": "a drill: back to the version before, and forward"}
        path = f"/v1/models/{model}/rollback"
        back = await self._moved(path, reason)
        scene.timeline.say("rolled_back", **back)
        forward = await self._moved(path, reason | {"to": promoted or ""})
        scene.timeline.say("forward", **forward)
        self._told.rollback = {"back": back, "forward": forward}
        for move in (back, forward):
            if move["seconds"] >= REACH_S or move["n_current"] < move["n_live"]:
                message = f"not all workers within {REACH_S:g} s: {move}"
                raise ArcMissing(message)

    async def _moved(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        """Ask for another version; measure by the calls when the last other one was asked."""
        scene, began = self._scene, time.monotonic()
        response = await scene.http.post(path, json=body)
        if not response.is_success:
            message = f"{path}: {response.status_code} {response.text[:300]}"
            raise ArcMissing(message)
        answered = time.monotonic()
        version, reload = response.json()["version"], response.json()["reload"]

        def since() -> list[Acknowledged]:
            found = []
            for entry in scene.record.latest():
                if entry.asked_s < began:
                    break
                found.append(entry)
            return found

        await self._until(
            lambda: (
                sum(e.asked_s > answered and e.version == version for e in since()) >= _ANSWERS_SEEN
            ),
            60.0,
            f"{version} did not answer",
        )
        others = [e.asked_s for e in since() if e.source == "model" and e.version != version]
        return {
            "version": version,
            "seconds": round(max((at - began for at in others), default=0.0), 3),
            "confirmed_s": round(answered - began, 3),
            **reload,
        }

    # -- what the arcs share

    def _n(self, source: str, phase: str) -> int:
        return len(self._scene.record.chosen(Choice(source, phases=(phase,))))

    def _alert(self, kind: str, since_us: int) -> Alert | None:
        """Find an alert that fired since a moment, or that was firing and has been seen again."""
        for alert in self._scene.herald.sight.alerts:
            if alert.kind != kind or alert.fired_at is None:
                continue
            again = alert.active and alert.last_seen_at >= since_us + _DAY_US
            if alert.fired_at >= since_us or again:
                return alert
        return None

    def _is_over(self, alert_id: int) -> bool:
        found = self._scene.herald.sight.alerts
        alert = next(a for a in found if a.alert_id == alert_id)
        return alert.resolved_at is not None and alert.resolved_by is None

    async def _labelled(self, choice: Choice | None, n: int) -> None:
        meant = choice or _NOTHING
        record = self._scene.record
        await self._until(
            lambda: record.n_labelled(meant) >= n, 120.0, f"fewer than {n} outcomes came"
        )

    def _accuracy(self, choice: Choice | None) -> dict[str, float]:
        found = accuracy(self._scene.record, choice)
        return found or {"n": 0, "value": 0.0, "low": 0.0, "high": 0.0}

    def _sum_up(self) -> None:
        """Say the three accuracies under each other, drawn."""
        timeline, told = self._scene.timeline, self._told
        for key, choice in (
            ("sum_before", told.before),
            ("sum_during", told.during),
            ("sum_after", told.after),
        ):
            found = accuracy(self._scene.record, choice)
            if found is not None:
                bar = "█" * round(found["value"] * 40)
                timeline.say(key, bar=bar, **found)


_NOTHING = Choice("nobody")


def _in_its_place(phase: str) -> Choice:
    return Choice("rules", phases=(phase,))


@asynccontextmanager
async def spare(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Open a pool for the control routes, beside the city's own."""
    async with httpx.AsyncClient(base_url=base_url, timeout=20.0, trust_env=False) as http:
        yield http
