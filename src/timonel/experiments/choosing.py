"""Which experiment a request is in, and which arm answers it: pure, and without I/O.

Made once a snapshot, asked for each row. Lean: predict workers import it.
"""

import operator
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from timonel.experiments.assignment import by_range, fnv1a_share, side_by_side
from timonel.experiments.design import HOLDOUT, Design

_OPERATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda found, wanted: found in wanted,
}
OPERATORS = tuple(_OPERATIONS)
_PLACES = float(1 << 53)  # each a float of its own: never rounded up to 1


class Assigned(NamedTuple):
    """What an experiment says of one request."""

    experiment: str
    arm: str
    unit: str


class RunningExperiment:
    """One active experiment, ready to assign. Immutable; safe to share between threads.

    Parameters
    ----------
    design : Design
    weights : sequence of float
        The shares in force.
    places : mapping of str to int
        Where a feature stands in a validated row.
    members : mapping of str to str
        Arms of units that were assigned one by one.
    """

    __slots__ = ("_arm_of", "_conditions", "_everyone", "_members", "design", "name", "unit")

    def __init__(
        self,
        design: Design,
        weights: Sequence[float],
        places: Mapping[str, int],
        members: Mapping[str, str] | None = None,
    ) -> None:
        self.design = design
        self.name = design.name
        self.unit = design.unit
        self._members = members or {}
        self._conditions = tuple(
            (places[c.feature], _OPERATIONS[c.op], c.value) for c in design.targeting
        )
        # asked for each row: whether nothing but the unit decides
        self._everyone = (
            design.unit == "unit"
            and not self._conditions
            and not self._members
            and design.namespace is None
            and not design.holdout
        )
        self._arm_of = arm_finder(design, weights)

    def assign(
        self, unit: str | None, request: bytes, values: Sequence[Any], at: int
    ) -> Assigned | None:
        """Give the arm of one request, or None where it is not in the experiment.

        Parameters
        ----------
        unit : str or None
            Whom the request is about.
        request : bytes
            The prediction's id, for experiments in which each request is a unit.
        values : sequence
            The validated row.
        at : int
            Microseconds of the event clock.
        """
        if self._everyone:
            return None if unit is None else Assigned(self.name, self._arm_of(unit), unit)
        design = self.design
        if self.unit == "request":
            unit = request.hex()
        elif self.unit == "block":
            unit = block_of(at, design.block_s)
        if unit is None:
            return None
        for place, holds, wanted in self._conditions:
            found = values[place]
            try:
                if found is None or not holds(found, wanted):
                    return None
            except TypeError:
                return None
        namespace = design.namespace
        if namespace is not None and not (
            namespace.low <= share_of(f"namespace:{namespace.name}:", unit) < namespace.high
        ):
            return None
        if design.holdout and share_of(f"holdout:{design.model}:", unit) < design.holdout:
            return Assigned(self.name, HOLDOUT, unit)
        arm = self._members.get(unit) or self._arm_of(unit)
        return Assigned(self.name, arm, unit)

    def lists(self, unit: str | None) -> bool:
        """Say whether a unit was assigned one by one."""
        return unit in self._members


def arm_finder(design: Design, weights: Sequence[float]) -> Callable[[str], str]:
    """Make the function from a unit to the arm that its hash gives it."""
    names, salt = design.names, design.salt
    if design.hash == "fnv1a":
        edges = side_by_side(tuple(weights))
        return lambda unit: names[bisect_right(edges, fnv1a_share(salt, unit)) - 1]
    return by_range(salt, weights, names)


def share_of(salt: str, unit: str) -> float:
    """Give a unit's place in [0, 1): uniform, and independent between salts."""
    digest = blake2b((salt + unit).encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / _PLACES


def block_of(at: int, block_s: int) -> str:
    """Name the block of time that a moment lies in."""
    return str(at // (block_s * 1_000_000))
