"""What a client did by its own account, and how that compares with what the server reports.

Losses and duplicates are counted from outside: a server that forgot a prediction would not list it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from timonel.stats.intervals import Interval, wilson


@dataclass(slots=True)
class Acknowledged:
    """One prediction that was answered, as the client keeps it."""

    key: str
    prediction: int
    source: str
    reason: str
    version: str | None
    seconds: float  # as the client waited
    outcome: int | None = None  # what was sent as its truth, once that was accepted
    outcome_id: str | None = None
    phase: str = ""  # of the story, when it was asked
    asked_s: float = 0.0  # on the monotonic clock


class Reported(NamedTuple):
    """One prediction as the server lists it."""

    prediction_id: str
    key: str | None
    truth: int | None = None


class Tally(NamedTuple):
    """The comparison; ids, so that a person can look them up."""

    lost: list[str]
    duplicated: list[str]
    strange: list[str]
    unjoined: list[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which answers are meant; None and "" leave a field open."""

    source: str | None = None
    version: str | None = None
    phases: tuple[str, ...] = ()

    def takes(self, entry: Acknowledged) -> bool:
        """Say whether an answer is meant."""
        return (
            (self.source is None or entry.source == self.source)
            and (self.version is None or entry.version == self.version)
            and (not self.phases or entry.phase in self.phases)
        )


@dataclass(slots=True)
class Record:
    """The client's own account of one run; ids in the order of sending.

    Parameters
    ----------
    most : int or None
        Entries kept; a city that lives for days forgets the oldest. Counts go on, accuracy is then
        that of the entries kept, and ``compare`` has nothing to say about forgotten ones.
    """

    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    in_doubt: dict[str, str] = field(default_factory=dict)
    """Id and key of requests that never got an answer: they may be in the log or not."""
    refused: list[str] = field(default_factory=list)
    most: int | None = None
    n_outcomes: int = 0
    """How many truths the server accepted."""
    _answers: Counter[str] = field(default_factory=Counter)

    def acknowledge(self, prediction_id: str, entry: Acknowledged) -> None:
        """Keep an answered prediction."""
        self.acknowledged[prediction_id] = entry
        self._answers[entry.source] += 1
        if self.most is not None and len(self.acknowledged) > self.most:
            del self.acknowledged[next(iter(self.acknowledged))]

    def told(self, prediction_id: str, value: int, outcome_id: str) -> None:
        """Keep that the server accepted a prediction's truth."""
        self.n_outcomes += 1
        if prediction_id in self.acknowledged:
            entry = self.acknowledged[prediction_id]
            entry.outcome, entry.outcome_id = value, outcome_id

    @property
    def n_predictions(self) -> int:
        """How many predictions were answered."""
        return self._answers.total()

    def answered_by(self, source: str) -> int:
        """Count the answers of "model", "rules" or "baseline"."""
        return self._answers[source]

    def chosen(self, choice: Choice) -> list[Acknowledged]:
        """Give the answers that are meant, in the order of their coming."""
        return [entry for entry in self.acknowledged.values() if choice.takes(entry)]

    def latest(self) -> Iterator[Acknowledged]:
        """Give the answers, the last first."""
        for prediction_id in reversed(self.acknowledged):
            yield self.acknowledged[prediction_id]

    def n_labelled(self, choice: Choice) -> int:
        """Count those of the answers that are meant whose truth has been told."""
        return sum(entry.outcome is not None for entry in self.chosen(choice))

    def accuracy(self, choice: Choice) -> Interval | None:
        """Give the share of some answers that proved right; None where no truth is known."""
        known = [e.prediction == e.outcome for e in self.chosen(choice) if e.outcome is not None]
        return wilson(sum(known), len(known)) if known else None

    def commonest_outcome(self, choice: Choice) -> float | None:
        """Give how often always answering the commoner truth would be right, on the same rows."""
        truths = Counter(e.outcome for e in self.chosen(choice) if e.outcome is not None)
        return max(truths.values()) / truths.total() if truths else None

    def compare(self, reported: Iterable[Reported]) -> Tally:
        """Hold the record against everything the server lists.

        Parameters
        ----------
        reported : iterable of Reported
            Every prediction in the log since the run began, each as often as it is listed.

        Returns
        -------
        Tally
            ``lost``: acknowledged and not listed. ``duplicated``: one id listed twice, or a second
            id under a key that was sent once. ``strange``: listed, and neither sent by this
            client nor under one of its keys. ``unjoined``: listed without the truth that was told.
        """
        keys = {entry.key: i for i, entry in self.acknowledged.items()}
        keys |= {key: i for i, key in self.in_doubt.items()}
        listed: Counter[str] = Counter()
        duplicated: set[str] = set()
        strange: list[str] = []
        truths: dict[str, int | None] = {}
        for prediction_id, key, truth in reported:
            truths[prediction_id] = truth
            listed[prediction_id] += 1
            if listed[prediction_id] > 1:
                duplicated.add(prediction_id)
            elif prediction_id not in self.acknowledged and prediction_id not in self.in_doubt:
                (duplicated.add if key in keys else strange.append)(prediction_id)
        lost = [i for i in self.acknowledged if i not in listed]
        told = {i: e.outcome for i, e in self.acknowledged.items() if e.outcome is not None}
        unjoined = [i for i, truth in told.items() if i in listed and truths[i] != truth]
        return Tally(lost, sorted(duplicated), strange, unjoined)
