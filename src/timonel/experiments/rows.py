"""Experiments as rows: what is stored of them, and how it is read back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from timonel.errors import Phrase
from timonel.experiments.design import Design, State, decode_design
from timonel.experiments.errors import ExperimentBusy, UnknownExperiment
from timonel.experiments.judging.look import Look, decode_look
from timonel.store.tables_experiments import (
    experiment_arms,
    experiment_events,
    experiment_looks,
    experiment_phases,
    experiments,
)

_IN_SPANISH = "reason_es"
_weights = msgspec.json.Decoder(tuple[float, ...])


@dataclass(frozen=True, slots=True)
class Experiment:
    """A design and where it is in its life."""

    design: Design
    state: State
    weights: tuple[float, ...]
    phase: int
    revised: int
    created_by: str
    created_at: int
    started_at: int | None
    ended_at: int | None
    verdict: str | None
    revision: int

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.design.name


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done with an experiment."""

    seq: int
    at: int
    action: str
    who: str
    reason: Phrase  # of people, the same in both languages
    facts: dict[str, Any]


class Rows:
    """Reads and writes of one project's experiments, in the caller's transaction."""

    def __init__(self, connection: Connection, project: str) -> None:
        self.connection = connection
        self._project = project

    def all(self, *, model: str | None = None, state: State | None = None) -> list[Experiment]:
        """List experiments by name."""
        e = experiments.c
        query = select(experiments).where(e.project == self._project).order_by(e.name)
        if model is not None:
            query = query.where(e.model == model)
        if state is not None:
            query = query.where(e.state == str(state))
        return [_read(row) for row in self.connection.execute(query)]

    def find(self, name: str) -> Experiment | None:
        """Give one; None where there is none of the name."""
        e = experiments.c
        query = select(experiments).where(e.project == self._project, e.name == name)
        row = self.connection.execute(query).first()
        return None if row is None else _read(row)

    def one(self, name: str, *, locked: bool = False) -> Experiment:
        """Give one, locked against other changes where asked.

        Raises
        ------
        UnknownExperiment
        """
        e = experiments.c
        query = select(experiments).where(e.project == self._project, e.name == name)
        row = self.connection.execute(query.with_for_update() if locked else query).first()
        if row is None:
            known = select(e.name).where(e.project == self._project).order_by(e.name)
            raise UnknownExperiment(
                experiment=name, known=list(self.connection.scalars(known.limit(50)))
            )
        return _read(row)

    def add(self, design: Design, *, who: str, at: int) -> None:
        """Insert a draft; raises ``IntegrityError`` where the name is taken."""
        row = {
            "project": self._project,
            "name": design.name,
            "model": design.model,
            "state": str(State.DRAFT),
            "design": design.encode(),
            "weights": _encode(design.first_weights),
            "phase": 0,
            "revised": 0,
            "created_by": who,
            "created_at": at,
            "revision": 0,
        }
        self.connection.execute(insert(experiments), row)

    def change(self, experiment: Experiment, action: str, **values: Any) -> None:
        """Change a row that is still as it was read; raises ``ExperimentBusy``."""
        e = experiments.c
        mine = update(experiments).where(
            e.project == self._project,
            e.name == experiment.name,
            e.revision == experiment.revision,
        )
        changed = self.connection.execute(mine.values(revision=experiment.revision + 1, **values))
        if changed.rowcount != 1:
            raise ExperimentBusy(experiment=experiment.name, action=action)

    def keep_design(self, design: Design) -> None:
        """Keep what became of a design meanwhile; the caller holds the experiment's lock.

        No revision: what people decide about the experiment is not held up by it.
        """
        e = experiments.c
        mine = update(experiments).where(e.project == self._project, e.name == design.name)
        self.connection.execute(mine.values(design=design.encode()))

    def phase_began(self, experiment: Experiment) -> int | None:
        """Give when the phase in force began; None before the first."""
        p = experiment_phases.c
        return self.connection.scalar(
            select(p.at).where(
                p.project == self._project,
                p.experiment == experiment.name,
                p.phase == experiment.phase,
            )
        )

    def phases_began(self, name: str) -> dict[int, int]:
        """Give when each phase began, by its number."""
        p = experiment_phases.c
        query = select(p.phase, p.at).where(p.project == self._project, p.experiment == name)
        return {row.phase: row.at for row in self.connection.execute(query)}

    def begin_phase(
        self, name: str, phase: int, weights: tuple[float, ...], generation: int, at: int
    ) -> None:
        """Note from which generation on these shares are asked for."""
        row = {
            "project": self._project,
            "experiment": name,
            "phase": phase,
            "generation": generation,
            "weights": _encode(weights),
            "at": at,
        }
        self.connection.execute(insert(experiment_phases), row)

    def load_arms(self, design: Design) -> None:
        """Have workers keep the arms' versions loaded."""
        rows = [
            {
                "project": self._project,
                "experiment": design.name,
                "arm": arm.name,
                "model": design.model,
                "version": arm.version,
            }
            for arm in design.arms
            if arm.version
        ]
        if rows:
            self.connection.execute(insert(experiment_arms), rows)

    def unload_arms(self, name: str) -> None:
        """Let workers forget the arms' versions."""
        a = experiment_arms.c
        self.connection.execute(
            experiment_arms.delete().where(a.project == self._project, a.experiment == name)
        )

    def note(
        self, name: str, action: str, who: str, reason: str, at: int, facts: Mapping[str, Any]
    ) -> None:
        """Append to the experiment's history; a reason of the rules is kept in both languages."""
        told = {_IN_SPANISH: reason.es} if isinstance(reason, Phrase) else {}
        v = experiment_events.c
        last = self.connection.scalar(
            select(func.max(v.seq)).where(v.project == self._project, v.experiment == name)
        )
        row = {
            "project": self._project,
            "experiment": name,
            "seq": (last or 0) + 1,
            "at": at,
            "action": action,
            "who": who[:128],
            "reason": reason.replace("\0", "?"),
            "facts": msgspec.json.encode({**facts, **told}, order="deterministic").decode(),
        }
        self.connection.execute(insert(experiment_events), row)

    def events(self, name: str) -> list[Event]:
        """List what was done with an experiment, oldest first."""
        v = experiment_events.c
        query = select(v.seq, v.at, v.action, v.who, v.reason, v.facts).where(
            v.project == self._project, v.experiment == name
        )
        return [_event(*row) for row in self.connection.execute(query.order_by(v.seq))]

    def last_look(self, name: str) -> tuple[int, Look | None]:
        """Give the number of the last look, and the look; (0, None) before the first."""
        k = experiment_looks.c
        query = select(k.look, k.document).where(k.project == self._project, k.experiment == name)
        row = self.connection.execute(query.order_by(k.look.desc()).limit(1)).first()
        return (0, None) if row is None else (row.look, decode_look(row.document))

    def last_judged(self, name: str) -> tuple[int, Look | None, str | None]:
        """Give the last look as ``last_look``, and the evidence kept with it as its text."""
        k = experiment_looks.c
        query = select(k.look, k.document, k.evidence).where(
            k.project == self._project, k.experiment == name
        )
        row = self.connection.execute(query.order_by(k.look.desc()).limit(1)).first()
        return (0, None, None) if row is None else (row[0], decode_look(row[1]), row[2])

    def add_look(self, name: str, number: int, look: Look, evidence: str) -> None:
        """Store a look, and as text what it judged."""
        goal = look.goal
        row = {
            "project": self._project,
            "experiment": name,
            "look": number,
            "at": look.at,
            "verdict": str(look.verdict),
            "effect": None if goal is None else goal.effect,
            "e_value": None if goal is None else goal.e_value,
            "p_value": None if goal is None else goal.p_value,
            "document": look.encode(),
            "evidence": evidence,
        }
        self.connection.execute(insert(experiment_looks), row)


def decode_weights(text: str | None) -> tuple[float, ...]:
    """Read shares back."""
    return _weights.decode(text or "[]")


def _encode(weights: tuple[float, ...]) -> str:
    return msgspec.json.encode(weights).decode()


def _event(seq: int, at: int, action: str, who: str, reason: str, facts: str) -> Event:
    told: dict[str, Any] = msgspec.json.decode(facts)
    return Event(seq, at, action, who, Phrase(reason, told.pop(_IN_SPANISH, reason)), told)


def _read(row: Any) -> Experiment:
    return Experiment(
        design=decode_design(row.design),
        state=State(row.state),
        weights=_weights.decode(row.weights),
        phase=row.phase,
        revised=row.revised,
        created_by=row.created_by,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        verdict=row.verdict,
        revision=row.revision,
    )
