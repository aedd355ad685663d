"""How sound the values of a window are, and which drifted columns matter."""

import numpy as np
import pytest

from timonel.monitoring.drift.batch_quality import batch_quality
from timonel.monitoring.drift.explained import explained, importance_of
from timonel.stats.drift import Profile, compare

RNG = np.random.default_rng(2)
REFERENCE = Profile.fit(
    {
        "x": RNG.normal(0, 1, 10_000),
        "word": RNG.choice(["a", "b"], 10_000),
        "@score": RNG.random(10_000),
    }
)


def test_outliers_are_counted_at_the_fences_of_the_reference() -> None:
    values = np.random.default_rng(3).normal(0, 2, 5_000)
    first, third = 0.6745 * -1, 0.6745
    exact = float(np.mean(np.abs(values) > third + 1.5 * (third - first)))
    current = REFERENCE.empty_like().update({"x": values, "word": ["a"] * 5_000})
    found = batch_quality(REFERENCE, current)
    assert found is not None
    assert found["columns"]["x"]["outliers"] == pytest.approx(exact, abs=0.02)
    assert found["columns"]["x"]["beyond"] is True
    assert found["sound_reference"] == pytest.approx(0.9965, abs=0.002)  # 0.7 % of one of two


def test_missing_and_unseen_values_lower_the_level() -> None:
    n = 1_000
    words = ["new"] * 300 + ["a"] * 700
    numbers = [None] * 200 + [0.0] * 800
    current = REFERENCE.empty_like().update({"x": numbers, "word": words, "@score": [None] * n})
    found = batch_quality(REFERENCE, current)
    assert found is not None
    assert found["columns"]["word"]["unseen"] == 0.3
    assert found["columns"]["x"]["missing"] == 0.2
    assert (found["level"], found["sound"]) == ("ACCEPTABLE", pytest.approx(0.75))
    assert "@score" not in found["columns"]
    assert batch_quality(REFERENCE, REFERENCE.empty_like()) is None


def test_drift_is_ranked_by_importance_and_says_what_is_unknown() -> None:
    rng = np.random.default_rng(4)
    reference = Profile.fit({name: rng.normal(0, 1, 5_000) for name in ("a", "b", "c")})
    window = {name: rng.normal(by, 1, 1_000) for name, by in (("a", 3), ("b", 1), ("c", 1))}
    metrics = {
        "importance": {
            "features": [{"feature": "b", "value": 0.2}, {"feature": "a", "value": -0.01}]
        }
    }
    ranked = explained(compare(reference, window).columns.values(), importance_of(metrics))
    assert [one["column"] for one in ranked] == ["b", "a", "c"]
    assert [one["weight"] is None for one in ranked] == [False, False, True]
    assert ranked[1]["weight"] == 0.0
    assert importance_of({"importance": {"reason": "few", "features": []}}) == {}
    assert importance_of({}) == {}
