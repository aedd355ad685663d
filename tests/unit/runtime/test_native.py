"""Native artifacts: reviewed types only, pickles only where they are allowed."""

from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
import pytest

from timonel.registry.manifest import ArtifactRef, ServingManifest
from timonel.runtime import native
from timonel.runtime.errors import ArtifactMismatch, OtherLibrary, UntrustedArtifact

PLAN = {
    "format": 1,
    "timezone": "UTC",
    "n_inputs": 2,
    "precision": "float32",
    "steps": [
        {"kind": "number", "input": 0, "fill": 0.0},
        {"kind": "number", "input": 1, "fill": 0.0},
    ],
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 2)).astype(np.float32).astype(np.float64)
Y = (X.sum(axis=1) > 0).astype(int)


class Stranger:
    """A user's own estimator, of a type that nobody reviewed."""

    classes_ = np.array([0, 1])

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        positive = (matrix.sum(axis=1) > 0).astype(float)
        return np.column_stack([1 - positive, positive])


def served(estimator: Any, *, allow_pickle: bool = False) -> tuple[ServingManifest, Any]:
    artifacts = native.dump(estimator, model="m", allow_pickle=allow_pickle)
    (name, data), *_ = artifacts.items()
    digest = sha256(data).hexdigest()
    libraries = native.library_versions()
    manifest = ServingManifest(
        project="p",
        model="m",
        version="1.0.0",
        task="binary",
        target="t",
        schema=[],
        timezone="UTC",
        classes=[0, 1],
        predictor="native",
        plan={
            **PLAN,
            "native": {"artifact": name, "allow_pickle": allow_pickle, "libraries": libraries},
        },
        artifacts={name: ArtifactRef(digest, len(data))},
    )
    return manifest, {digest: data}.__getitem__


def estimators() -> list[Any]:
    from lightgbm import LGBMClassifier
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier, StackingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBClassifier

    forest = RandomForestClassifier(3, random_state=0)
    boosted = XGBClassifier(n_estimators=3, n_jobs=1)
    light = LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1)
    return [
        CalibratedClassifierCV(forest, method="isotonic", cv=2),
        StackingClassifier(
            [("f", forest), ("x", boosted), ("l", light)], LogisticRegression(), cv=2
        ),
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
    ]


@pytest.mark.parametrize("estimator", estimators(), ids=lambda e: type(e).__name__)
def test_reviewed_types_come_back_and_say_the_same(estimator: Any) -> None:
    estimator.fit(X, Y)
    predictor = native.NativePredictor.load(*served(estimator))
    answers = predictor.predict_rows(X.tolist())
    expected = estimator.predict_proba(X)[:, 1]
    assert [a.score for a in answers] == pytest.approx(expected.tolist(), abs=1e-12)
    assert predictor.predict_row(X[3].tolist()) == answers[3]
    assert predictor.predict_rows([]) == []


def test_numbers_beyond_float32_are_answered() -> None:
    predictor = native.NativePredictor.load(*served(estimators()[2].fit(X, Y)))
    assert predictor.predict_row([1e300, -1e300]).prediction in {0, 1}


def test_a_strange_type_needs_allow_pickle() -> None:
    with pytest.raises(UntrustedArtifact, match="Stranger"):
        native.dump(Stranger(), model="m", allow_pickle=False)
    manifest, artifact = served(Stranger(), allow_pickle=True)
    assert next(iter(manifest.artifacts)) == native.PICKLE_ARTIFACT
    assert native.NativePredictor.load(manifest, artifact).predict_row([1.0, 2.0]).prediction == 1
    plan: dict[str, Any] = {**(manifest.plan or {})}
    plan["native"] = {**plan["native"], "allow_pickle": False}
    with pytest.raises(UntrustedArtifact, match="a pickle"):
        native.NativePredictor.load(msgspec.structs.replace(manifest, plan=plan), artifact)


def test_altered_bytes_and_other_libraries_are_refused() -> None:
    manifest, artifact = served(estimators()[2].fit(X, Y))
    with pytest.raises(ArtifactMismatch):
        native.NativePredictor.load(manifest, lambda digest: artifact(digest)[:-1])
    plan: dict[str, Any] = {**(manifest.plan or {})}
    plan["native"] = {**plan["native"], "libraries": {"scikit-learn": "0.1"}}
    with pytest.raises(OtherLibrary, match=r"scikit-learn 0\.1"):
        native.NativePredictor.load(msgspec.structs.replace(manifest, plan=plan), artifact)
