"""Calibration on quiet windows, clustered rows, and the other rules with their blind spots."""

from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from statistics import fmean, median
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from scipy.stats import chi2, f, t

from timonel.stats.drift import DriftState, Profile, Rule, Scale, compare
from timonel.stats.profiles.cells import NumberCells, ValueCells
from timonel.stats.profiles.count_tests import TwoSample, scaled_p, usual_rate_p
from timonel.stats.profiles.rules import mean_of
from timonel.stats.profiles.seasons import Quiet, Spread, scale_of, slot_of, spreads_of


@pytest.fixture(scope="module")
def reference() -> Profile:
    rng = np.random.default_rng(0)
    return Profile.fit(
        {
            "x": rng.normal(10, 1, 10_000),
            "few": rng.poisson(3, 10_000),
            "word": rng.choice(["a", "b", "c"], 10_000),
            "@score": rng.beta(2, 2, 10_000),
        }
    )


def window(rng: np.random.Generator, n: int, shift: float = 0.0) -> dict[str, Any]:
    return {
        "x": rng.normal(10 + shift, 1, n),
        "few": rng.poisson(3, n),
        "word": rng.choice(["a", "b", "c"], n),
        "@score": rng.beta(2, 2, n),
    }


def spread(dispersions: list[float]) -> Spread | None:
    return spreads_of(np.array([dispersions]).T)[0]


def test_columns_taken_together_spread_as_each_by_itself() -> None:
    rng = np.random.default_rng(4)
    for n_windows in (1, 2, 7, 60, 744):
        table = rng.gamma(4.5, 0.3, (n_windows, 12))
        table[rng.random(table.shape) < 0.2] = np.nan
        table[:, 5] = np.nan
        assert spreads_of(rng.permutation(table)) == spreads_of(table)
        for found, column in zip(spreads_of(table), table.T, strict=True):
            present = [float(value) for value in column if value == value]
            alone = (fmean(present), median(present)) if present else None
            assert found == (alone and pytest.approx(alone, rel=1e-14))


def test_phi_is_the_greatest_of_three_and_floors_have_a_margin() -> None:
    quiet = [Quiet(2.0, {"ks": 0.04}), Quiet(3.0, {"ks": 0.10}), Quiet(2.5, {}), Quiet(None, {})]
    calm = scale_of(quiet, spread([1.0, 1.0, 1.0]))
    assert calm is not None
    assert calm.phi == pytest.approx(2.5)
    assert calm.n_windows == 4
    assert calm.floor("ks", 0.03) == pytest.approx(0.125)
    assert calm.floor("chi2", 0.03) == 0.03
    # one wild week does not count by its mean, but by the median
    wild = scale_of(quiet, spread([4.0, 4.0, 4.0, 400.0]))
    assert wild is not None
    assert wild.phi == pytest.approx(6.0)
    even = scale_of([Quiet(0.2, {})] * 4, spread([0.2] * 4))
    assert even is not None
    assert even.phi == 1.0
    assert scale_of(quiet[:3], spread([1.0] * 9)) is None


def test_a_phi_that_was_estimated_is_believed_as_far_as_windows_bear_it() -> None:
    found = TwoSample(30.0, 0.001, 0.1, 10_000, 1_000, dof=9)
    known = scaled_p("chi2", found, 1.5)
    assert known == pytest.approx(float(chi2.sf(20.0, 9)))
    # F(9, 36): the chi-square over a phi of four windows
    assert scaled_p("chi2", found, 1.5, 36.0) == pytest.approx(float(f.sf(20.0 / 9, 9, 36)))
    assert scaled_p("chi2", found, 1.5, 1e9) == pytest.approx(known, rel=1e-4)
    distance = TwoSample(0.08, 0.0, 0.08, 10_000, 1_000)
    few, many, all_ = (scaled_p("ks", distance, 2.0, nu) for nu in (36.0, 3600.0, inf))
    assert few > many > all_
    assert many == pytest.approx(all_, rel=0.2)
    # without clusters nothing is scaled, however few windows said so
    assert scaled_p("chi2", found, 1.0, 4.0) == 0.001


def test_rates_are_held_against_their_own_past() -> None:
    found = TwoSample(0.06, 1e-7, 0.06, 10_000, 2_000)
    usual = [Quiet(5.0, {"missing": effect}) for effect in (0.03, 0.04, 0.02, 0.04, 0.03)]
    scale = scale_of(usual, None)
    assert scale is not None
    typical = scale.typical["missing"]
    assert typical == pytest.approx((0.0054 / 5) ** 0.5)
    said = usual_rate_p("missing", found, typical, 5)
    assert said == pytest.approx(float(2 * t.sf(0.06 / typical, 5)))
    assert usual_rate_p("missing", found, 1e-4, 5) == 1e-7  # the exact one is the greater
    assert usual_rate_p("missing", found, 0.0, 0) == 1e-7
    assert usual_rate_p("unseen", found, typical, 5) == pytest.approx(
        float(t.sf(0.06 / typical / 2**0.5, 5))
    )


def test_slots_follow_local_clocks_through_both_changes_in_santiago() -> None:
    zone = ZoneInfo("America/Santiago")

    def slot(year: int, month: int, day: int, hour: int) -> int:
        return slot_of(datetime(year, month, day, hour, tzinfo=UTC).astimezone(zone), 1)

    friday_noon = 4 * 24 + 12
    assert slot(2026, 4, 3, 15) == friday_noon  # UTC-3
    assert slot(2026, 4, 10, 16) == friday_noon  # UTC-4
    assert slot(2026, 9, 11, 15) == friday_noon  # UTC-3 again
    last_of_saturday = 5 * 24 + 23
    assert [slot(2026, 4, 5, hour) for hour in (2, 3, 4)] == [
        *[last_of_saturday] * 2,
        6 * 24,
    ]
    assert [slot(2026, 9, 6, hour) for hour in (3, 4)] == [last_of_saturday, 6 * 24 + 1]
    assert slot_of(datetime(2026, 4, 4, tzinfo=zone), 24) == 5
    assert slot_of(datetime(2026, 4, 4, tzinfo=zone), 168) == 0


def test_a_calibrated_column_is_held_against_its_season(reference: Profile) -> None:
    rng = np.random.default_rng(1)
    night = window(rng, 1_000, 0.4)
    assert compare(reference, night).drifted_columns == ("x",)
    learned = compare(reference, night).columns["x"]
    assert learned.dispersion is not None
    assert learned.dispersion > 5
    scale = Scale(phi=learned.dispersion, effects=learned.effects, n_windows=4)
    assert not compare(reference, window(rng, 1_000, 0.4), scales={"x": scale}).drifted
    far = compare(reference, window(rng, 1_000, 0.9), scales={"x": scale}).columns["x"]
    assert far.drifted
    assert far.phi == scale.phi
    assert far.dispersion is not None
    assert far.dispersion > learned.dispersion  # kept as it was before calibration


def test_rows_of_few_units_are_taken_for_fewer(reference: Profile) -> None:
    rng = np.random.default_rng(2)
    alarms = {1.0: 0, 10.0: 0}
    for _ in range(40):
        units = window(rng, 300)
        rows = {name: np.repeat(values, 10) for name, values in units.items()}
        for clustering in alarms:
            found = compare(reference, rows, clustering=clustering)
            assert found.state is not DriftState.NOT_ENOUGH_DATA
            alarms[clustering] += found.drifted
    assert alarms[1.0] >= 38
    assert alarms[10.0] <= 4
    few = compare(reference, rows, clustering=16.0)
    assert few.state is DriftState.NOT_ENOUGH_DATA
    assert "too many of the same units" in str(few.columns["x"].reason)


CASES: list[tuple[str, str, Callable[[Any, Any], Any], bool]] = [
    ("ks", "x", lambda x, r: x + 0.4, False),
    ("ks", "x", lambda x, r: x + 0.8, True),
    ("ks", "x", lambda x, r: np.where(r.random(len(x)) < 0.3, np.nan, x), False),
    ("psi", "x", lambda x, r: x + 0.3, False),
    ("psi", "word", lambda x, r: np.where(r.random(len(x)) < 0.5, "a", x), True),
    ("mean_shift", "x", lambda x, r: 10 + (x - 10) * 5, False),
    ("mean_shift", "x", lambda x, r: x * 1.2, True),
    ("mean_shift", "few", lambda x, r: np.minimum(x + 1, 6), True),
    ("confidence", "@score", lambda x, r: np.clip(x * 1.02, 0, 1), False),
    ("confidence", "@score", lambda x, r: np.clip(x * 1.12, 0, 1), True),
]


@pytest.mark.parametrize(("rule", "column", "change", "drifted"), CASES)
def test_the_other_rules_and_what_they_miss(
    reference: Profile, rule: str, column: str, change: Callable[[Any, Any], Any], drifted: bool
) -> None:
    rng = np.random.default_rng(3)
    rows = window(rng, 2_000)
    rows[column] = change(rows[column], rng)
    found = compare(reference, rows, rules={column: rule}).columns[column]
    assert found.test == rule
    assert found.drifted is drifted
    if not drifted and rule != "confidence":  # the default rule sees what this one cannot
        assert compare(reference, rows).columns[column].drifted


def test_a_rule_that_does_not_fit_gives_way_and_says_so(reference: Profile) -> None:
    rng = np.random.default_rng(4)
    report = compare(reference, window(rng, 1_000), rule="mean_shift")
    assert report.columns["x"].test == "mean_shift"
    assert report.columns["word"].test == "chi2"
    assert "mean_shift" in str(report.columns["word"].reason)
    with pytest.raises(ValueError, match="nonsense"):
        compare(reference, window(rng, 1_000), rule="nonsense")
    assert set(Rule) == {"default", "ks", "psi", "mean_shift", "confidence"}


def test_the_mean_of_counts_is_that_of_the_values() -> None:
    rng = np.random.default_rng(5)
    values = np.exp(rng.normal(size=50_000))
    cells = NumberCells.fit(np.sort(values[:10_000]))
    tally = cells.tally(values)
    found = mean_of(cells, tally.counts[:-1], tally.ends)
    assert found == pytest.approx(values.mean(), rel=0.005)
    few = ValueCells("number", np.array([1.0, 4.0]))
    assert mean_of(few, few.tally([1, 4, 4, 1]).counts[:-1], None) == 2.5
    assert mean_of(few, few.tally([1, 4, 4, 9]).counts[:-1], None) is None
