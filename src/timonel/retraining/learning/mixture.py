"""Which rows to learn from: the log alone, or the log beside the original set. Pure.

No fixed rule is right. In the simulated city, after road works (the old world is mostly still
true) the log beside the original set is up to 2.6 points better than the log alone; after distances
came in miles (the old world is wrong) the log alone is 2 to 7 points better. So both are tried, on
the newest part of the rows to learn from, which the gates never see (ADR 0021 has the figures).
"""

from dataclasses import dataclass
from typing import Any

FEWEST_TO_CHOOSE = 50
_INNER_SHARE = 0.2
_MOST_COPIES = 50
SURE_ALONE = 6_000


@dataclass(frozen=True, slots=True)
class Mixture:
    """One way to put a training set together.

    Parameters
    ----------
    name : {"log", "both"}
    since_us : int
        Older logged rows are left out (0: none).
    original : bool
        Whether the original set is in it.
    copies : int
        How often each logged row stands in it, so that the log weighs as much as the original.
    """

    name: str
    since_us: int
    original: bool
    copies: int

    def document(self) -> dict[str, Any]:
        """Give it for lineage."""
        return {
            "name": self.name,
            "since": self.since_us or None,
            "original": self.original,
            "copies": self.copies,
        }


@dataclass(frozen=True, slots=True)
class Options:
    """The ways that are possible, and why some are not; the first is taken where none is tried."""

    ways: tuple[Mixture, ...]
    why: str


def options(
    *, n_log: int, n_since_loss: int, n_original: int, onset_us: int | None, needed: int
) -> Options:
    """List the ways to put the training set together.

    Parameters
    ----------
    n_log, n_since_loss, n_original : int
        Rows to learn from: of the log, of the log since the loss began, of the original set.
    onset_us : int or None
        When the confirmed loss of performance began; None: there is none.
    needed : int
        The policy's ``min_samples``.
    """
    since, n_alone = (onset_us or 0, n_since_loss) if onset_us is not None else (0, n_log)
    alone = Mixture("log", since, original=False, copies=1)
    everything = Mixture("log", 0, original=False, copies=1)
    if n_original == 0:
        return Options((alone if n_alone >= needed else everything,), "no original rows")
    copies = max(1, min(_MOST_COPIES, round(n_original / max(1, n_alone))))
    both = Mixture("both", since, original=True, copies=copies)
    if n_alone < needed:
        return Options((both,), f"the log alone has {n_alone} rows, {needed} are needed")
    if onset_us is not None and n_alone >= SURE_ALONE:
        return Options((alone,), f"{n_alone} rows since the loss began")
    first, second = (alone, both) if onset_us is not None else (both, alone)
    return Options((first, second), "tried on the newest rows to learn from")


def inner_holdout(n_alone: int) -> int:
    """Give how many of the newest rows to learn from the ways are tried on; 0: too few."""
    wanted = round(_INNER_SHARE * n_alone)
    return wanted if wanted >= FEWEST_TO_CHOOSE else 0


def best(ways: tuple[Mixture, ...], losses: list[float]) -> Mixture:
    """Give the way with the smaller mean loss; the first of equals."""
    return min(zip(losses, range(len(ways)), ways, strict=True))[2]


def read_mixture(document: dict[str, Any]) -> Mixture:
    """Read a way back from its document."""
    return Mixture(
        document["name"], document["since"] or 0, document["original"], document["copies"]
    )
