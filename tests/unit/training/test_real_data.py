"""The default recipe on real tables: what the README says of them is measured here."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timonel.project.model import Model
from timonel.project.sources import Csv
from timonel.runtime.predictors import load_predictor, self_test
from timonel.schema.features import Category, Feature, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.training.train import TrainedVersion, train


def schema_of(frame: pl.DataFrame, *left_out: str) -> Schema:
    features: list[Feature] = []
    for name in frame.columns:
        column = frame[name]
        if name in left_out:
            continue
        required = column.null_count() == 0
        if column.dtype == pl.String:
            words = sorted(column.drop_nulls().unique())
            features.append(Category(name, words, required=required, unseen="accept"))
        elif column.dtype.is_numeric():
            features.append(Number(name, required=required))
        else:
            features.append(Timestamp(name, required=required))
    return Schema(*features)


def run(**declared: Any) -> TrainedVersion:
    trained = train(
        Model(name="real", **declared), project="p", timezone="America/Santiago", rules=None
    )
    blobs = {sha256(data).hexdigest(): data for data in trained.artifacts.values()}
    assert trained.manifest.parity is not None
    assert trained.manifest.parity["passed"], trained.manifest.parity
    self_test(trained.manifest, load_predictor(trained.manifest, blobs.__getitem__))
    assert trained.failed_gates == []
    return trained


@pytest.mark.parametrize(
    ("left_out", "low", "high"),
    [
        # by all its inputs the example of it is trained with the others
        pytest.param((), 0.94, 0.99, marks=pytest.mark.slow),
        (("Weight", "Height"), 0.82, 0.89),
    ],
)
def test_obesity_with_and_without_weight_and_height(
    data_folder: Path, left_out: tuple[str, ...], low: float, high: float
) -> None:
    path = data_folder / "obesity" / "obesity.csv"
    schema = schema_of(pl.read_csv(path), "NObeyesdad", *left_out)
    trained = run(task="multiclass", target="NObeyesdad", schema=schema, source=Csv(path))
    assert len(schema) == 16 - len(left_out)
    assert trained.manifest.predictor == "onnx"
    assert trained.report.main.value is not None
    assert low <= trained.report.main.value <= high
    assert trained.lineage["split"]["duplicates"] >= 24


@pytest.mark.slow
def test_taxi_fares(data_folder: Path) -> None:
    frame = pl.read_parquet(data_folder / "taxis" / "taxis.parquet").with_columns(
        pl.col("pickup").str.to_datetime()
    )
    schema = schema_of(frame, "fare", "tip", "tolls", "total", "dropoff", "payment")
    trained = run(
        task="regression", target="fare", schema=schema, source=lambda: frame, time="pickup"
    )
    assert trained.report.main.value is not None
    assert trained.report.main.value < 2.0 < (trained.report.baseline or 0)


@pytest.mark.slow
def test_tweets_by_a_linear_model_on_text(data_folder: Path) -> None:
    frame = pl.read_parquet(data_folder / "tweets_hate" / "tweets_70.parquet")
    schema = Schema(Text("text", required=False))
    trained = run(task="multiclass", target="class_label", schema=schema, source=lambda: frame)
    assert trained.manifest.predictor == "linear"
    assert trained.report.main.value is not None
    assert trained.report.main.value > 0.87
    assert "weak_class" in {finding.code for finding in trained.report.findings}


@pytest.mark.slow
def test_emergency_responses_within_nine_minutes(data_folder: Path) -> None:
    frame = (
        pl.read_parquet(data_folder / "ems_dispatch" / "ems_2010_2018.parquet")
        .filter(pl.col("response_time_in_seconds") < 7200)  # clocks that wrapped around midnight
        .with_columns(
            in_time=(pl.col("response_time_in_seconds") <= 540).cast(pl.Int64),
            at=(pl.col("incident_date") + "T" + pl.col("dispatch_time")).str.to_datetime(),
        )
    )
    schema = schema_of(frame.select("response_unit", "mpds_card", "severity", "at"))
    trained = run(task="binary", target="in_time", schema=schema, source=lambda: frame, time="at")
    assert trained.metrics["roc_auc"]["value"] > 0.75
    assert trained.report.detail["split"]["method"] == "time"
