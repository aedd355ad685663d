"""Bands of estimates where what scores are worth wanders, in the reference and afterwards."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from timonel.stats.calibration.labelled import LabelledScores
from timonel.stats.calibration.losses import LossGroups
from timonel.stats.calibration.record import Miss, Record
from timonel.stats.calibration.stretches import wander_of
from timonel.stats.estimation import Cbpe
from timonel.stats.profiles.profile import Profile

Floats = Any


def wandering(rng: np.random.Generator, n: int, spread: float) -> tuple[Floats, Floats]:
    """Draw scores and labels; in each 250 rows so many labels are turned round."""
    score = rng.uniform(size=n)
    turned = np.repeat(np.abs(rng.normal(0.0, spread, -(-n // 250))), 250)[:n]
    label = (rng.uniform(size=n) < score) ^ (rng.uniform(size=n) < turned)
    return score, label.astype(np.float64)


def accuracy(score: Floats, label: Floats) -> float:
    return float(np.mean((score >= 0.5) == label))


def test_rows_that_do_not_wander_hardly_ever_seem_to() -> None:
    rng = np.random.default_rng(0)
    found = [wander_of(*wandering(rng, 1_000, 0.0), 0.5, range(1_000)) for _ in range(12)]
    assert sum("accuracy" in one for one in found) <= 3  # one or none is expected


def test_a_band_that_knows_how_the_reference_wandered_holds_later_windows() -> None:
    rng = np.random.default_rng(1)
    inside, alone, n = 0, 0, 0
    for _ in range(3):
        score, label = wandering(rng, 5_000, 0.15)
        cells = Profile.fit({"@score": score}).columns["@score"].cells
        kept = LabelledScores.of(cells, score, label, threshold=0.5, order=range(len(score)))
        cbpe = LabelledScores.from_json(kept.to_json()).fit()
        assert cbpe.wander == kept.wander
        for _ in range(16):
            now, truth = wandering(rng, 250, 0.15)
            found, plain = (
                one.estimate(now, "accuracy") for one in (cbpe, replace(cbpe, wander={}))
            )
            assert found.value == plain.value
            inside += (found.lower or 0.0) <= accuracy(now, truth) <= (found.upper or 1.0)
            alone += (plain.lower or 0.0) <= accuracy(now, truth) <= (plain.upper or 1.0)
            n += 1
    assert inside >= 0.9 * n
    assert alone < 0.8 * n


def test_errors_of_a_regression_that_wander_widen_its_band() -> None:
    rng = np.random.default_rng(2)

    def drawn(n: int) -> tuple[Floats, Floats]:
        said = rng.uniform(0.0, 10.0, n)
        scale = np.repeat(np.exp(rng.normal(0.0, 0.4, -(-n // 250))), 250)[:n]
        return said, said + rng.normal(0.0, 1.0, n) * scale

    groups = LossGroups.of(*drawn(5_000), order=range(5_000))
    assert groups.wander is not None
    read = LossGroups.from_json(groups.to_json())
    assert read.wander == groups.wander
    inside = alone = 0
    for _ in range(60):
        said, truth = drawn(250)
        error = float(np.mean(np.abs(said - truth)))
        found, plain = read.estimate(said), replace(read, wander=None).estimate(said)
        inside += (found.lower or 0.0) <= error <= (found.upper or 0.0)
        alone += (plain.lower or 0.0) <= error <= (plain.upper or 0.0)
    assert inside >= 52
    assert alone <= 40


def test_documents_of_before_have_no_wander_and_an_unknown_order_gives_none() -> None:
    score, label = wandering(np.random.default_rng(3), 3_000, 0.2)
    cells = Profile.fit({"@score": score}).columns["@score"].cells
    kept = LabelledScores.of(cells, score, label, threshold=0.5)
    assert kept.wander == {}
    document = {k: v for k, v in kept.to_json().items() if k != "wander"}
    assert LabelledScores.from_json(document).wander == {}
    losses = LossGroups.of(score, label).to_json()
    del losses["wander"]
    assert LossGroups.from_json(losses).wander is None


def test_a_record_is_contradicted_by_more_than_chance() -> None:
    rng = np.random.default_rng(4)
    quiet = [Record.of([Miss(g, 0.02) for g in rng.normal(0, 0.02, 12)]) for _ in range(300)]
    assert sum(record.contradicted for record in quiet) <= 9
    one = Record.of([Miss(-0.3, 0.02)])
    assert one.contradicted
    assert one.half(0.02) > 1.0  # of one miss nothing follows
    many = Record.of([Miss(g, 0.02) for g in rng.normal(0, 0.1, 30)])
    assert many.n == 12
    assert 0.15 < many.half(0.02) < 0.4
    assert Record.of([]) == Record(0, 0, 0.0, False)
    assert not Record.of([Miss(0.3, 0.0)]).contradicted  # verdicts of before kept no error


@pytest.mark.slow
def test_bands_on_the_housing_model(data_folder: Path) -> None:
    """Windows of 343 rows: CBPE of accuracy, DLE of the mean distance of score and truth."""
    folder = data_folder / "california_housing_drift"
    ref = pl.read_parquet(folder / "reference.parquet")
    now = pl.read_parquet(folder / "analysis.parquet")
    now = now.join(pl.read_parquet(folder / "analysis_gt.parquet"), on="id")
    score, label = (ref[name].to_numpy() for name in ("y_pred_proba", "clf_target"))
    later, truth = (now[name].to_numpy() for name in ("y_pred_proba", "clf_target"))
    order = range(len(score))
    losses = LossGroups.of(score, label, order)
    plain = Cbpe.fit(score, label.astype(int))
    cbpe = replace(plain, wander=wander_of(score, label.astype(float), 0.5, order))
    held = np.zeros(4, int)
    for start in range(0, 24 * 343, 343):
        seen, true = later[start : start + 343], truth[start : start + 343]
        realised = accuracy(seen, true)
        error = float(np.mean(np.abs(seen - true)))
        found = (
            (plain.estimate(seen, "accuracy"), realised),
            (cbpe.estimate(seen, "accuracy"), realised),
            (replace(losses, wander=None).estimate(seen), error),
            (losses.estimate(seen), error),
        )
        held += [(e.lower or 0.0) <= figure <= (e.upper or 0.0) for e, figure in found]
    print(f"of 24 windows in the band, before truths: CBPE {held[0]} -> {held[1]}, ", end="")
    print(f"DLE {held[2]} -> {held[3]}")
    assert held[1] >= held[0] + 8
    assert held[3] >= held[2] + 8
