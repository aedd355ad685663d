"""Conversions of units are named from counts alone; ordinary shifts are not taken for one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from timonel.stats.drift import Profile, compare
from timonel.stats.profiles.units import KNOWN, UnitChange

Values = np.ndarray[Any, np.dtype[np.float64]]
Draw = Callable[[np.random.Generator, int], Values]

COLUMNS: dict[str, Draw] = {
    "height": lambda rng, n: rng.normal(170, 10, n).round(),
    "weight": lambda rng, n: rng.normal(70, 14, n).round(1),
    "age": lambda rng, n: rng.integers(18, 90, n).astype(float),
    "celsius": lambda rng, n: rng.normal(14, 8, n).round(1),
    "price": lambda rng, n: rng.lognormal(3, 1, n).round(2),
    "debt": lambda rng, n: np.where(rng.random(n) < 0.3, 0, rng.lognormal(5, 1.2, n)).round(2),
}


@pytest.fixture(scope="module")
def references() -> dict[str, Profile]:
    rng = np.random.default_rng(3)
    return {name: Profile.fit({"x": draw(rng, 5_000)}) for name, draw in COLUMNS.items()}


def named(reference: Profile, values: Values) -> UnitChange | None:
    return compare(reference, {"x": values}).columns["x"].unit_change


@pytest.mark.parametrize(
    ("column", "change"),
    [
        *(("weight", change) for change in KNOWN if not change.shift),
        *(("celsius", change) for change in KNOWN if change.shift),
        *(("price", change) for change in KNOWN if change.now is None),
        ("age", UnitChange(2.54, now="cm", before="inch")),
    ],
)
def test_a_conversion_is_named(
    references: dict[str, Profile], column: str, change: UnitChange
) -> None:
    values = COLUMNS[column](np.random.default_rng(5), 20_000)
    assert named(references[column], change.factor * values + change.shift) == change


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("n", [300, 2_000, 50_000])
def test_an_ordinary_change_is_not(references: dict[str, Profile], column: str, n: int) -> None:
    rng = np.random.default_rng(n)
    usual = COLUMNS[column](rng, n)
    sd, mean = float(usual.std()), float(usual.mean())
    changed = {
        "shifts": [usual + by * sd for by in (-3, -0.5, 0.5, 1, 3, 10, 100)],
        "factors": [usual * by for by in (0.5, 0.8, 1.1, 1.5, 2, 3, 5, 50, 500)],
        "spread": [mean + (usual - mean) * by for by in (0.5, 2, 3)],
        "constant": [np.full(n, mean * by) for by in (2.54, 10)],
        "mixture": [np.where(rng.random(n) < 0.5, usual, usual * 2.54)],
        "other": [rng.uniform(0, 2.54 * 2 * abs(mean), n), rng.normal(10 * mean, sd, n)],
    }
    for kind, windows in changed.items():
        for at, values in enumerate(windows):
            assert named(references[column], values) is None, (kind, at)


def test_a_wide_column_of_few_rows_is_not_guessed_at(references: dict[str, Profile]) -> None:
    # its logarithm has a standard deviation of 1: 2.54 and 2.3 look alike in 300 rows
    prices = COLUMNS["price"](np.random.default_rng(1), 300) * 2.54
    found = compare(references["price"], {"x": prices}).columns["x"]
    assert found.drifted
    assert found.unit_change is None
