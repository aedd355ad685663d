"""Experiments of a project: created, started, paused, ended, and looked at.

What changes traffic raises the generation in its own transaction: every process follows within a
second. A look is an act (ADR 0023): it reads, judges and is stored in one transaction.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from timonel.clock import Clock
from timonel.events.outcomes import complete_until
from timonel.experiments.checking.arms import check_arms
from timonel.experiments.checking.design import check_design, check_shares, may_share_units
from timonel.experiments.counting.sums import EXPOSED
from timonel.experiments.design import Answers, Design, Mode, State, Strategy
from timonel.experiments.errors import (
    WAYS_OUT,
    ExperimentBusy,
    ExperimentExists,
    IllegalMove,
    ListIsFixed,
    ListMissing,
    SharesFollow,
    SharesShrink,
    UnitsOverlap,
)
from timonel.experiments.judging.evidence import Counted, encode_evidence
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.look import Look, Verdict
from timonel.experiments.judging.reading import close_part, read_evidence
from timonel.experiments.judging.stored import StoredSums
from timonel.experiments.latency import Answered, with_frozen
from timonel.experiments.outside.capping import fix_cap
from timonel.experiments.outside.members import Member, whole, write_members
from timonel.experiments.ramp import Moved, next_move
from timonel.experiments.rankings.service import Rankings
from timonel.experiments.replaying.recount import recount
from timonel.experiments.replaying.replay import Replay, replay_looks
from timonel.experiments.reporting.report import Report, answered_by_arm, read_report
from timonel.experiments.rows import Event, Experiment, Rows
from timonel.registry.manifest import decode_manifest
from timonel.registry.registry import Registry
from timonel.signals import Condition, Kind, RaiseSignal, Severity, Signal
from timonel.store.control import raise_generation
from timonel.store.engine import reading, snapshot

_TOLERANCE = 1e-9


class Experiments:
    """The experiments of one project; safe to use from several threads and processes.

    Parameters
    ----------
    engine : Engine
    project : str
    clock : Clock
    registry : Registry
        Knows the versions that arms name.
    raise_signal : callable
        Told when a look finds harm, and when that has ended.
    """

    def __init__(
        self,
        engine: Engine,
        project: str,
        clock: Clock,
        registry: Registry,
        raise_signal: RaiseSignal,
    ) -> None:
        self._engine = engine
        self._project = project
        self._clock = clock
        self._registry = registry
        self._raise_signal = raise_signal
        self.rankings = Rankings(engine, project, clock)  # of mode interleave

    # -- reading ----------------------------------------------------------------------------

    def all(self, *, model: str | None = None, state: State | None = None) -> list[Experiment]:
        """List experiments by name."""
        with reading(self._engine) as connection:
            return Rows(connection, self._project).all(model=model, state=state)

    def show(self, name: str) -> tuple[Experiment, Look | None, list[Event]]:
        """Give an experiment, its last look and its history; raises ``UnknownExperiment``."""
        with reading(self._engine) as connection:
            rows = Rows(connection, self._project)
            return rows.one(name), rows.last_look(name)[1], rows.events(name)

    def answered(self, name: str) -> dict[str, Answered]:
        """Give what is known of its arms' answers; raises ``UnknownExperiment``."""
        with reading(self._engine) as connection:
            one = Rows(connection, self._project).one(name)
            return answered_by_arm(connection, self._project, one)

    def report(self, name: str) -> Report:
        """Give what there is to report, by the last look; raises ``UnknownExperiment``."""
        with snapshot(self._engine) as connection:
            return read_report(connection, self._project, name)

    # -- life -------------------------------------------------------------------------------

    def create(
        self,
        design: Design,
        *,
        who: str,
        members: Sequence[Member] = (),
        units_follow: bool = False,
    ) -> Experiment:
        """Enter a draft; with the units of its list, if it has one.

        Parameters
        ----------
        units_follow : bool
            Whether a list that it needs may come later, before the start.

        Raises
        ------
        InvalidDesign, ExperimentExists, ExperimentBusy, UnknownModel, UnknownVersion
        """
        manifest = decode_manifest(self._registry.declaration(design.model).manifest)
        features = {feature["name"]: feature["kind"] for feature in manifest.schema}
        check_design(design, features, units_follow=units_follow)
        check_arms(design, self._registry)
        design = replace_design(design, classes=tuple(manifest.classes or ()))
        at = self._clock.now_us()
        if members:
            write_members(self._engine, self._project, design.name, members, at)
        try:
            with self._engine.begin() as connection:
                rows = Rows(connection, self._project)
                rows.add(design, who=who[:128], at=at)
                rows.note(design.name, "create", who, "", at, {})
                if members and not whole(connection, self._project, design.name, len(members), at):
                    raise ExperimentBusy(experiment=design.name, action="create")
        except IntegrityError:
            with reading(self._engine) as connection:
                found = Rows(connection, self._project).one(design.name)
            raise ExperimentExists(experiment=design.name, state=str(found.state)) from None
        return self.show(design.name)[0]

    def start(self, name: str, *, who: str, reason: str = "") -> Experiment:
        """Let a draft assign traffic; its guardrails' thresholds are frozen now."""
        with self._changing(name, "start", (State.DRAFT,)) as (rows, experiment, generation):
            if experiment.design.needs_list and experiment.design.listed is None:
                raise ListMissing(experiment=name)
            self._refuse_overlap(rows, experiment)
            at = self._clock.now_us()
            design = with_frozen(rows.connection, self._project, experiment.design, at)
            weights = design.first_weights
            rows.change(
                experiment,
                "start",
                state=str(State.ACTIVE),
                design=design.encode(),
                weights=_json(weights),
                phase=1,
                started_at=at,
            )
            rows.load_arms(design)
            rows.begin_phase(name, 1, weights, generation, at)
            rows.note(name, "start", who, reason, at, {"weights": weights})
        return self.show(name)[0]

    def pause(self, name: str, *, who: str, reason: str = "") -> Experiment:
        """Let the control answer everything for a while; no unit is counted meanwhile."""
        with self._changing(name, "pause", (State.ACTIVE,)) as (rows, experiment, _):
            at = self._clock.now_us()
            rows.change(experiment, "pause", state=str(State.PAUSED))
            rows.note(name, "pause", who, reason, at, {})
        return self.show(name)[0]

    def resume(self, name: str, *, who: str, reason: str = "") -> Experiment:
        """Assign again, with the shares from before the pause, as a phase of its own."""
        with self._changing(name, "resume", (State.PAUSED,)) as (rows, experiment, generation):
            self._refuse_overlap(rows, experiment)
            at, phase = self._clock.now_us(), experiment.phase + 1
            rows.change(experiment, "resume", state=str(State.ACTIVE), phase=phase)
            rows.begin_phase(name, phase, experiment.weights, generation, at)
            rows.note(name, "resume", who, reason, at, {})
        return self.show(name)[0]

    def stop(self, name: str, *, who: str, reason: str = "", verdict: str = "") -> Experiment:
        """End an experiment for good, or drop a draft; late labels are still counted."""
        begun = (State.DRAFT, State.ACTIVE, State.PAUSED)
        with self._changing(name, "stop", begun) as (rows, experiment, _):
            at = self._clock.now_us()
            _, look = rows.last_look(name)
            ended = verdict or (str(look.verdict) if look is not None else None)
            self._end(rows, experiment, at, ended)
            harmed = look is not None and look.verdict is Verdict.ROLL_BACK
            rows.note(name, "stop", who, reason, at, {"verdict": ended})
        if harmed and look is not None:
            self._raise_signal(_harm(experiment, look, Condition.CLEAR))
        return self.show(name)[0]

    def set_shares(
        self, name: str, weights: tuple[float, ...], *, who: str, reason: str = ""
    ) -> Experiment:
        """Grow a treatment's share: no unit that has it goes back.

        Raises
        ------
        SharesShrink
            If a treatment would lose units.
        """
        with self._changing(name, "set", (State.ACTIVE,)) as (rows, experiment, generation):
            check_shares(experiment.design, weights)
            if experiment.design.strategy is Strategy.THOMPSON:
                raise SharesFollow(experiment=name)
            listed = experiment.design.listed
            if listed is not None:
                raise ListIsFixed(experiment=name, n=sum(listed.counts))
            self._grow(rows, experiment, weights, generation, who, reason)
        return self.show(name)[0]

    # -- looks ------------------------------------------------------------------------------

    def look(self, name: str) -> Look:
        """Judge what is known now, store it, and do what a ramp's rules say.

        Raises
        ------
        UnknownExperiment
        """
        fix_cap(self._engine, self._project, name, self._clock.now_us())
        while (look := self._look(name)) is None:
            pass  # a part of what ended long ago was closed
        return look

    def replay(self, name: str, *, last: int | None = None, log: bool = True) -> Replay:
        """Judge past looks again, and count the log again; nothing is changed.

        Parameters
        ----------
        last : int or None
            Only so many of the newest looks; None: all.
        log : bool
            Whether the sums are counted again from the log, which takes as long as the log is.

        Raises
        ------
        UnknownExperiment
        """
        with snapshot(self._engine) as connection:
            experiment = Rows(connection, self._project).one(name)
            found = replay_looks(connection, self._project, experiment.design, last=last)
            if log:
                found.log = recount(connection, self._project, experiment.design)
        return found

    def due(self, now_us: int) -> list[str]:
        """Name the active experiments whose next look is due: a ramp's each 5 s, others' 60 s."""
        due = []
        with reading(self._engine) as connection:
            rows = Rows(connection, self._project)
            for experiment in rows.all(state=State.ACTIVE):
                _, look = rows.last_look(experiment.name)
                cap = experiment.design.cap
                hurries = cap is not None and cap.chosen is not None  # units are counted under it
                hurries = hurries or experiment.design.mode is Mode.RAMP
                every = 5_000_000 if hurries else 60_000_000
                if look is None or now_us - look.at >= every:
                    due.append(experiment.name)
        return due

    def _look(self, name: str) -> Look | None:
        """Look once; None where so much has ended that no more than a part of it was closed."""
        started = time.monotonic()
        with self._engine.begin() as connection:
            rows = Rows(connection, self._project)
            at = self._clock.now_us()
            experiment = rows.one(name, locked=True)
            design, revised = experiment.design, experiment.revised
            until_us = complete_until(connection, self._project)
            sums = StoredSums(connection, self._project, name, revised)
            behind = close_part(sums, design, min(until_us, at))
            if not behind:
                number, before = rows.last_look(name)
                evidence = read_evidence(
                    connection,
                    self._project,
                    design,
                    revised=revised,
                    at=at,
                    until_us=until_us,
                    started_at=experiment.started_at,
                )
                look = judge(design, evidence, before)
                rows.add_look(name, number + 1, look, encode_evidence(evidence))
                began = rows.phase_began(experiment)
        if behind:
            # whoever waits for SQLite asks again only now and then: most of the time it is free
            time.sleep(2.0 * (time.monotonic() - started))
            return None
        if experiment.state is State.ACTIVE:
            self._tell_of_harm(experiment, look, before)
            treated = evidence.arms.get(design.names[1], Counted())
            self._follow(experiment, look, began or at, treated.sums(EXPOSED).n)
        return look

    def _follow(self, experiment: Experiment, look: Look, began: int, exposed: int) -> None:
        """Move a ramp by its rules; other experiments are ended by people, but for harm's sake."""
        move = next_move(experiment, look, began, exposed)
        if move.action is Moved.HOLD:
            return
        who, reason = "timonel", move.reason
        if move.action in (Moved.GROW, Moved.BATCH):
            with self._changing(experiment.name, "set", (State.ACTIVE,)) as (rows, now, generation):
                if now.phase == experiment.phase:
                    self._grow(rows, now, move.weights, generation, who, reason)
            return
        verdict = Verdict.ROLL_BACK if move.action is Moved.ROLL_BACK else Verdict.PROMOTE
        treatment = experiment.design.arms[1]
        if verdict is Verdict.PROMOTE and treatment.answers is Answers.VERSION:
            model, version = experiment.design.model, treatment.version
            champion = self._registry.champion(model)
            if champion is None or champion.version != version:
                self._registry.promote(model, version, who=who, reason=str(reason))
        # last: a worker killed before this finds the ramp active, and does the rest of it
        self.stop(experiment.name, who=who, reason=reason, verdict=str(verdict))

    def _tell_of_harm(self, experiment: Experiment, look: Look, before: Look | None) -> None:
        was = before is not None and before.verdict is Verdict.ROLL_BACK
        harms = look.verdict is Verdict.ROLL_BACK
        if harms or was:
            condition = Condition.HOLDS if harms else Condition.CLEAR
            self._raise_signal(_harm(experiment, look, condition))

    # -- inside -----------------------------------------------------------------------------

    def _refuse_overlap(self, rows: Rows, experiment: Experiment) -> None:
        mine = experiment.design
        for other in rows.all(state=State.ACTIVE):
            if other.name != mine.name and may_share_units(mine, other.design):
                raise UnitsOverlap(experiment=mine.name, other=other.name, model=other.design.model)

    def _grow(
        self,
        rows: Rows,
        experiment: Experiment,
        weights: tuple[float, ...],
        generation: int,
        who: str,
        reason: str,
    ) -> None:
        before = experiment.weights
        bandit = experiment.design.strategy is Strategy.THOMPSON
        grows = len(weights) == len(before) and all(
            new >= old - _TOLERANCE for old, new in zip(before[1:], weights[1:], strict=True)
        )
        if not grows and not bandit:
            raise SharesShrink(
                experiment=experiment.name,
                found=[round(share, 6) for share in weights],
                expected=[round(share, 6) for share in before],
            )
        at, phase = self._clock.now_us(), experiment.phase + 1
        rows.change(experiment, "set", weights=_json(weights), phase=phase)
        rows.begin_phase(experiment.name, phase, weights, generation, at)
        action = "batch" if bandit else "grow"
        rows.note(experiment.name, action, who, reason, at, {"weights": weights})

    def _end(self, rows: Rows, experiment: Experiment, at: int, verdict: str | None) -> None:
        rows.change(
            experiment, "stop", state=str(State.COMPLETED), ended_at=at, verdict=verdict or None
        )
        rows.unload_arms(experiment.name)

    @contextmanager
    def _changing(
        self, name: str, action: str, allowed: tuple[State, ...]
    ) -> Iterator[tuple[Rows, Experiment, int]]:
        with self._engine.begin() as connection:
            generation = raise_generation(connection, self._project)
            rows = Rows(connection, self._project)
            experiment = rows.one(name)
            if experiment.state not in allowed:
                raise IllegalMove(
                    experiment=name,
                    action=action,
                    state=str(experiment.state),
                    expected=", ".join(allowed),
                    way_out=WAYS_OUT[experiment.state],
                )
            yield rows, experiment, generation


def _harm(experiment: Experiment, look: Look, condition: Condition) -> Signal:
    design, goal = experiment.design, look.goal
    means = {arm.arm: arm.mean for arm in look.arms}
    facts = {
        "metric": design.metric,
        "value": means.get(look.arm),
        "baseline": means.get(design.names[0]),
        "n": sum(arm.labelled for arm in look.arms),
        "threshold": design.margin,
        "rule": str(look.rule),
        "effect": None if goal is None else goal.effect,
    }
    return Signal(
        kind=Kind.EXPERIMENT_HARM,
        condition=condition,
        severity=Severity.HIGH,
        model=design.model,
        monitor=f"experiment:{design.name}"[:32],
        at=look.at,
        facts={name: value for name, value in facts.items() if value is not None},
    )


def replace_design(design: Design, **changes: Any) -> Design:
    """Give a design with some fields changed."""
    return msgspec.structs.replace(design, **changes)


def _json(weights: tuple[float, ...]) -> str:
    return msgspec.json.encode(weights).decode()
