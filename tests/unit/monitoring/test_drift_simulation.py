"""Drift made on purpose: what is changed, what is found, what is lost, and what is written."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from timonel.monitoring.drift.errors import CannotSimulate
from timonel.monitoring.drift.injection import InjectedKind, Rows, inject
from timonel.monitoring.drift.simulation import DriftSimulation, class_figures
from timonel.project import recipes
from timonel.project.model import Model
from timonel.registry.artifacts import ArtifactStore
from timonel.registry.registry import Registry
from timonel.schema.features import Category, Number
from timonel.schema.schema import Schema
from timonel.store.control import ensure_project, read_clock
from timonel.store.engine import make_engine
from timonel.store.tables import metadata
from timonel.training.publish import publish
from timonel.training.train import train

SCHEMA = Schema(
    Number("height", ge=100, le=220, unit="cm"),
    Number("children", integer=True, required=False),
    Category("plan", ["basic", "gold", "free"]),
)


def rows(n: int, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    height = rng.normal(170, 10, n).clip(100, 220)
    plan = rng.choice(["basic", "gold", "free"], n)
    target = np.where(height + 10 * (plan == "gold") + rng.normal(0, 3, n) > 175, "yes", "no")
    children = rng.poisson(1.5, n)
    values = list(zip(height.tolist(), children.tolist(), plan.tolist(), strict=True))
    return Rows(values, target.tolist())


def changed(kind: InjectedKind, intensity: float = 0.3) -> tuple[Rows, Rows]:
    before = rows(2_000)
    kept = [tuple(row) for row in before.values]
    after = inject(before, SCHEMA, kind, intensity, np.random.default_rng(1), classifier=True)
    assert before.values == kept  # what came in is left as it is
    return before, after


def column(of: Rows, at: int) -> list[Any]:
    return [row[at] for row in of.values]


def test_each_kind_changes_what_it_says() -> None:
    before, after = changed(InjectedKind.FEATURE_SHIFT)
    shift = np.mean(column(after, 0)) - np.mean(column(before, 0))
    assert shift == pytest.approx(3.0, abs=0.2)
    assert max(column(after, 0)) <= 220
    assert all(isinstance(value, int) for value in column(after, 1))
    moved = np.mean([a != b for a, b in zip(column(before, 2), column(after, 2), strict=True)])
    assert moved == pytest.approx(0.15, abs=0.03)
    before, after = changed(InjectedKind.MISSING_VALUES)
    for at in range(3):
        assert column(after, at).count(None) == pytest.approx(600, abs=80)
    before, after = changed(InjectedKind.LABEL_IMBALANCE)
    rare = min(("yes", "no"), key=before.target.count)
    assert after.target.count(rare) == before.target.count(rare)
    assert len(after.target) < 0.9 * len(before.target)
    before, after = changed(InjectedKind.UNIT_CHANGE)
    assert np.median(column(after, 0)) == pytest.approx(
        1.10 * np.median(column(before, 0)), rel=0.01
    )
    before, after = changed(InjectedKind.COMBINED, 1.0)
    assert set(after.target) == {rare}
    assert set(column(after, 0)) == {None}
    with pytest.raises(ValueError, match="intensity"):
        changed(InjectedKind.COMBINED, 0.0)


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DriftSimulation]:
    folder = tmp_path_factory.mktemp("simulation")
    engine = make_engine(f"sqlite:///{folder / 'timonel.db'}")
    metadata.create_all(engine)
    ensure_project(engine, "p", "America/Santiago")
    given = rows(2_500, seed=3)
    frame = pl.DataFrame(given.values, schema=list(SCHEMA.names), orient="row").with_columns(
        pl.Series("leaves", given.target)
    )
    model = Model(
        name="churn",
        task="binary",
        target="leaves",
        positive="yes",
        schema=SCHEMA,
        source=lambda: frame,
        recipe=recipes.logistic(),
    )
    trained = train(model, project="p", timezone="America/Santiago", rules=None)
    registry, artifacts = (
        Registry(engine, "p", read_clock(engine, "p")),
        ArtifactStore(folder / "artifacts"),
    )
    version = publish(trained, registry, artifacts, who="ana")
    manifest = registry.manifest("churn", version.version)
    yield DriftSimulation(
        model, version, manifest, trained.profile, artifacts=artifacts, timezone="America/Santiago"
    )
    with pytest.raises(CannotSimulate):
        DriftSimulation(
            model, version, manifest, None, artifacts=artifacts, timezone="America/Santiago"
        )
    engine.dispose()


def test_a_report_says_what_was_found_and_lost(simulation: DriftSimulation, tmp_path: Path) -> None:
    at = datetime(2026, 9, 18, 12, 30, 5, tzinfo=UTC)
    report = simulation.run(list(InjectedKind), intensity=0.5, seed=0, at=at)
    assert report.unseen
    assert not report.quiet.drifted
    by_kind = {one.kind: one for one in report.found}
    shift = by_kind[InjectedKind.UNIT_CHANGE]
    assert "height" in shift.drift.drifted_columns
    assert shift.degradation["accuracy"] > 0.2
    assert "Retraining would learn the fault" in shift.recommendation
    holed = by_kind[InjectedKind.MISSING_VALUES]
    assert holed.n_refused > 0
    assert holed.recommendation == (
        f"Mend the source first: {holed.n_refused} of {holed.n} rows lack a value that has to be "
        "there, and would be refused. The figures say what the model would answer all the same."
    )
    assert shift.n_refused == 0
    files = report.write(tmp_path / "reports")
    assert [file.name for file in files] == [
        "drift_report_20260918_123005.json",
        "drift_distributions.png",
        "metrics_comparison.png",
    ]
    document = json.loads(files[0].read_text("utf-8"))
    assert document["false_findings"] == []
    assert document["created_at"] == "2026-09-18T12:30:05Z"
    found = {one["kind"]: one for one in document["simulations"]}
    assert found["unit_change"]["drifted_columns"] == list(shift.drift.drifted_columns)
    assert found["unit_change"]["recommendation"]["es"] == shift.recommendation.es
    for file in files[1:]:
        image = Image.open(BytesIO(file.read_bytes()))
        assert image.format == "PNG"
        assert len(image.getcolors(1 << 16) or ()) > 3  # more than paper and ink
    again = simulation.run(list(InjectedKind), intensity=0.5, seed=0, at=at)
    assert again.document() == report.document()


def test_real_predictions_under_drift_have_the_figures_that_their_authors_gave(
    data_folder: Path,
) -> None:
    """The source's own table: accuracies .9373, .8954, .6868, .6364."""
    frame = pl.read_csv(data_folder / "obesity" / "drift_predictions.csv")
    found = {
        str(name): class_figures(part["y_true"].to_list(), part["y_pred"].to_list())
        for (name,), part in frame.group_by(["scenario"])
    }
    assert {name: round(figures["accuracy"], 4) for name, figures in found.items()} == {
        "noise_10pct": 0.9373,
        "category_swap_15pct": 0.8954,
        "scale_height_weight": 0.6868,
        "combo_full": 0.6364,
    }
    order = sorted(found, key=lambda name: -found[name]["f1"])
    assert order == ["noise_10pct", "category_swap_15pct", "scale_height_weight", "combo_full"]
