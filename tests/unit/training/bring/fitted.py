"""A churn-like table with missing and unseen values, models fitted on it, and how they answer."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from timonel.project.model import Model
from timonel.registry.manifest import ServingManifest
from timonel.runtime.compile import Compiled
from timonel.runtime.native import NativePredictor
from timonel.runtime.parity import Rows
from timonel.runtime.predictors import Predictor, load_predictor
from timonel.schema.features import Category, Feature, Flag, Number
from timonel.schema.schema import Schema
from timonel.training.assemble import manifest_of
from timonel.training.bring import child
from timonel.training.bring.bring import Bring, bring
from timonel.training.bring.formats import look_at
from timonel.training.bring.orders import Orders, Reply
from timonel.training.train import TrainedVersion

pd: Any = pytest.importorskip("pandas")
NUMBERS, WORDS = ["tenure", "monthly"], ["contract", "pay"]
FEATURES: tuple[Feature, ...] = (
    Number("tenure", ge=0, le=100, required=False),
    Number("monthly", ge=0, le=500, required=False),
    Category("contract", ["month", "year", "two"], required=False, unseen="accept"),
    Category("pay", ["card", "transfer", "cash"], required=False, unseen="accept"),
    Flag("senior", required=False),
)


def churn_table(n: int = 500, seed: int = 7) -> Any:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "tenure": rng.integers(0, 72, n).astype(float),
            "monthly": rng.normal(60, 20, n).clip(1).round(2),
            "contract": rng.choice(["month", "year", "two"], n),
            "pay": rng.choice(["card", "transfer", "cash"], n),
            "senior": rng.integers(0, 2, n).astype(float),
        }
    )
    margin = frame.monthly / 30 - frame.tenure / 20 - 0.5 + (frame.contract == "month")
    frame["churn"] = np.where(rng.random(n) < 1 / (1 + np.exp(-margin)), "yes", "no")
    for name, share in (("tenure", 0.05), ("monthly", 0.1), ("pay", 0.1), ("senior", 0.05)):
        frame.loc[rng.random(n) < share, name] = np.nan
    return frame


def preprocessing(**parts: Any) -> ColumnTransformer:
    number = Pipeline(
        [
            ("impute", parts.get("impute", SimpleImputer(strategy="median"))),
            ("scale", parts.get("scale", StandardScaler())),
        ]
    )
    word = Pipeline(
        [
            ("impute", parts.get("words", SimpleImputer(strategy="most_frequent"))),
            ("encode", parts.get("encode", OneHotEncoder(handle_unknown="ignore"))),
        ]
    )
    flag = parts.get("flag", SimpleImputer(strategy="most_frequent"))
    return ColumnTransformer(
        [("n", number, NUMBERS), ("w", word, WORDS), ("f", flag, ["senior"])], remainder="drop"
    )


def fitted(estimator: Any, frame: Any, target: Any = None, **parts: Any) -> Pipeline:
    y = frame["churn"] if target is None else target
    pipeline = Pipeline([("prepare", preprocessing(**parts)), ("model", estimator)])
    return pipeline.fit(frame.drop(columns="churn"), y)


def churn_model(**changes: Any) -> Model:
    given: dict[str, Any] = {
        "name": "churn",
        "task": "binary",
        "target": "churn",
        "schema": Schema(*FEATURES),
        "source": list,
    }
    return Model(**given | changes)


@dataclass(frozen=True)
class Served:
    came: TrainedVersion | Reply
    manifest: ServingManifest
    predictor: Predictor

    @property
    def kind(self) -> str:
        return self.manifest.predictor

    @property
    def why(self) -> str:
        """Why it was not compiled; "" where it was."""
        refused = (self.manifest.parity or {})["refused"]
        return "; ".join(f"{one['way']}: {one['why']}" for one in refused)


def served(model: Model, artifact: Path, folder: Path, **given: Any) -> Served:
    """Bring a file, and load what came of it as a server does."""
    version = bring(
        model,
        Bring(artifact=artifact, **given),
        project="telco",
        folder=folder,
        timezone="America/Santiago",
        rules=None,
    )
    by_hash = {version.manifest.artifacts[n].sha256: data for n, data in version.artifacts.items()}
    load = NativePredictor.load if version.manifest.predictor == "native" else load_predictor
    return Served(version, version.manifest, load(version.manifest, by_hash.__getitem__))


def dirty_rows(model: Model, n: int = 150) -> list[list[Any]]:
    """Rows of other data than the model was fitted on, half of them dirty."""
    frame = churn_table(n, seed=99)
    names = model.schema.names
    table = [
        [None if value != value else value for value in row]
        for row in frame[list(names)].astype(object).to_numpy().tolist()
    ]
    rows = Rows.sample(model.schema, table, np.random.default_rng(5), n)
    return rows.clean + rows.dirty


def frame_of_rows(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """The same rows as pandas reads them from a file: what the original is asked with."""
    frame = pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows])
    for name in frame.columns:
        words = any(isinstance(value, str) for value in frame[name])
        column = frame[name].astype(object)
        frame[name] = column.where(column.notna(), np.nan) if words else column.astype(float)
    return frame


def probabilities(predictor: Predictor, rows: Sequence[Sequence[Any]]) -> np.ndarray:
    answers = predictor.predict_rows(rows)
    alone = predictor.predict_row(rows[-1])
    assert alone.prediction == answers[-1].prediction
    assert alone.score == pytest.approx(answers[-1].score, abs=1e-6)
    return np.array([list((answer.probabilities or {}).values()) for answer in answers])


def converted(model: Model, estimator: Any, folder: Path, rows: list[list[Any]]) -> Served:
    """Bring an estimator through a pickle."""
    file = folder / "model.pkl"
    file.write_bytes(cloudpickle.dumps(estimator))
    return converted_file(model, file, folder, rows)


def converted_file(
    model: Model, file: Path, folder: Path, rows: list[list[Any]], **given: Any
) -> Served:
    """Do what the reading process does, in this one: it is quicker, for many models."""
    found = look_at(file, allow_pickle=True)
    inside = folder / "artifacts"
    inside.mkdir(exist_ok=True)
    sample = Rows.sample(model.schema, rows, np.random.default_rng(1), 200)
    orders = Orders(
        given=str(file),
        path=str(found.path),
        form=found.form,
        model=model.name,
        task=model.task,
        target=model.target,
        positive=model.positive,
        schema=model.schema.to_json(),
        clean=sample.clean,
        dirty=sample.dirty,
        native_pickle=model.allow_pickle,
        folder=str(inside),
        **{"allow_pickle": True} | given,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as the process does
        reply = child.bring(orders)
    artifacts = {name: (inside / name).read_bytes() for name in reply.artifacts}
    manifest, artifacts = manifest_of(
        model,
        Compiled(reply.kind, reply.plan, artifacts, reply.verdict),
        classes=reply.classes,
        positive=None,
        baseline=None,
        project="telco",
        timezone="UTC",
        rules=None,
    )
    by_hash = {manifest.artifacts[name].sha256: data for name, data in artifacts.items()}
    load = NativePredictor.load if reply.kind == "native" else load_predictor
    return Served(reply, manifest, load(manifest, by_hash.__getitem__))
