"""The default rule: what drifts, what does not, and what cannot be said."""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from timonel.schema.features import Category, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.stats.drift import DriftState, Profile, RowCounter, compare
from timonel.stats.profiles.count_tests import merge_thin

SCHEMA = Schema(
    Number("age", integer=True),
    Number("income"),
    Number("debt", required=False),
    Category("town", ["Lebu", "Arica", "Iquique", "Ancud"], unseen="accept"),
    Flag("member"),
    Text("note"),
    Timestamp("since"),
)


def gaps(rng: np.random.Generator, values: Any, rate: float) -> Any:
    return np.where(rng.random(len(values)) < rate, np.nan, values)


def rows(rng: np.random.Generator, n: int) -> dict[str, Any]:
    return {
        "age": rng.integers(18, 80, n),
        "income": np.exp(rng.normal(size=n)),
        "debt": np.where(
            rng.random(n) < 0.01,
            np.nan,
            np.where(rng.random(n) < 0.7, 0.0, rng.exponential(size=n)),
        ),
        "town": rng.choice(["Lebu", "Arica", "Iquique"], p=[0.5, 0.3, 0.2], size=n),
        "member": rng.random(n) < 0.3,
        "note": ["x" * k for k in rng.poisson(40, n)],
        "since": rng.integers(10**15, 2 * 10**15, n),
        "@score": rng.beta(2, 5, n),
        "@prediction": rng.choice(["stays", "leaves"], p=[0.8, 0.2], size=n),
    }


@pytest.fixture(scope="module")
def reference() -> Profile:
    return Profile.fit(rows(np.random.default_rng(0), 10_000), schema=SCHEMA)


def test_nothing_wrong(reference: Profile) -> None:
    report = compare(reference, rows(np.random.default_rng(1), 1_000))
    assert report.state is DriftState.OK
    assert report.drifted_columns == ()
    assert report.level == 0.05
    assert report.n_tests == sum(len(c.tests) for c in report.columns.values())
    assert list(report.columns) == [*SCHEMA.names, "@score", "@prediction"]


CHANGES: dict[str, tuple[str, str, Callable[[Any, np.random.Generator], Any]]] = {
    "mean": ("income", "ks", lambda x, r: x * np.exp(0.25)),
    "spread": ("@score", "chi2", lambda x, r: 0.29 + (x - 0.29) * 1.35),
    "missing": ("debt", "missing", lambda x, r: gaps(r, x, 0.04)),
    "zeros": ("debt", "chi2", lambda x, r: np.where(r.random(len(x)) < 0.3, 0.001, x)),
    "class": ("town", "chi2", lambda x, r: np.where(r.random(len(x)) < 0.2, "Lebu", x)),
    "unseen": ("town", "unseen", lambda x, r: np.where(r.random(len(x)) < 0.02, "Ancud", x)),
    "label": ("@prediction", "chi2", lambda x, r: np.where(r.random(len(x)) < 0.15, "leaves", x)),
    "flag": ("member", "chi2", lambda x, r: x | (r.random(len(x)) < 0.15)),
    "length": ("note", "ks", lambda x, r: [text + "xxxx" for text in x]),
    "moments": ("since", "missing", lambda x, r: gaps(r, x, 0.04)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_in_its_column_alone(reference: Profile, change: str) -> None:
    column, test, alter = CHANGES[change]
    rng = np.random.default_rng(20)
    window = rows(rng, 1_000)
    window[column] = alter(window[column], rng)
    report = compare(reference, window)
    assert report.drifted_columns == (column,)
    found = report.columns[column]
    assert found.drifted
    assert found.test == test
    assert found.p_value is not None
    assert found.threshold == report.threshold
    assert found.p_value < report.threshold
    json.dumps(report.document(), allow_nan=False)


def test_moments_move_on(reference: Profile) -> None:
    window = rows(np.random.default_rng(3), 1_000)
    window["since"] = window["since"] + 10**15
    found = compare(reference, window).columns["since"]
    assert found.state is DriftState.OK
    assert found.reason is not None
    assert found.p_value is None


def test_a_small_difference_in_a_large_window_is_no_drift() -> None:
    rng = np.random.default_rng(4)
    reference = Profile.fit({"x": rng.normal(size=200_000)})
    report = compare(reference, {"x": rng.normal(0.03, 1, size=200_000)})
    assert (report.columns["x"].p_value or 0.0) < 1e-6
    assert not report.drifted
    assert compare(reference, {"x": rng.normal(0.03, 1, size=200_000)}, floor=0.005).drifted
    low = compare(reference, {"x": rng.normal(0.03, 1, size=200_000)}, floors={"x": 0.005})
    assert low.drifted


def test_a_window_above_a_fifth_of_the_reference_is_judged_more_strictly(
    reference: Profile,
) -> None:
    assert compare(reference, rows(np.random.default_rng(5), 2_001)).level == pytest.approx(0.01)


def test_a_column_of_fewer_reference_rows_is_judged_more_strictly_alone() -> None:
    """Scores are those of a holdout, features those of all training rows."""
    rng = np.random.default_rng(14)
    features, scores = ({name: rng.normal(size=n)} for name, n in (("x", 5_000), ("@score", 1_000)))
    columns = [*Profile.fit(features).columns.values(), *Profile.fit(scores).columns.values()]
    reference = Profile(columns, 5_000)
    report = compare(reference, {name: rng.normal(size=500) for name in ("x", "@score")})
    thresholds = [column.threshold for column in report.columns.values()]
    assert thresholds == [pytest.approx(0.05 / 2), pytest.approx(0.01 / 2)]


@pytest.mark.parametrize("n", [0, 1, 199])
def test_too_few_rows_are_a_state(reference: Profile, n: int) -> None:
    report = compare(reference, rows(np.random.default_rng(6), n))
    assert report.state is DriftState.NOT_ENOUGH_DATA
    assert not report.drifted
    for column in report.columns.values():
        assert column.p_value is None
        assert column.reason == f"{n} rows in the window, at least 200 are needed"


def test_a_small_reference_is_a_state() -> None:
    rng = np.random.default_rng(7)
    report = compare(Profile.fit({"x": rng.normal(size=100)}), {"x": rng.normal(size=500)})
    assert report.columns["x"].reason == "100 rows in the reference, at least 200 are needed"


def test_bad_input_gives_states_and_plain_figures() -> None:
    rng = np.random.default_rng(8)
    n = 1_000
    columns: dict[str, Any] = {
        "constant": np.zeros(n),
        "missing": [None] * n,
        "infinite": np.where(rng.random(n) < 0.3, np.inf, rng.normal(size=n)),
        "huge": rng.uniform(-1, 1, size=n) * 1.7e308,
        "words": rng.choice(["a", "b"], n),
        "sparse": np.where(rng.random(n) < 0.99, np.nan, 1.0),
    }
    reference = Profile.fit(columns)
    window = {**columns, "words": [f"new {i}" for i in range(n)], "unknown": [1] * n}
    report = compare(reference, window)
    assert report.drifted_columns == ("words",)
    assert (
        report.columns["constant"].reason
        == "the values are one and the same, or each too rare to compare"
    )
    assert report.columns["constant"].state is DriftState.OK
    assert "only missing" in (report.columns["sparse"].reason or "")
    json.dumps(report.document(), allow_nan=False)
    json.dumps(reference.to_json(), allow_nan=False)
    del window["words"]
    gone = compare(reference, window).columns["words"]
    assert gone.state is DriftState.NOT_ENOUGH_DATA
    assert gone.reason == "the window has no column of this name"
    moved = compare(reference, {**columns, "constant": np.ones(n), "missing": [1.0] * n})
    assert moved.drifted_columns == ("constant", "missing")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 5}, "in (0, 1), not 5"),
        ({"alpha": float("nan")}, "in (0, 1), not nan"),
        ({"floor": 3}, "0 to 1, not 3"),
        ({"floors": {"age": -0.1}}, "0 to 1, not -0.1"),
        ({"rule": "kolmogorov"}, "expected one of default, ks, psi, mean_shift, confidence"),
        ({"rules": {"age": "t"}}, "expected one of default, ks, psi, mean_shift, confidence"),
    ],
)
def test_a_setting_that_means_nothing_is_an_error(
    reference: Profile, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        compare(reference, reference, **settings)


def test_a_column_of_another_kind_is_a_state() -> None:
    n = 300
    words, numbers = Profile.fit({"x": ["a"] * n}), Profile.fit({"x": range(n)})
    found = compare(words, numbers).columns["x"]
    assert found.state is DriftState.NOT_ENOUGH_DATA
    assert found.reason == "one profile counts category, the other number"


def test_a_profile_with_cells_of_its_own_is_read_closely(reference: Profile) -> None:
    rng = np.random.default_rng(9)
    window = rows(rng, 1_500)
    window["income"] = window["income"] * 1.1
    fitted = Profile.fit(window, schema=SCHEMA)
    exact, close = compare(reference, window), compare(reference, fitted)
    # another vocabulary's unknown words and named ones say nothing
    assert close.n_tests == exact.n_tests - 1
    assert {test.kind for test in close.columns["note"].tests} <= {"ks", "chi2"}
    for name, column in exact.columns.items():
        if column.effect is not None:
            near = 0.02 if name == "note" else 0.01  # lengths are cut more coarsely
            assert close.columns[name].effect == pytest.approx(column.effect, abs=near)


def test_words_in_cells_and_words_in_buckets_can_be_compared() -> None:
    """One side lists its words, the other has more than fit: both are read in buckets."""
    rng = np.random.default_rng(10)
    few, more = ([f"w{k}" for k in rng.integers(size, size=5_000)] for size in (100, 400))
    some, same = ([f"w{k}" for k in rng.integers(200, size=n)] for n in (220, 50_000))
    for a, b, drifted in ((few, more, True), (some, same, False)):
        for reference, window in ((a, b), (b, a)):
            report = compare(Profile.fit({"x": reference}), Profile.fit({"x": window}))
            assert report.drifted is drifted
            assert report.n_tests == 1


def test_thin_cells_are_merged_by_their_pooled_count() -> None:
    r, c = merge_thin(np.array([900, 60, 30, 8, 2]), np.array([90, 6, 1, 1, 2]))
    # (30 + 1) * 1 / 11 is under 5, and all the thin ones together are too
    assert (r.tolist(), c.tolist()) == ([900, 100], [90, 10])
    r, c = merge_thin(np.array([500, 400, 50, 50]), np.array([50, 40, 5, 5]), other=3)
    assert (r.tolist(), c.tolist()) == ([500, 400, 50, 50], [50, 40, 5, 5])


def mixed(rng: np.random.Generator, n: int) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for i in range(3):
        table |= {
            f"normal{i}": rng.normal(size=n),
            f"tails{i}": rng.standard_t(2, size=n),
            f"zeros{i}": np.where(rng.random(n) < 0.8, 0, rng.exponential(size=n)),
            f"integers{i}": rng.poisson(60, n),
            f"flag{i}": rng.random(n) < 0.1,
            f"words{i}": np.char.add("w", np.minimum(rng.zipf(1.4, n), 500).astype(str)),
            f"gaps{i}": gaps(rng, rng.normal(size=n), 0.005),
        }
    return table


@pytest.mark.parametrize(("n", "m"), [(300, 1_000), (1_000, 200), (10_000, 1_000)])
def test_false_alarms_are_rare(n: int, m: int) -> None:
    """21 columns, 50 windows; benchmarks/drift_simulation.py has the long run."""
    rng = np.random.default_rng(11)
    warned = naive = 0
    for _ in range(10):
        reference = Profile.fit(mixed(rng, n))
        for _ in range(5):
            report = compare(reference, mixed(rng, m))
            warned += report.drifted
            naive += any(t.p_value < 0.05 for c in report.columns.values() for t in c.tests)
    assert warned <= 6
    assert naive >= 20


def test_power() -> None:
    rng = np.random.default_rng(12)
    reference = Profile.fit(mixed(rng, 10_000))
    found = dict.fromkeys(("shift", "spread", "missing"), 0)
    for _ in range(20):
        for change in found:
            window = mixed(rng, 1_000)
            for i in range(3):
                x = window[f"normal{i}"]
                window[f"normal{i}"] = {
                    "shift": x + 0.16,
                    "spread": x * 1.2,
                    "missing": gaps(rng, x, 0.03),
                }[change]
            found[change] += compare(reference, window).drifted
    assert min(found.values()) >= 18


def test_a_row_counter_counts_what_an_update_counts(reference: Profile) -> None:
    window = rows(np.random.default_rng(13), 700)
    whole = reference.empty_like().update(window)
    counter = RowCounter(reference)
    columns = [np.asarray(window[name]).tolist() for name in reference.names]
    for row in zip(*columns, strict=True):
        counter.add(row)
    assert len(counter) == 700
    counts = counter.take()
    assert reference.with_counts(counts) == whole
    assert counts == whole.counts()
    assert counter.take() == {"n": 0, "cells": {}, "ends": {}}
    with pytest.raises(ValueError, match="1 values for 9 columns"):
        counter.add((1.0,))
