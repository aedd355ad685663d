"""The chain of transitions: each link holds the hash of the one before, so an edit shows. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Deployment:
    """A version that came into production, and when, in microseconds of event time."""

    at_us: int
    version: str


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the history: who moved which version, when, why, from where to where.

    ``gates`` is canonical JSON text, as stored. ``from_stage`` is "" for a version's first row.
    """

    project: str
    seq: int
    model: str
    version: str
    from_stage: str
    to_stage: str
    who: str
    reason: str
    gates: str
    at: int
    previous_hash: str
    hash: str

    def expected_hash(self) -> str:
        """Compute the hash that this content and this predecessor give."""
        content = [getattr(self, field.name) for field in fields(self) if field.name != "hash"]
        return sha256(msgspec.json.encode(content)).hexdigest()

    def document(self) -> dict[str, Any]:
        """Give the row for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moment = datetime.fromtimestamp(self.at / 1e6, UTC).isoformat()
        return values | {"gates": msgspec.json.decode(self.gates), "at": moment}


def link(head: "Head", **content: Any) -> Transition:
    """Make the link after a head; ``content`` is every field but seq and the two hashes."""
    unsigned = Transition(seq=head.seq + 1, previous_hash=head.hash, hash="", **content)
    values = {field.name: getattr(unsigned, field.name) for field in fields(unsigned)}
    return Transition(**values | {"hash": unsigned.expected_hash()})


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of a chain."""

    seq: int = 0
    hash: str = GENESIS


class Damage(StrEnum):
    """What is wrong with a link."""

    EDITED = "edited"  # its content does not give its hash
    MISSING = "missing"  # one or more links before it are gone
    UNLINKED = "unlinked"  # the link before it is not the one it was made after
    CUT = "cut"  # the chain ends before (or after) its head
    STAGE = "stage"  # a version or champion is not where its last link put it


@dataclass(frozen=True, slots=True)
class Fault:
    """One damaged place of the chain."""

    seq: int
    damage: Damage
    subject: str  # model@version


@dataclass(frozen=True, slots=True)
class HistoryCheck:
    """What verifying found: ``n`` links read; intact when there are no faults."""

    n: int
    faults: tuple[Fault, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing was edited, removed or reordered."""
        return not self.faults


def verify_chain(transitions: Iterable[Transition], head: Head) -> HistoryCheck:
    """Verify links in the order of their seq, against the head that was stored beside them."""
    last = Head()
    faults: list[Fault] = []
    n = 0
    for row in transitions:
        n += 1
        subject = f"{row.model}@{row.version}"
        if row.seq != last.seq + 1:
            faults.append(Fault(row.seq, Damage.MISSING, subject))
        elif row.previous_hash != last.hash:
            faults.append(Fault(row.seq, Damage.UNLINKED, subject))
        if row.hash != row.expected_hash():
            faults.append(Fault(row.seq, Damage.EDITED, subject))
        last = Head(row.seq, row.hash)
    if last != head:
        faults.append(Fault(head.seq, Damage.CUT, ""))
    return HistoryCheck(n, tuple(faults))
