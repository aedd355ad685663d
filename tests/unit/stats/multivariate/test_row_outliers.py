"""Rows that stand out: how many ordinary ones do, which others are found, and what data may do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from timonel.monitoring.drift.outliers import judge_share
from timonel.monitoring.verdicts import VerdictState
from timonel.stats.multivariate.row_outliers import (
    MOST_TOGETHER,
    SHARE,
    Limits,
    RowOutliers,
    outliers_add,
)
from timonel.stats.profiles.cells import N_BUCKETS
from timonel.stats.profiles.profile import Profile

Rows = list[tuple[Any, ...]]
Draw = Callable[[np.random.Generator, int], dict[str, list[Any]]]


def mixed(rng: np.random.Generator, n: int) -> dict[str, list[Any]]:
    """Draw two numbers that go together, a tail, words, a flag and one that is often missing."""
    height = rng.normal(170, 10, n)
    return {
        "height": height.tolist(),
        "weight": (height - 100 + rng.normal(0, 3, n)).tolist(),
        "debt": np.exp(rng.normal(8, 1.5, n)).tolist(),
        "plan": rng.choice(["a", "b", "c"], n, p=[0.6, 0.35, 0.05]).tolist(),
        "member": (rng.random(n) < 0.3).tolist(),
        "visits": np.where(rng.random(n) < 0.2, np.nan, rng.poisson(4, n)).tolist(),
    }


def words_alone(rng: np.random.Generator, n: int) -> dict[str, list[Any]]:
    kinds = {"a": 3, "b": 12, "c": 40}
    return {name: [f"w{k}" for k in rng.integers(m, size=n)] for name, m in kinds.items()}


def rows_of(columns: dict[str, list[Any]]) -> Rows:
    return list(zip(*columns.values(), strict=True))


def fitted(draw: Draw, seed: int = 1, n: int = 4_000, n_held: int = 1_000) -> RowOutliers:
    rng = np.random.default_rng(seed)
    learned = draw(rng, n)
    profile = Profile.fit(learned)
    found = RowOutliers.fit(profile, rows_of(learned), rows_of(draw(rng, n_held)))
    assert found is not None
    return RowOutliers.from_json(found.to_json(), profile)


@pytest.fixture(scope="module")
def told() -> RowOutliers:
    return fitted(mixed)


def share(told: RowOutliers, rows: Rows) -> float:
    counts = told.look(rows)
    return float(counts["outliers"] / counts["n"])


def test_of_ordinary_rows_about_one_in_a_hundred_stands_out(told: RowOutliers) -> None:
    rng = np.random.default_rng(2)
    assert told.limits.n_outliers <= SHARE * told.limits.n
    assert 0.004 < share(told, rows_of(mixed(rng, 5_000))) < 0.02


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("height", 1_700.0, True),  # a comma that moved
        ("height", -np.inf, True),
        ("debt", 1e9, True),
        ("plan", "never seen", True),
        ("member", None, True),  # was never missing
        ("weight", 50.0, False),  # ordinary, but not of somebody so tall
    ],
)
def test_strange_rows_stand_out_and_name_their_column(
    told: RowOutliers, column: str, value: Any, named: bool
) -> None:
    columns = mixed(np.random.default_rng(3), 300)
    if not named:
        columns["height"] = [185.0] * 300
    columns[column] = [value] * 300
    counts = told.look(rows_of(columns))
    assert counts["outliers"] / counts["n"] > 0.9
    assert (counts["alone"] == counts["outliers"]) is named
    if named:
        assert max(counts["by"], key=counts["by"].__getitem__) == column


def test_any_order_and_any_batches_give_the_same_counts(told: RowOutliers) -> None:
    rng = np.random.default_rng(4)
    rows = rows_of(mixed(rng, 3_000))
    rows += [(*row[:2], row[2] * 1e4, *row[3:]) for row in rows[:300]]
    whole = told.look(rows)
    shuffled = [rows[at] for at in rng.permutation(len(rows))]
    total: dict[str, Any] = {"n": 0, "outliers": 0, "alone": 0, "by": {}}
    for start, stop in zip([0, 1, 7, 1_000], [1, 7, 1_000, len(rows)], strict=True):
        total = outliers_add(total, told.look(shuffled[start:stop]))
    assert total == whole
    assert whole["by"]["debt"] >= 250


def test_words_alone_are_looked_at_too() -> None:
    told = fitted(words_alone)
    rng = np.random.default_rng(5)
    ordinary = rows_of(words_alone(rng, 2_000))
    assert share(told, ordinary) < 0.03
    assert share(told, [(a, b, "other") for a, b, _ in ordinary]) == 1.0


def test_more_words_than_a_profile_names_and_values_of_other_kinds() -> None:
    def many(rng: np.random.Generator, n: int) -> dict[str, list[Any]]:
        return {"street": [f"street number {k}" for k in rng.integers(5_000, size=n)]}

    told = fitted(many)
    assert len(told.scales[0].by_cell) == N_BUCKETS + 1  # type: ignore[union-attr]
    rng = np.random.default_rng(6)
    # a new street is one of many: nothing to see, and nothing that breaks
    assert share(told, [(f"new street {k}",) for k in range(500)]) < 0.05
    assert told.look([(value,) for value in (None, 3, True, float("nan"), "")])["n"] == 5
    assert share(told, rows_of(many(rng, 2_000))) < 0.03


def test_constant_empty_and_twin_columns_do_no_harm() -> None:
    def odd(rng: np.random.Generator, n: int) -> dict[str, list[Any]]:
        x = rng.normal(size=n)
        return {
            "x": x.tolist(),
            "twin": (2 * x + 1).tolist(),
            "constant": [1.0] * n,
            "empty": [None] * n,
            "huge": (rng.normal(size=n) * 1e300).tolist(),
        }

    told = fitted(odd)
    assert told.columns == ("x", "twin", "constant", "huge")
    rows = rows_of(odd(np.random.default_rng(7), 2_000))
    assert share(told, rows) < 0.03
    assert share(told, [(x, twin, 2.0, e, h) for x, twin, _, e, h in rows]) == 1.0
    assert share(told, [(x, -twin, c, e, h) for x, twin, c, e, h in rows if abs(x) > 1]) > 0.9


def test_very_many_columns_are_taken_one_by_one() -> None:
    def wide(rng: np.random.Generator, n: int) -> dict[str, list[Any]]:
        return {f"x{k}": rng.normal(size=n).tolist() for k in range(MOST_TOGETHER + 2)}

    told = fitted(wide, n=600, n_held=400)
    rows = rows_of(wide(np.random.default_rng(8), 500))
    assert told.inverse.ndim == 1
    assert share(told, rows) < 0.05
    assert share(told, [(row[0] + 30.0, *row[1:]) for row in rows]) > 0.9


def test_too_few_rows_held_back_tell_nothing() -> None:
    rng = np.random.default_rng(9)
    learned = mixed(rng, 500)
    rows = rows_of(mixed(rng, 199))
    assert RowOutliers.fit(Profile.fit(learned), rows_of(learned), rows) is None
    assert RowOutliers.fit(Profile.fit({"empty": [None] * 500}), [(None,)], [(None,)] * 300) is None


@pytest.mark.parametrize(
    ("n_outliers", "n", "limits", "clustering", "state"),
    [
        (10, 1_000, Limits(0, 0, 1_000, 10), 1.0, VerdictState.OK),
        (28, 1_000, Limits(0, 0, 1_000, 10), 1.0, VerdictState.WARNING),
        (60, 1_000, Limits(0, 0, 1_000, 10), 1.0, VerdictState.ALERT),
        (48, 1_000, Limits(0, 0, 1_000, 10), 4.0, VerdictState.WARNING),  # 12 of 250 units
        (45, 1_000, Limits(0, 0, 200, 2), 1.0, VerdictState.WARNING),  # usual up to 3.6 %
        (100, 150, Limits(0, 0, 1_000, 10), 1.0, VerdictState.NOT_ENOUGH),
        (60, 1_000, None, 1.0, VerdictState.UNKNOWN),
        (0, 0, Limits(0, 0, 1_000, 10), 1.0, VerdictState.UNKNOWN),
    ],
)
def test_a_window_alerts_when_chance_does_not_explain_its_share(
    n_outliers: int, n: int, limits: Limits | None, clustering: float, state: VerdictState
) -> None:
    counts = {"n": n, "outliers": n_outliers, "alone": 0, "by": {"age": n_outliers}}
    found, facts = judge_share(counts, limits, 0.03, clustering)
    assert found is state
    assert ("reason" in facts) is (state in (VerdictState.NOT_ENOUGH, VerdictState.UNKNOWN))


@pytest.mark.slow
@pytest.mark.parametrize("n_held", [200, 1_000])
def test_quiet_windows_never_alert_and_five_in_a_hundred_strange_rows_do(n_held: int) -> None:
    """Of 300 windows of 1,000 rows each, of 30 versions."""
    alerts = found = 0
    for seed in range(30):
        told = fitted(mixed, 100 + seed, 4 * n_held, n_held)
        rng = np.random.default_rng(seed)
        for _ in range(10):
            rows = rows_of(mixed(rng, 1_000))
            alerts += judge_share(told.look(rows), told.limits, 0.03)[0] is VerdictState.ALERT
            rows[:70] = [(row[0] * 2.54, *row[1:]) for row in rows[:70]]
            found += judge_share(told.look(rows), told.limits, 0.03)[0] is VerdictState.ALERT
    print(f"{n_held} held: {alerts} of 300 quiet windows alert, {found} of 300 with 7 % in inches")
    assert alerts <= 3
    assert found >= 270
