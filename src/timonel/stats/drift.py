"""Has a column drifted? The default rule, on profiles.

A window of rows is compared with the reference column by column: the values, the missing ones and
those never seen before. A column drifted if a test's p-value is under ``A / K`` (K: all tests of
the window) *and* the difference is large enough to matter. Both are needed: a p-value alone finds
something in any large window, a distance alone is noise in any small one.

Blind spots: drift of several columns together that leaves each one's distribution as it was; a
change in what the inputs mean (concept drift); and windows under 200 rows, which are said to be
too small rather than judged.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from timonel.stats.profiles.alignment import Aligned, aligned
from timonel.stats.profiles.cells import Column, Ends, MomentCells, NumberCells, WordCells
from timonel.stats.profiles.count_tests import (
    TwoSample,
    binned,
    chi2_counts,
    fold,
    ks_counts,
    merge_thin,
    missing_counts,
    unseen_counts,
    value_bins,
)
from timonel.stats.profiles.distances import (
    jensen_shannon_shares,
    psi_shares,
    wasserstein_counts,
)
from timonel.stats.profiles.packing import FloatArray, IntArray
from timonel.stats.profiles.profile import ColumnProfile, Profile, counts_add
from timonel.stats.profiles.rows import RowCounter
from timonel.stats.profiles.two_sample import chi2, jensen_shannon, ks, psi, wasserstein

__all__ = [
    "ColumnDrift",
    "DriftReport",
    "DriftState",
    "DriftTest",
    "Profile",
    "RowCounter",
    "chi2",
    "compare",
    "counts_add",
    "jensen_shannon",
    "ks",
    "psi",
    "wasserstein",
]

FEWEST_ROWS = 200
FEWEST_VALUES = 50
RATE_FLOOR = 0.012
"""Differences of missing and of unseen values under 1.2 points are too small to matter."""
_STRICTER = 5.0


class DriftState(StrEnum):
    """What can be said of a column."""

    OK = "ok"
    DRIFTED = "drifted"
    NOT_ENOUGH_DATA = "not_enough_data"


@dataclass(frozen=True, slots=True)
class DriftTest:
    """One test of one column.

    Parameters
    ----------
    kind : {"ks", "chi2", "missing", "unseen"}
    statistic, p_value, effect : float
        The p-value as tested against the column's ``threshold``; of the better of KS and
        chi-square it is doubled.
    floor : float
        The least effect that counts.
    drifted : bool
    """

    kind: str
    statistic: float
    p_value: float
    effect: float
    floor: float
    drifted: bool


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """What the rule says of one column, and the figures beside it.

    Parameters
    ----------
    name, kind : str
    state : DriftState
    n, n_reference : int
        Rows of the window and of the reference.
    test : str or None
        The test that ``statistic``, ``p_value`` and ``effect`` belong to: the one that found
        drift, or came closest. None where there was nothing to test, and ``reason`` says why.
    psi, jensen_shannon : float or None
        Of the values, in the cells of the chi-square.
    wasserstein : float or None
        Of numbers, in their unit.
    threshold : float or None
        What a p-value had to be under: A / K, see ``DriftReport``; A by the column's own rows.
    tests : tuple of DriftTest
        All of them.
    """

    name: str
    kind: str
    state: DriftState
    n: int
    n_reference: int
    test: str | None = None
    statistic: float | None = None
    p_value: float | None = None
    effect: float | None = None
    reason: str | None = None
    psi: float | None = None
    wasserstein: float | None = None
    jensen_shannon: float | None = None
    threshold: float | None = None
    tests: tuple[DriftTest, ...] = ()

    @property
    def drifted(self) -> bool:
        """Whether drift was found."""
        return self.state is DriftState.DRIFTED

    def document(self) -> dict[str, Any]:
        """Give a JSON-safe form."""
        return {**asdict(self), "state": str(self.state), "tests": [asdict(t) for t in self.tests]}


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What the rule says of a window.

    Parameters
    ----------
    columns : dict of str to ColumnDrift
    n, n_reference : int
        Rows of the window and of the reference.
    n_tests : int
        K, all tests of the window.
    level : float
        A, the chance of any false finding: .05, or .01 if the window is more than a fifth of
        the reference.
    """

    columns: dict[str, ColumnDrift]
    n: int
    n_reference: int
    n_tests: int
    level: float

    @property
    def threshold(self) -> float:
        """What a p-value must be under, in a column of as many rows as the profile: A / K."""
        return self.level / max(1, self.n_tests)

    @property
    def drifted(self) -> bool:
        """Whether any column drifted."""
        return any(column.drifted for column in self.columns.values())

    @property
    def drifted_columns(self) -> tuple[str, ...]:
        """The columns that drifted, by name in the profile's order."""
        return tuple(name for name, column in self.columns.items() if column.drifted)

    @property
    def state(self) -> DriftState:
        """What can be said of the window."""
        if self.drifted:
            return DriftState.DRIFTED
        states = {column.state for column in self.columns.values()}
        return DriftState.OK if DriftState.OK in states else DriftState.NOT_ENOUGH_DATA

    def document(self) -> dict[str, Any]:
        """Give a JSON-safe form."""
        return {
            "state": str(self.state),
            "n": self.n,
            "n_reference": self.n_reference,
            "n_tests": self.n_tests,
            "level": self.level,
            "threshold": self.threshold,
            "columns": {name: column.document() for name, column in self.columns.items()},
        }


@dataclass(frozen=True, slots=True)
class _Pair:
    """One column of both sides in the reference's cells, and what was tested on it."""

    reference: ColumnProfile
    both: Aligned
    ends_now: Ends | None
    tests: tuple[tuple[str, TwoSample], ...] = ()
    shares: tuple[FloatArray, FloatArray] | None = None
    reason: str | None = None


def compare(
    reference: Profile,
    current: Profile | Mapping[str, Column],
    *,
    alpha: float = 0.05,
    floor: float = 0.03,
    floors: Mapping[str, float] | None = None,
) -> DriftReport:
    """Say which columns of a window drifted from the reference.

    Parameters
    ----------
    reference : Profile
        As ``Profile.fit`` made it.
    current : Profile, or mapping of str to sequence
        The window: best counted in the reference's cells (``reference.empty_like()`` and
        ``update``, or a ``RowCounter``), which is exact; or the columns themselves. A profile
        with cells of its own is read in the reference's, which is close.
    alpha : float
        The chance of any false finding in a window of up to a fifth of the reference's rows;
        a fifth of it beyond, where the same reference is tested more often than it can bear.
    floor : float
        The least KS distance or total variation that counts.
    floors : mapping of str to float, optional
        Other floors, by column.

    Returns
    -------
    DriftReport
        A column with fewer than 200 rows on a side is in state ``not_enough_data``.

    Notes
    -----
    Numbers: ``2 min(p_KS, p_chi2)``, the chi-square in about ten value-aware bins. Words and
    numbers of at most 20 values: chi-square with thin cells merged by their pooled count. Unseen
    words, where the reference's list is complete: one-sided, beyond the rate of words seen once.
    Missing values: Fisher's exact test. Texts are compared by their length; moments only by
    whether they are there, because they move on by nature.
    """
    if not isinstance(current, Profile):
        current = reference.empty_like().update(current)
    pairs = {name: _pair(reference, current, name) for name in reference.columns}
    tested = {name: pair for name, pair in pairs.items() if isinstance(pair, _Pair)}
    n_tests = sum(len(pair.tests) for pair in tested.values())
    floors = floors or {}
    columns = {
        name: pair
        if isinstance(pair, ColumnDrift)
        else _judge(pair, alpha, max(1, n_tests), floors.get(name, floor))
        for name, pair in pairs.items()
    }
    level = _level(alpha, reference.n, current.n)
    return DriftReport(columns, current.n, reference.n, n_tests, level)


def _level(alpha: float, n: int, m: int) -> float:
    return alpha if m <= n / _STRICTER else alpha / _STRICTER


def _pair(reference: Profile, current: Profile, name: str) -> _Pair | ColumnDrift:
    """Put both sides into the same cells and test them; or say why that cannot be done."""
    column, now = reference.columns[name], current.columns.get(name)
    n, m = column.n, now.n if now is not None else 0
    if now is None or min(n, m) < FEWEST_ROWS:
        side = "the reference" if n < FEWEST_ROWS else "the window"
        reason = f"{min(n, m) if side == 'the window' else n} rows in {side}, "
        return _unknown(column, m, f"{reason}at least {FEWEST_ROWS} are needed")
    both = Aligned(column.cells, column.counts, now.counts)
    if not column.same_cells(now):
        try:
            both = aligned(column.cells, column.counts, now.cells, now.counts, now.ends)
        except ValueError as kinds:
            return _unknown(column, m, str(kinds))
    pair = _value_tests(_Pair(column, both, now.ends))
    if column.n_missing + now.n_missing:
        found = missing_counts(column.n_missing, n, now.n_missing, m)
        pair = replace(pair, tests=(*pair.tests, ("missing", found)))
    return pair


def _unknown(column: ColumnProfile, m: int, reason: str) -> ColumnDrift:
    state = DriftState.NOT_ENOUGH_DATA
    return ColumnDrift(column.name, column.kind, state, m, column.n, reason=reason)


def _value_tests(pair: _Pair) -> _Pair:
    cells, r, c = pair.both.cells, pair.both.counts[:-1], pair.both.other[:-1]
    if isinstance(cells, MomentCells):
        return replace(pair, reason="moments move on by nature: only missing ones are compared")
    if min(r.sum(), c.sum()) < FEWEST_VALUES:
        few = f"fewer than {FEWEST_VALUES} values on a side: only missing ones are compared"
        return replace(pair, reason=few)
    if isinstance(cells, NumberCells):
        r_bins, c_bins = binned(value_bins(cells, r + c), r, c)
        tests = [_better(ks_counts(r, c), chi2_counts(*merge_thin(r_bins, c_bins)))]
    else:
        folded = fold(r, c, cells.buckets) if isinstance(cells, WordCells) else (r, c)
        r_bins, c_bins = merge_thin(*folded, other=len(folded[0]) - 1)
        tests = [("chi2", chi2_counts(r_bins, c_bins))] if len(r_bins) > 1 else []
        tests += _unseen(cells, r, c)
    shares = r_bins / r.sum(), c_bins / c.sum()
    reason = None if tests else "the values are one and the same, or each too rare to compare"
    return replace(pair, tests=tuple(tests), shares=shares, reason=reason)


def _better(by_ks: TwoSample, by_chi2: TwoSample) -> tuple[str, TwoSample]:
    """Take the smaller p-value of two tests of the same column, doubled."""
    p_ks, p_chi2 = by_ks.p_value or 0.0, by_chi2.p_value or 0.0
    kind, found = ("ks", by_ks) if p_ks <= p_chi2 else ("chi2", by_chi2)
    p = min(1.0, 2.0 * min(p_ks, p_chi2))
    return kind, TwoSample(found.statistic, p, found.effect, found.n, found.m)


def _unseen(cells: Any, r: IntArray, c: IntArray) -> list[tuple[str, TwoSample]]:
    singles, doubles = int(np.sum(r[:-1] == 1)), int(np.sum(r[:-1] == 2))
    # without a complete list nobody can tell; nor where the reference itself met strangers later
    if not cells.complete or r[-1] or not (singles + c[-1]):
        return []
    found = unseen_counts(int(c[-1]), int(c.sum()), singles, doubles, int(r.sum()))
    return [("unseen", found)]


def _judge(pair: _Pair, alpha: float, n_tests: int, floor: float) -> ColumnDrift:
    column, m = pair.reference, int(pair.both.other.sum())
    threshold = _level(alpha, column.n, m) / n_tests
    tests = []
    for kind, found in pair.tests:
        least = RATE_FLOOR if kind in ("missing", "unseen") else floor
        p, effect = found.p_value or 0.0, found.effect or 0.0
        drifted = p < threshold and effect > least
        tests.append(DriftTest(kind, found.statistic or 0.0, p, effect, least, drifted))
    shown = min(tests, key=lambda t: (not t.drifted, t.p_value), default=None)
    state = DriftState.DRIFTED if shown is not None and shown.drifted else DriftState.OK
    shares = pair.shares
    return ColumnDrift(
        column.name,
        column.kind,
        state,
        m,
        column.n,
        test=shown.kind if shown else None,
        statistic=shown.statistic if shown else None,
        p_value=shown.p_value if shown else None,
        effect=shown.effect if shown else None,
        reason=pair.reason,
        psi=psi_shares(*shares) if shares else None,
        jensen_shannon=jensen_shannon_shares(*shares) if shares else None,
        wasserstein=_wasserstein(pair) if shares else None,
        threshold=threshold,
        tests=tuple(tests),
    )


def _wasserstein(pair: _Pair) -> float | None:
    cells, r, c = pair.both.cells, pair.both.counts[:-1], pair.both.other[:-1]
    return wasserstein_counts(cells, r, c, pair.reference.ends, pair.ends_now)
