"""The city is worth learning, cannot be read off one input, and drifts that hurt can be mended."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from xgboost import XGBClassifier

from timonel.simulate.city import INPUTS, Drift
from timonel.simulate.history import history

pytestmark = pytest.mark.slow


def fit(table: pl.DataFrame, inputs: tuple[str, ...] = INPUTS) -> Any:
    # one thread: OpenMP threads that wait for a busy machine's cores cost twenty times as much
    model = XGBClassifier(n_estimators=10 * len(inputs), max_depth=5, learning_rate=0.1, n_jobs=1)
    return model.fit(table.select(inputs).to_numpy(), table["was_optimal"].to_numpy())


def accuracy(model: Any, table: pl.DataFrame, inputs: tuple[str, ...] = INPUTS) -> float:
    right = model.predict(table.select(inputs).to_numpy()) == table["was_optimal"].to_numpy()
    return float(np.mean(right))


@pytest.fixture(scope="module")
def past() -> pl.DataFrame:
    return history(12_000, seed=42)


@pytest.fixture(scope="module")
def trained(past: pl.DataFrame) -> Any:
    return fit(past)


@pytest.fixture(scope="module")
def fresh() -> pl.DataFrame:
    return history(4_000, seed=8)


def test_a_good_model_is_about_nine_tenths_right(trained: Any, fresh: pl.DataFrame) -> None:
    scores = trained.predict_proba(fresh.select(INPUTS).to_numpy())[:, 1]
    assert 0.87 < accuracy(trained, fresh) < 0.93
    assert roc_auc_score(fresh["was_optimal"].to_numpy(), scores) > 0.94
    base = max(np.bincount(fresh["was_optimal"].to_numpy())) / fresh.height
    assert base < 0.72


def test_no_single_input_determines_the_outcome(past: pl.DataFrame, fresh: pl.DataFrame) -> None:
    alone = {name: accuracy(fit(past, (name,)), fresh, (name,)) for name in INPUTS}
    assert max(alone.values()) < 0.85
    assert max(alone, key=alone.__getitem__) == "nearest_ambulance_distance_km"


@pytest.mark.parametrize("works", [0.2, 0.3])
def test_road_works_hurt_and_training_on_them_mends_it(
    trained: Any, fresh: pl.DataFrame, works: float
) -> None:
    drifted = history(8_000, seed=7, drift=Drift(road_works=works))
    before, after = drifted[:4_000], drifted[4_000:]
    hurt = accuracy(trained, after)
    assert hurt < accuracy(trained, fresh) - 0.05
    assert accuracy(fit(before), after) > max(hurt + 0.05, 0.87)


def test_miles_hurt(trained: Any, fresh: pl.DataFrame) -> None:
    assert accuracy(trained, history(4_000, seed=7, drift=Drift(miles=True))) < (
        accuracy(trained, fresh) - 0.05
    )
