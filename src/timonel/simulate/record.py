"""What a client did by its own account, and how that compares with what the server reports.

Losses and doubles are counted from outside: a server that forgot a prediction would not list it.
"""

from collections import Counter
from collections.abc import Iterable
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


class Reported(NamedTuple):
    """One prediction as the server lists it."""

    prediction_id: str
    key: str | None


class Tally(NamedTuple):
    """The comparison; ids, so that a person can look them up."""

    lost: list[str]
    doubled: list[str]
    strange: list[str]


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

    def accuracy(self, source: str) -> Interval | None:
        """Give the share of a source's answers that proved right; None where no truth is known."""
        known = [
            entry.prediction == entry.outcome
            for entry in self.acknowledged.values()
            if entry.outcome is not None and entry.source == source
        ]
        return wilson(sum(known), len(known)) if known else None

    def commonest_outcome(self, source: str) -> float | None:
        """Give how often always answering the commoner truth would be right, on the same rows."""
        truths = Counter(
            entry.outcome
            for entry in self.acknowledged.values()
            if entry.outcome is not None and entry.source == source
        )
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
            ``lost``: acknowledged and not listed. ``doubled``: one id listed twice, or a second
            id under a key that was sent once. ``strange``: listed, and neither sent by this
            client nor under one of its keys.
        """
        keys = {entry.key: i for i, entry in self.acknowledged.items()}
        keys |= {key: i for i, key in self.in_doubt.items()}
        listed: Counter[str] = Counter()
        doubled: set[str] = set()
        strange: list[str] = []
        for prediction_id, key in reported:
            listed[prediction_id] += 1
            if listed[prediction_id] > 1:
                doubled.add(prediction_id)
            elif prediction_id not in self.acknowledged and prediction_id not in self.in_doubt:
                (doubled.add if key in keys else strange.append)(prediction_id)
        lost = [i for i in self.acknowledged if i not in listed]
        return Tally(lost, sorted(doubled), strange)
