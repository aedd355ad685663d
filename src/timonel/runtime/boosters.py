"""Large batches of XGBoost models by their own library, which walks many rows faster than ONNX.

Measured on one core with 1,400 trees and 10,000 rows of 16 features: XGBoost 17 us a row, ONNX 39;
LightGBM is slower than ONNX (129 us to 47), so its models carry no booster. The ways met at 100 to
137 rows there, the assumed way to the pool included; what a tree gains, 16 ns a row, pays for that
way (4 us a row) from some hundred trees on. Both bounds are constants, not measured at each
training, because the same data and seed give the same bytes.

Only training and the native pool's processes import this module; where there is no pool, ONNX
answers batches too.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from timonel.registry.manifest import ServingManifest
from timonel.runtime.featuriser import Featuriser, FloatMatrix, Value
from timonel.runtime.outputs import AnswerMaker
from timonel.runtime.predictors import (
    ArtifactGetter,
    CompiledPredictor,
    read_artifact,
    read_plan,
    self_test,
)

ARTIFACT = "booster.ubj"
_CHUNK = 4096
FROM_ROWS = 128
_FEWEST_TREES = 400
_LARGEST_F32 = float(np.finfo(np.float32).max)


class BoosterScores:
    """What an XGBoost model gives for many rows.

    Parameters
    ----------
    data : bytes
        As ``Booster.save_raw("ubj")`` wrote it.
    link : str
        Of the compiled form; a sigmoid's one output becomes two.
    """

    __slots__ = ("_booster", "_of_two")

    def __init__(self, data: bytes, link: str) -> None:
        from xgboost import Booster

        self._of_two = link == "sigmoid"
        self._booster = Booster({"nthread": 1}, model_file=bytearray(data))

    def row(self, featuriser: Featuriser, values: Sequence[Value]) -> list[float]:
        """Give the outputs of one row."""
        return self.rows(featuriser, [values])[0]

    def rows(self, featuriser: Featuriser, table: Sequence[Sequence[Value]]) -> list[list[float]]:
        """Give the outputs of many rows."""
        found: list[list[float]] = []
        for start in range(0, len(table), _CHUNK):
            found.extend(self.outputs(featuriser.rows(table[start : start + _CHUNK])).tolist())
        return found

    def outputs(self, matrix: FloatMatrix) -> FloatMatrix:
        """Give the outputs of rows that are featurised already, shape (n_rows, n_outputs)."""
        fed = np.clip(matrix, -_LARGEST_F32, _LARGEST_F32).astype(np.float32)
        said = np.asarray(
            self._booster.inplace_predict(fed, validate_features=False), dtype=np.float64
        )
        if self._of_two:
            return np.column_stack([1.0 - said, said])
        return said.reshape(len(matrix), -1)


def booster_of(estimator: Any, fewest_trees: int = _FEWEST_TREES) -> bytes | None:
    """Give the bytes of an XGBoost estimator's trees, as many as it predicts with.

    None where nothing is to be gained: of other estimators, and of few trees.

    Parameters
    ----------
    estimator : fitted estimator
        One whose trees were read (`timonel.runtime.ensembles`).
    fewest_trees : int
    """
    if type(estimator).__name__ not in ("XGBClassifier", "XGBRegressor"):
        return None
    booster = estimator.get_booster()
    if estimator.early_stopping_rounds:
        booster = booster[: estimator.best_iteration + 1]
    n_classes = getattr(estimator, "n_classes_", 2)
    n_trees = booster.num_boosted_rounds() * (n_classes if n_classes > 2 else 1)
    if n_trees < fewest_trees:
        return None
    return bytes(booster.save_raw("ubj"))


def load_booster(manifest: ServingManifest, artifact: ArtifactGetter) -> CompiledPredictor:
    """Load the batch way of a compiled model, tested on the manifest's own rows.

    Raises
    ------
    LookupError
        If it has none.
    ArtifactMismatch, UnreadablePlan, SelfTestFailed
    """
    if manifest.batch is None:
        message = f"{manifest.model}@{manifest.version} has no batch way"
        raise LookupError(message)
    data = read_artifact(manifest, manifest.batch.artifact, artifact)
    featuriser = Featuriser.from_plan(read_plan(manifest, artifact))
    scores = BoosterScores(data, manifest.batch.link)
    predictor = CompiledPredictor(featuriser, scores, AnswerMaker.of(manifest))
    self_test(manifest, predictor)
    return predictor
