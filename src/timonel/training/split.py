"""Which rows are learned from, and which are kept to measure on. The parts never share a row.

By time where the model names one (the newest rows are held out, rows of one moment stay
together), by group where it names one, else at random, stratified by class. Without time, rows
that are equal in all values and the target count as one, so that no holdout row was learned.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timonel.stats.measure import Measure, cannot_say
from timonel.stats.multivariate.repeats import frequencies
from timonel.training.table import Table

HOLDOUT = 0.2
NAIVE = "naive_error"
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of each part, ascending.

    Parameters
    ----------
    train, validation, test : ndarray of int
        ``validation`` is empty unless a share of it was asked for.
    method : {"time", "group", "stratified", "random"}
    n_duplicates : int
        Rows that repeat another one exactly.
    repeats : dict of int to int
        How many different inputs come once, twice, and so on in the training part.
    """

    train: Rows
    validation: Rows
    test: Rows
    method: str
    n_duplicates: int
    repeats: dict[int, int] = field(default_factory=dict)

    def by_time(self, table: Table) -> Sequence[int]:
        """Give the places of the test rows in the order of time; empty where it is not known."""
        if self.method != "time" or table.time is None:
            return ()
        order: list[int] = np.argsort(
            np.array([table.time[row] for row in self.test.tolist()]), kind="stable"
        ).tolist()
        return order

    def naive_error(self, table: Table) -> Measure:
        """Measure "as the time before" on the rows that are learned from, each group by itself.

        Notes
        -----
        What MASE is scaled by. Source: R. J. Hyndman and A. B. Koehler, 2006, International Journal
        of Forecasting 22, 679-688.
        """
        rows = self.train.tolist()
        if table.time is None:
            return cannot_say(NAIVE, len(rows), "the model declares no time")
        series: dict[Any, list[tuple[Any, float]]] = {}
        for row in rows:
            one = None if table.group is None else table.group[row]
            series.setdefault(one, []).append((table.time[row], float(table.target[row])))
        steps = []
        for own in series.values():
            own.sort(key=lambda at: at[0])
            for (before, known), (at, value) in pairwise(own):
                if at == before:
                    return cannot_say(NAIVE, len(rows), "several rows of one moment")
                steps.append(abs(value - known))
        if not any(steps):
            return cannot_say(NAIVE, len(steps), "the target never changes from row to row")
        return Measure(NAIVE, float(np.mean(steps)), len(steps))

    def document(self) -> dict[str, Any]:
        """Give it for lineage."""
        return {
            "method": self.method,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "duplicates": self.n_duplicates,
            "repeats": {str(times): rows for times, rows in self.repeats.items()},
        }


def split_rows(
    table: Table,
    *,
    classes: bool,
    rng: np.random.Generator,
    holdout: float = HOLDOUT,
    validation: float = 0.0,
) -> Split:
    """Split a table's rows.

    Parameters
    ----------
    table : Table
    classes : bool
        Whether the target is a class (then a random split keeps the shares of classes).
    rng : Generator
    holdout, validation : float
        Shares of the rows for test and validation.
    """
    found = _parts(table, classes, rng, holdout, validation)
    return replace(found, repeats=frequencies(table.values[row] for row in found.train))


def _parts(
    table: Table, classes: bool, rng: np.random.Generator, holdout: float, validation: float
) -> Split:
    n = len(table)
    duplicates, n_duplicates = _same_rows(table)
    if table.time is not None:
        test, left = _newest(table.time, np.arange(n), holdout)
        valid, train = _newest([table.time[i] for i in left], left, validation * n / len(left))
        return Split(train, valid, test, "time", n_duplicates)
    groups: Sequence[Hashable] = table.group if table.group is not None else duplicates
    strata = table.target if classes and table.group is None else None
    ids = {key: number for number, key in enumerate(dict.fromkeys(groups))}
    of_row = np.array([ids[key] for key in groups], dtype=np.int64)
    method = "group" if table.group is not None else "stratified" if classes else "random"
    part = _draw(of_row, strata, rng, (holdout, validation))
    rows = [np.flatnonzero(part == number) for number in (0, 2, 1)]
    return Split(rows[0], rows[1], rows[2], method, n_duplicates)


def _same_rows(table: Table) -> tuple[list[int], int]:
    """Give equal rows equal numbers, and count the repeated ones."""
    first: dict[Any, int] = {}
    numbers = [
        first.setdefault((values, target), row)
        for row, (values, target) in enumerate(zip(table.values, table.target, strict=True))
    ]
    return numbers, len(numbers) - len(first)


def _newest(times: Sequence[Any], rows: Rows, share: float) -> tuple[Rows, Rows]:
    """Give the newest ``share`` of the rows and the rest; one moment is never cut in two."""
    wanted = round(share * len(rows))
    if not wanted:
        return rows[:0], rows
    moments = np.array(times)
    ordered = np.sort(moments)
    cut = ordered[len(ordered) - wanted]
    newest = moments >= cut
    if newest.all():  # the oldest moment alone holds the cut: begin after it
        newest = moments > cut
    return rows[newest], rows[~newest]


def _draw(
    groups: Rows,
    strata: Sequence[Any] | None,
    rng: np.random.Generator,
    shares: tuple[float, float],
) -> Rows:
    """Give each row its part (0 train, 1 test, 2 validation); a group is never cut in two."""
    n_groups = int(groups.max()) + 1
    sizes = np.bincount(groups, minlength=n_groups)
    of_group: list[Any] = [None] * n_groups
    if strata is not None:
        for row, group in enumerate(groups.tolist()):
            of_group[group] = strata[row]
    members: dict[Any, list[int]] = {}
    for group, stratum in enumerate(of_group):
        members.setdefault(stratum, []).append(group)
    part = np.zeros(n_groups, dtype=np.int64)
    for stratum in members.values():
        left = rng.permutation(np.array(stratum)).tolist()
        total = int(sizes[left].sum())
        for number, share in ((1, shares[0]), (2, shares[1])):
            taken, left = _take(left, sizes, round(share * total))
            part[taken] = number
    return part[groups]


def _take(groups: list[int], sizes: Rows, wanted: int) -> tuple[list[int], list[int]]:
    """Take groups of about ``wanted`` rows in all, never all groups; give them and the rest."""
    taken: list[int] = []
    rest: list[int] = []
    n = 0
    for group in groups:
        if n < wanted and n + sizes[group] <= 2 * wanted:
            taken.append(group)
            n += int(sizes[group])
        else:
            rest.append(group)
    if wanted and not taken and len(rest) > 1:  # all are larger than that
        smallest = min(rest, key=lambda group: int(sizes[group]))
        rest.remove(smallest)
        taken.append(smallest)
    if not rest and taken:
        rest.append(taken.pop())
    return taken, rest
