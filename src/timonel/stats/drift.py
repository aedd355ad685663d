"""Has a column drifted? The default rule, on profiles.

A window of rows is compared with the reference column by column: the values, the missing ones and
those never seen before. A column drifted if a test's p-value is under ``A / K`` (K: all tests of
the window) *and* the difference is large enough to matter. Both are needed: a p-value alone finds
something in any large window, a distance alone is noise in any small one.

Blind spots: drift of several columns together that leaves each one's distribution as it was; a
change in what the inputs mean (concept drift); and windows under 200 rows, which are said to be
too small rather than judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from timonel.stats.profiles.alignment import Aligned, aligned
from timonel.stats.profiles.cells import Column, Ends, MomentCells, NumberCells, WordCells
from timonel.stats.profiles.count_tests import (
    TwoSample,
    binned,
    chi2_each,
    fold,
    ks_each,
    merge_thin,
    missing_counts,
    scaled_p,
    unseen_counts,
    usual_rate_p,
    value_bins,
)
from timonel.stats.profiles.distances import (
    jensen_shannon_each,
    psi_each,
    wasserstein_counts,
)
from timonel.stats.profiles.findings import (
    ColumnDrift,
    DriftReport,
    DriftState,
    DriftTest,
    Rule,
    TextShift,
)
from timonel.stats.profiles.packing import FloatArray, IntArray
from timonel.stats.profiles.profile import ColumnProfile, Profile, counts_add
from timonel.stats.profiles.rows import RowCounter
from timonel.stats.profiles.rules import JUDGES, Counted, Ruled
from timonel.stats.profiles.seasons import Scale
from timonel.stats.profiles.two_sample import chi2, jensen_shannon, ks, psi, wasserstein
from timonel.stats.profiles.units import UnitChange, unit_change
from timonel.stats.texts.cells import TextCells
from timonel.stats.texts.shifts import TextPair

__all__ = [
    "ColumnDrift",
    "DriftReport",
    "DriftState",
    "DriftTest",
    "Profile",
    "RowCounter",
    "Rule",
    "Scale",
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """How a window is to be judged; as the parameters of ``compare``."""

    alpha: float
    floor: float
    floors: Mapping[str, float]
    scales: Mapping[str, Scale]
    clustering: float
    rule: Rule
    rules: Mapping[str, str]

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is a chance of errors, in (0, 1), not {self.alpha!r}")
        for floor in (self.floor, *self.floors.values()):
            if not 0 <= floor <= 1:
                raise ValueError(f"a floor is a least difference of shares, 0 to 1, not {floor!r}")

    def scale(self, column: str) -> Scale:
        """Give a column's calibration; without one, what clusters may do to it at most."""
        return self.scales.get(column) or Scale(phi=self.clustering)


@dataclass(frozen=True, slots=True)
class _Pair:
    """One column of both sides in the reference's cells, and what was tested on it.

    Tests that look for the same thing stand in one group: the best of them counts, once. Texts
    stand here by their lengths; ``texts`` has the rest of them. ``thick`` is what a chi-square is
    made of, ``shares`` what distances are: both None where there are too few values.
    """

    reference: ColumnProfile
    now: ColumnProfile
    both: Aligned
    thick: tuple[IntArray, IntArray] | None = None
    shares: tuple[FloatArray, FloatArray] | None = None
    groups: tuple[tuple[tuple[str, TwoSample], ...], ...] = ()
    psi: float | None = None
    jensen_shannon: float | None = None
    reason: str | None = None
    texts: TextPair | None = None

    @property
    def effects(self) -> dict[str, float]:
        """The effect of every test; of those of one kind the largest."""
        effects: dict[str, float] = {}
        for kind, found in chain.from_iterable(self.groups):
            effects[kind] = max(effects.get(kind, 0.0), found.effect or 0.0)
        return effects

    @property
    def dispersion(self) -> float | None:
        """The chi-square by degree of freedom; of several the largest."""
        tests = (found for _, found in chain.from_iterable(self.groups))
        return max(((t.statistic or 0.0) / t.dof for t in tests if t.dof), default=None)


def compare(
    reference: Profile,
    current: Profile | Mapping[str, Column],
    *,
    alpha: float = 0.05,
    floor: float = 0.03,
    floors: Mapping[str, float] | None = None,
    scales: Mapping[str, Scale] | None = None,
    clustering: float = 1.0,
    rule: str = Rule.DEFAULT,
    rules: Mapping[str, str] | None = None,
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
    scales : mapping of str to Scale, optional
        Calibration by column, of the window's slot (``timonel.stats.profiles.seasons``).
    clustering : float
        Rows that come from the same unit, as a row sees it: ``sum c^2 / sum c`` over the units'
        numbers of rows c. The window is taken for so many times fewer rows where nothing better
        is known: L. Kish, 1965, Survey Sampling, section 8.2, with full correlation.
    rule : str
        By what columns are judged (``Rule``); where it does not fit a column's kind, by the
        default rule.
    rules : mapping of str to str, optional
        Other rules, by column.

    Returns
    -------
    DriftReport
        A column with fewer than 200 rows on a side, or that the window does not have, is in state
        ``not_enough_data`` with the reason.

    Raises
    ------
    ValueError
        If alpha, a floor or a rule is none, or a column of the window cannot be counted.

    Notes
    -----
    Numbers: ``2 min(p_KS, p_chi2)``, the chi-square in about ten value-aware bins. Words and
    numbers of at most 20 values: chi-square with thin cells merged by their pooled count. Unseen
    words, where the reference's list is complete: one-sided, beyond the rate of words seen once.
    Missing values: Fisher's exact test. Texts: by their length, as numbers are; by the share of
    unknown words in each; and by the words that documents hold (``timonel.stats.texts.shifts``).
    Moments: only by whether they are there, because they move on by nature.
    """
    asked = _Asked(
        alpha, floor, floors or {}, scales or {}, max(1.0, clustering), Rule(rule), rules or {}
    )
    if not isinstance(current, Profile):
        given = [column for name, column in reference.columns.items() if name in current]
        current = Profile(given, reference.n).empty_like().update(current)
    pairs = {name: _pair(reference, current, name, asked.clustering) for name in reference.columns}
    tested = _tested_together([p for p in pairs.values() if isinstance(p, _Pair)], asked.clustering)
    n_tests = sum(len(pair.groups) for pair in tested.values())
    columns = {
        name: pair if isinstance(pair, ColumnDrift) else _judge(tested[name], asked, n_tests)
        for name, pair in pairs.items()
    }
    level = _level(alpha, reference.n, current.n)
    return DriftReport(columns, current.n, reference.n, n_tests, level)


def _level(alpha: float, n: int, m: int) -> float:
    return alpha if m <= n / _STRICTER else alpha / _STRICTER


def _pair(
    reference: Profile, current: Profile, name: str, clustering: float
) -> _Pair | ColumnDrift:
    """Put both sides into the same cells and bins; or say why that cannot be done."""
    column, now = reference.columns[name], current.columns.get(name)
    n, m = column.n, now.n if now is not None else 0
    units = int(m / clustering)
    if now is None:
        return _unknown(column, m, "the window has no column of this name")
    if min(n, units) < FEWEST_ROWS:
        return _unknown(column, m, _too_few(n, m, units))
    both = Aligned(column.cells, column.counts, now.counts)
    if not column.same_cells(now):
        try:
            both = aligned(column.cells, column.counts, now.cells, now.counts, now.ends)
        except ValueError as kinds:
            return _unknown(column, m, str(kinds))
    texts = None
    if isinstance(both.cells, TextCells):
        texts = TextPair(both.cells, both.counts, both.other)
        lengths = map(both.cells.lengths_in, both[1:])
        both = Aligned(both.cells.lengths, *lengths)
    return _in_bins(_Pair(column, now, both, texts=texts))


def _too_few(n: int, m: int, units: int) -> str:
    if n < FEWEST_ROWS:
        return f"{n} rows in the reference, at least {FEWEST_ROWS} are needed"
    if m < FEWEST_ROWS:
        return f"{m} rows in the window, at least {FEWEST_ROWS} are needed"
    return f"{m} rows in the window are as good as {units}: too many of the same units"


def _unknown(column: ColumnProfile, m: int, reason: str) -> ColumnDrift:
    state = DriftState.NOT_ENOUGH_DATA
    return ColumnDrift(column.name, column.kind, state, m, column.n, reason=reason)


def _in_bins(pair: _Pair) -> _Pair:
    cells, r, c = pair.both.cells, pair.both.counts[:-1], pair.both.other[:-1]
    if isinstance(cells, MomentCells):
        return replace(pair, reason="moments move on by nature: only missing ones are compared")
    n, m = int(r.sum()), int(c.sum())
    if min(n, m) < FEWEST_VALUES:
        few = f"fewer than {FEWEST_VALUES} values on a side: only missing ones are compared"
        return replace(pair, reason=few)
    if isinstance(cells, NumberCells):
        r_bins, c_bins = binned(value_bins(cells, r + c), r, c)
        thick = merge_thin(r_bins, c_bins)
    else:
        folded = fold(r, c, cells.buckets) if isinstance(cells, WordCells) else (r, c)
        thick = r_bins, c_bins = merge_thin(*folded, other=len(folded[0]) - 1)
    return replace(pair, thick=thick, shares=(r_bins / n, c_bins / m))


def _tested_together(pairs: Sequence[_Pair], clustering: float) -> dict[str, _Pair]:
    """Test all columns, each kind of test on all of them at once."""
    tested = {pair.reference.name: pair for pair in pairs}
    thick = {name: pair.thick for name, pair in tested.items() if pair.thick is not None}
    shares = [pair.shares for pair in pairs if pair.shares is not None]
    ordered = {
        name: (tested[name].both.counts[:-1], tested[name].both.other[:-1])
        for name in thick
        if isinstance(tested[name].both.cells, NumberCells)
    }
    by_chi2 = dict(zip(thick, chi2_each([*thick.values()]), strict=True))
    by_ks = dict(zip(ordered, ks_each([*ordered.values()]), strict=True))
    apart = zip(thick, psi_each(shares), jensen_shannon_each(shares), strict=True)
    distances = {name: (psi, jensen_shannon) for name, psi, jensen_shannon in apart}
    for name, pair in tested.items():
        groups: list[tuple[tuple[str, TwoSample], ...]] = []
        reason = pair.reason
        if name in by_ks:
            groups.append((("ks", by_ks[name]), ("chi2", by_chi2[name])))
        elif pair.thick is not None:
            groups += [(("chi2", by_chi2[name]),)] if len(pair.thick[0]) > 1 else []
            groups += _unseen(pair, clustering)
            same = "the values are one and the same, or each too rare to compare"
            reason = None if groups else same
        groups += [] if pair.texts is None else pair.texts.groups()
        groups += _missing(pair, clustering)
        psi, jensen_shannon = distances.get(name, (None, None))
        tested[name] = replace(
            pair, groups=tuple(groups), psi=psi, jensen_shannon=jensen_shannon, reason=reason
        )
    return tested


def _missing(pair: _Pair, clustering: float) -> list[tuple[tuple[str, TwoSample], ...]]:
    there, now = pair.reference, pair.now
    if not there.n_missing + now.n_missing:
        return []
    missing, units = round(now.n_missing / clustering), int(now.n / clustering)
    return [(("missing", missing_counts(there.n_missing, there.n, missing, units)),)]


def _unseen(pair: _Pair, clustering: float) -> list[tuple[tuple[str, TwoSample], ...]]:
    cells: Any = pair.both.cells
    r, c = pair.both.counts[:-1], pair.both.other[:-1]
    singles, doubles = int(np.sum(r[:-1] == 1)), int(np.sum(r[:-1] == 2))
    # without a complete list nobody can tell; nor where the reference itself met strangers later
    if not cells.complete or r[-1] or not (singles + c[-1]):
        return []
    unseen, m = round(int(c[-1]) / clustering), int(int(c.sum()) / clustering)
    return [(("unseen", unseen_counts(unseen, m, singles, doubles, int(r.sum()))),)]


def _judge(pair: _Pair, asked: _Asked, n_tests: int) -> ColumnDrift:
    column, m = pair.reference, int(pair.both.other.sum())
    threshold = _level(asked.alpha, column.n, m) / max(1, n_tests)
    scale = asked.scale(column.name)
    floor = asked.floors.get(column.name, asked.floor)
    tests = [_best(group, scale, floor, threshold) for group in pair.groups]
    reason = pair.reason
    rule = Rule(asked.rules.get(column.name, asked.rule))
    if rule is not Rule.DEFAULT:
        ruled = _by_rule(pair, rule)
        if ruled is not None:
            tests, threshold = [_as_test(rule, ruled)], ruled.threshold
        else:
            reason = reason or f"the rule {rule} says nothing of this column: the default is used"
    shown = min(tests, key=lambda t: (not t.drifted, t.p_value), default=None)
    state = DriftState.DRIFTED if shown is not None and shown.drifted else DriftState.OK
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
        reason=reason,
        psi=pair.psi,
        jensen_shannon=pair.jensen_shannon,
        wasserstein=_wasserstein(pair) if pair.shares else None,
        threshold=threshold,
        tests=tuple(tests),
        phi=scale.phi,
        dispersion=pair.dispersion,
        effects=pair.effects,
        unit_change=_unit_change(pair) if state is DriftState.DRIFTED else None,
        text=_text_shift(pair, scale, floor, threshold),
    )


def _best(
    group: tuple[tuple[str, TwoSample], ...], scale: Scale, floor: float, threshold: float
) -> DriftTest:
    """Take the smallest p-value of tests of the same thing, times how many they are."""
    tests = _tested(group, scale, floor, threshold)
    # of many words the surest may have moved too little to matter, and another far enough
    drifted = [test for test in tests if test.drifted and test.kind == "words"]
    return min(drifted or tests, key=lambda test: test.p_value)


def _tested(
    group: tuple[tuple[str, TwoSample], ...], scale: Scale, floor: float, threshold: float
) -> list[DriftTest]:
    freedom = scale.freedom(next((found.dof for _, found in group if found.dof), 1))
    tests = []
    for kind, found in group:
        of_rates = kind in ("missing", "unseen")
        p = (
            usual_rate_p(kind, found, scale.typical.get(kind, 0.0), scale.n_windows)
            if of_rates
            else scaled_p(kind, found, scale.phi, freedom)
        )
        p, effect = min(1.0, len(group) * p), found.effect or 0.0
        least = scale.floor(kind, RATE_FLOOR if of_rates else floor)
        drifted = p < threshold and effect > least
        tests.append(DriftTest(kind, found.statistic or 0.0, p, effect, least, drifted))
    return tests


def _text_shift(pair: _Pair, scale: Scale, floor: float, threshold: float) -> TextShift | None:
    if pair.texts is None:
        return None
    moved = [
        test.drifted
        for group in pair.groups
        for test in _tested(group, scale, floor, threshold)
        if test.kind == "words"
    ]
    return pair.texts.shift(moved)


def _by_rule(pair: _Pair, rule: Rule) -> Ruled | None:
    if pair.shares is None:
        return None
    column, both = pair.reference, pair.both
    counted = Counted(
        both.cells, both.counts[:-1], both.other[:-1], *pair.shares, column.ends, pair.now.ends
    )
    return JUDGES[rule](counted)


def _as_test(rule: Rule, ruled: Ruled) -> DriftTest:
    p = 1.0 if ruled.p_value is None else ruled.p_value
    return DriftTest(str(rule), ruled.statistic, p, ruled.effect, ruled.threshold, ruled.drifted)


def _unit_change(pair: _Pair) -> UnitChange | None:
    cells, r, c = pair.both.cells, pair.both.counts[:-1], pair.both.other[:-1]
    if not isinstance(cells, NumberCells) or cells.kind != "number" or pair.shares is None:
        return None
    return unit_change(cells, r, c, pair.reference.ends or Ends(), pair.now.ends or Ends())


def _wasserstein(pair: _Pair) -> float | None:
    cells, r, c = pair.both.cells, pair.both.counts[:-1], pair.both.other[:-1]
    return wasserstein_counts(cells, r, c, pair.reference.ends, pair.now.ends)
