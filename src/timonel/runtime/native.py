"""Models that have no compiled form, run by their own library: only in the native pool's process.

An artifact is skops, and every type in it must be on the reviewed list below; a pickle is read
only where the model was declared with ``allow_pickle``. Nothing in serving imports this module.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from timonel.registry.manifest import ServingManifest
from timonel.runtime.errors import NotInThisProcess, OtherLibrary, UntrustedArtifact
from timonel.runtime.featuriser import Featuriser, FloatMatrix, Value
from timonel.runtime.outputs import AnswerMaker
from timonel.runtime.predictors import ArtifactGetter, read_artifact, read_plan
from timonel.wire.answer import Answer

SKOPS_ARTIFACT = "estimator.skops"
PICKLE_ARTIFACT = "estimator.pkl"
_LARGEST_F32 = float(np.finfo(np.float32).max)
_LIBRARIES = ("scikit-learn", "xgboost-cpu", "xgboost", "lightgbm")

# Reviewed: constructors and state setters of these types run no code that an artifact brings.
# skops trusts most of scikit-learn by itself; these are the inner types it does not know.
REVIEWED = frozenset(
    {
        "builtins.object",
        "collections.OrderedDict",
        "functools.partial",  # its function is looked at by itself
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
        "scipy.interpolate._bsplines.BSpline",
        "sklearn._loss._loss.CyAbsoluteError",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn._loss._loss.CyHalfSquaredError",
        "sklearn._loss._loss.CyHuberLoss",
        "sklearn._loss._loss.CyPinballLoss",
        "sklearn._loss.link.HalfLogitLink",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.AbsoluteError",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn._loss.loss.HuberLoss",
        "sklearn._loss.loss.PinballLoss",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.preprocessing._label.LabelEncoder",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils.validation.check_array",
        "timonel.training.estimators.ClusterMeans",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
    }
)


def library_versions() -> dict[str, str]:
    """Give major.minor of the libraries whose estimators a native artifact may hold."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = ".".join(version(name).split(".")[:2])
        except PackageNotFoundError:
            continue
    return found


def untrusted_types(data: bytes) -> list[str]:
    """List the types in a skops artifact that neither skops nor the reviewed list trusts."""
    from skops.io import get_untrusted_types

    return sorted(set(get_untrusted_types(data=data)) - REVIEWED)


def dump(estimator: Any, *, model: str, allow_pickle: bool) -> dict[str, bytes]:
    """Write an estimator as a native artifact: skops, else (if allowed) a pickle.

    Raises
    ------
    UntrustedArtifact
        If it holds types outside the reviewed list and pickles are not allowed.
    """
    import skops.io

    try:
        data = skops.io.dumps(estimator)
        untrusted = untrusted_types(data)
        if not untrusted:
            return {SKOPS_ARTIFACT: data}
    except Exception as error:  # noqa: BLE001 - skops raises whatever an estimator provokes
        untrusted = [f"{type(estimator).__module__}.{type(estimator).__qualname__} ({error})"]
    if not allow_pickle:
        raise UntrustedArtifact(model=model, found=", ".join(untrusted[:8]))
    import cloudpickle

    return {PICKLE_ARTIFACT: cloudpickle.dumps(estimator)}


def frame_of(frame: dict[str, Any], table: Sequence[Sequence[Value]]) -> Any:
    """Make what a pipeline fitted elsewhere is asked with, of rows in schema order.

    Numbers and flags are float64, words are objects, and what is missing is NaN, as
    ``pandas.read_csv`` gives them. Without pandas it is a polars frame, which scikit-learn reads
    too.

    Parameters
    ----------
    frame : dict
        ``names`` of the columns (None: it was fitted on an array), their ``kinds`` ("number" or
        "word"), and ``inputs``: where each stands in a row (-1: nowhere, it is not looked at).
    table : sequence of rows
    """
    names, kinds = frame["names"], frame["kinds"]
    dtypes = [np.float64 if kind == "number" else object for kind in kinds]
    columns = []
    for at, dtype in zip(frame["inputs"], dtypes, strict=True):
        values = [np.nan if at < 0 or row[at] is None else row[at] for row in table]
        columns.append(np.array(values, dtype=dtype))
    if names is None:
        matrix = np.empty((len(table), len(columns)), object if object in dtypes else np.float64)
        for at, column in enumerate(columns):
            matrix[:, at] = column
        return matrix
    try:
        pd = import_module("pandas")
    except ImportError:
        import polars as pl

        kinds_of = [pl.Float64 if dtype is np.float64 else pl.Object for dtype in dtypes]
        return pl.DataFrame(
            [pl.Series(*given) for given in zip(names, columns, kinds_of, strict=True)]
        )
    return pd.DataFrame(
        {n: pd.Series(c, dtype=d) for n, c, d in zip(names, columns, dtypes, strict=True)}
    )


class NativePredictor:
    """An estimator behind the same featuriser and the same checks as a compiled model.

    A whole pipeline that was fitted elsewhere has no plan of its own: it gets a DataFrame
    (``frame``, of `frame_of`).
    """

    def __init__(
        self,
        featuriser: Featuriser,
        estimator: Any,
        answer: AnswerMaker,
        *,
        classifier: bool,
        frame: dict[str, Any] | None = None,
    ) -> None:
        self._frame = frame
        self._featuriser = featuriser
        self._estimator = estimator
        self._answer = answer
        self._classifier = classifier

    @classmethod
    def load(cls, manifest: ServingManifest, artifact: ArtifactGetter) -> "NativePredictor":
        """Load a native manifest's estimator, with hashes, versions and types checked.

        Raises
        ------
        ArtifactMismatch, OtherLibrary, UntrustedArtifact
        """
        plan = read_plan(manifest, artifact)
        native = plan["native"]
        here = library_versions()
        for name, made_with in native["libraries"].items():
            if here.get(name) != made_with:
                raise OtherLibrary(
                    model=manifest.model,
                    library=name,
                    found=made_with,
                    expected=here.get(name, "none"),
                )
        data = read_artifact(manifest, native["artifact"], artifact)
        return cls(
            Featuriser.from_plan(plan),
            _load(data, native, manifest.model),
            AnswerMaker.of(manifest),
            classifier=manifest.task != "regression",
            frame=native.get("frame"),
        )

    def predict_row(self, values: Sequence[Value]) -> Answer:
        """Answer for one row."""
        return self.predict_rows([values])[0]

    def predict_rows(self, table: Sequence[Sequence[Value]]) -> list[Answer]:
        """Answer for many rows, in order."""
        if not table:
            return []
        matrix: Any
        if self._frame is None:
            matrix = np.clip(self._featuriser.rows(table), -_LARGEST_F32, _LARGEST_F32)
        else:
            self._featuriser.rows(table)  # refuses what the pipeline cannot answer
            matrix = frame_of(self._frame, table)
        return self._answer.many(self._outputs(matrix).tolist())

    def _outputs(self, matrix: Any) -> FloatMatrix:
        if self._classifier:
            return np.asarray(self._estimator.predict_proba(matrix), dtype=np.float64)
        return np.asarray(self._estimator.predict(matrix), dtype=np.float64).reshape(-1, 1)


def _load(data: bytes, native: dict[str, Any], model: str) -> Any:
    if native["artifact"] == PICKLE_ARTIFACT:
        if not native["allow_pickle"]:
            raise UntrustedArtifact(model=model, found="a pickle")
        import cloudpickle

        return cloudpickle.loads(data)
    if native["artifact"] != SKOPS_ARTIFACT:
        raise NotInThisProcess(model=model)
    untrusted = untrusted_types(data)
    if untrusted:
        raise UntrustedArtifact(model=model, found=", ".join(untrusted[:8]))
    import skops.io

    return skops.io.loads(data, trusted=sorted(REVIEWED))
