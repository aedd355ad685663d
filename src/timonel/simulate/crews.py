"""The people of the simulated city: who is on shift, who is free, which crew a severity gets."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from timonel.simulate.rhythm import is_day_shift

WANTED = {5: (2, 1, 1), 4: (1, 1, 1), 3: (0, 2, 0), 2: (0, 1, 0), 1: (0, 1, 0)}
"""Seniors, juniors and nurses that a severity asks for."""

_N_SENIORS, _N_JUNIORS, _N_NURSES = 15, 38, 9


@dataclass(frozen=True, slots=True)
class Crew:
    """People, by their numbers in the roster."""

    seniors: tuple[int, ...]
    juniors: tuple[int, ...]
    nurse: int | None


class Roster:
    """Paramedics and nurses with shifts, absences and the time at which each is free again."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._shift: tuple[int, bool] | None = None
        self._free_at = [[0.0] * n for n in (_N_SENIORS, _N_JUNIORS, _N_NURSES)]
        self._present: list[list[int]] = [[], [], []]

    def begin_shift(self, local: datetime) -> None:
        """Draw who comes to work, once a shift: about one in eight is absent, fewer at night."""
        day = is_day_shift(local.hour)
        shift = ((local.toordinal() if local.hour >= 8 else local.toordinal() - 1), day)
        if shift == self._shift:
            return
        self._shift = shift
        # A bad shift (flu, strike) is bad for everybody.
        absence = float(self._rng.beta(2.0, 12.0)) + (0.0 if day else 0.15)
        self._present = [
            [i for i, draw in enumerate(self._rng.random(len(pool))) if draw >= absence]
            for pool in self._free_at
        ]

    def _free(self, kind: int, now_s: float) -> list[int]:
        free_at = self._free_at[kind]
        return [i for i in self._present[kind] if free_at[i] <= now_s]

    def available(self, now_s: float) -> tuple[int, int, int]:
        """Count the free seniors, juniors and nurses."""
        return (
            len(self._free(0, now_s)),
            len(self._free(1, now_s)),
            len(self._free(2, now_s)),
        )

    def choose(self, severity: int, now_s: float) -> Crew:
        """Choose a crew by severity; a missing level is filled by the other."""
        want_seniors, want_juniors, want_nurses = WANTED[severity]
        seniors, juniors, nurses = (self._free(kind, now_s) for kind in range(3))
        total = want_seniors + want_juniors
        n_seniors = min(want_seniors, len(seniors))
        n_juniors = min(total - n_seniors, len(juniors))
        n_seniors = min(total - n_juniors, len(seniors))
        return Crew(
            seniors=tuple(seniors[:n_seniors]),
            juniors=tuple(juniors[:n_juniors]),
            nurse=nurses[0] if want_nurses and nurses else None,
        )

    def occupy(self, crew: Crew, until_s: float) -> None:
        """Take a crew out of the pool until then."""
        nurse = () if crew.nurse is None else (crew.nurse,)
        for kind, members in enumerate((crew.seniors, crew.juniors, nurse)):
            for member in members:
                self._free_at[kind][member] = until_s

    def lists(self, now_s: float) -> dict[str, list[dict[str, Any]]]:
        """Write out those on shift, as a dispatch request carries them."""

        def status(kind: int, i: int) -> str:
            return "available" if self._free_at[kind][i] <= now_s else "busy"

        return {
            "available_paramedics": [
                {"id": f"{level[0].upper()}{i + 1:02d}", "level": level, "status": status(kind, i)}
                for kind, level in enumerate(("senior", "junior"))
                for i in self._present[kind]
            ],
            "available_nurses": [
                {"id": f"N{i + 1:02d}", "status": status(2, i)} for i in self._present[2]
            ],
        }


def adequacy(severity: int, crew: Crew) -> float:
    """Give the probability that a crew proves adequate.

    A junior in a senior's place, a missing person and a missing nurse each lower it; a senior in
    a junior's place does not.
    """
    want_seniors, want_juniors, want_nurses = WANTED[severity]
    short_of_seniors = max(0, want_seniors - len(crew.seniors))
    missing = want_seniors + want_juniors - len(crew.seniors) - len(crew.juniors)
    no_nurse = bool(want_nurses) and crew.nurse is None
    return float(0.985 * 0.25**short_of_seniors * 0.2**missing * (0.3 if no_nurse else 1.0))
