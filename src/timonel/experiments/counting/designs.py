"""Designs and phases of a project's experiments, as the drain needs them."""

from bisect import bisect_right
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from timonel.experiments.design import Design, decode_design
from timonel.store.tables import control
from timonel.store.tables_experiments import experiment_phases, experiments


@dataclass(slots=True)
class Known:
    """One experiment: its design, and the generation from which each phase counts."""

    design: Design
    generations: list[int] = field(default_factory=list)
    phases: list[int] = field(default_factory=list)

    def phase_of(self, generation: int) -> int | None:
        """Give the phase that a frame of this generation was answered in; None before the first."""
        place = bisect_right(self.generations, generation) - 1
        return self.phases[place] if place >= 0 else None


class Designs:
    """Reads experiments anew when a frame names one, or a generation, that is not known yet."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._known: dict[str, Known] = {}
        self._generation = -1

    def refresh(self, connection: Connection, names: set[str], generation: int) -> None:
        """Make sure of some experiments up to a generation."""
        if generation <= self._generation and names <= self._known.keys():
            return
        c, e, p = control.c, experiments.c, experiment_phases.c
        found = connection.scalar(select(c.generation).where(c.project == self._project))
        known: dict[str, Known] = {}
        for name, design in connection.execute(
            select(e.name, e.design).where(e.project == self._project)
        ):
            before = self._known.get(name)
            known[name] = Known(decode_design(design) if before is None else before.design)
        rows = select(p.experiment, p.phase, p.generation).where(p.project == self._project)
        for name, phase, start in connection.execute(rows.order_by(p.generation)):
            known[name].generations.append(start)
            known[name].phases.append(phase)
        self._known = known
        self._generation = int(found or 0)

    def of(self, name: str) -> Known | None:
        """Give an experiment; None where the database never held it."""
        return self._known.get(name)
