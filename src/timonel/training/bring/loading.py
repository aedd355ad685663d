"""Reading a model file into an estimator; runs only in the reading process.

A pickle runs its maker's code here, and nowhere else.
"""

import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from timonel.errors import Phrase, TimonelError
from timonel.runtime.native import REVIEWED, untrusted_types
from timonel.training.bring.errors import (
    MadeWithOther,
    NeedsModule,
    NotAModel,
    UnreadableModel,
)
from timonel.training.bring.orders import Orders

_PACKAGES = {
    "sklearn": "scikit-learn",
    "xgboost": "xgboost-cpu",
    "imblearn": "imbalanced-learn",
    "skopt": "scikit-optimize",
    "category_encoders": "category-encoders",
}
_LIBRARIES = (
    "scikit-learn",
    "xgboost-cpu",
    "xgboost",
    "lightgbm",
    "numpy",
    "pandas",
    "skops",
    "onnx",
)
_SEARCHES = frozenset(
    {"GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"}
)


def load(orders: Orders) -> Any:
    """Give the fitted estimator of a file; a search gives its best.

    Raises
    ------
    UnreadableModel, NeedsModule, MadeWithOther, NotAModel
    """
    with _explained(orders), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = _READERS[orders.form](orders)
    _require_same_version(orders, caught)
    if type(estimator).__name__ in _SEARCHES and hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    return estimator


def libraries() -> dict[str, str]:
    """Give the versions of the libraries that a model was read with."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@contextmanager
def _explained(orders: Orders) -> Iterator[None]:
    """Say what went wrong in reading; a damaged file and a hostile one may raise anything."""
    try:
        yield
    except TimonelError:
        raise
    except ModuleNotFoundError as error:
        raise _needs(orders, error.name or str(error)) from error
    except Exception as error:
        said = " ".join(str(error).partition("Stack trace:")[0].split())[:200]
        raise UnreadableModel(
            path=orders.given, form=orders.form, found=f"{type(error).__name__}: {said}"
        ) from error


def _needs(orders: Orders, module: str) -> NeedsModule:
    top = module.partition(".")[0]
    package = _PACKAGES.get(top, top)
    own = top in {"__main__", "__mp_main__"} or (Path(orders.project) / f"{top}.py").is_file()
    en = f"Run `pip install {package}` in the environment of Timonel and repeat"
    es = f"Ejecute `pip install {package}` en el entorno de Timonel y repita"
    if top != "pandas" and not own:
        en += f"; if {top} is your own code, put {top}.py into the project's folder"
        es += f"; si {top} es código suyo, ponga {top}.py en la carpeta del proyecto"
    return NeedsModule(path=orders.given, module=module, mend_en=en + ".", mend_es=es + ".")


def _require_same_version(orders: Orders, caught: list[warnings.WarningMessage]) -> None:
    for warning in caught:
        made_with = getattr(warning.message, "original_sklearn_version", None)
        if made_with is None:
            continue
        here = version("scikit-learn")
        if made_with.split(".")[:2] != here.split(".")[:2]:
            raise MadeWithOther(
                path=orders.given, library="scikit-learn", found=made_with, expected=here
            )


def _skops(orders: Orders) -> Any:
    import skops.io

    data = Path(orders.path).read_bytes()
    untrusted = untrusted_types(data)
    if untrusted and not orders.allow_pickle:
        raise NotAModel(
            path=orders.given,
            model=orders.model,
            found=Phrase(
                "types outside the reviewed list: {names}",
                "tipos fuera de la lista revisada: {names}",
                names=", ".join(untrusted[:8]),
            ),
            expected=Phrase(
                "scikit-learn, XGBoost and LightGBM types",
                "tipos de scikit-learn, XGBoost y LightGBM",
            ),
            mend_en="If you trust who made it, repeat with --allow-pickle: its types may run code.",
            mend_es="Si confía en quien lo hizo, repita con --allow-pickle: sus tipos pueden "
            "ejecutar código.",
        )
    return skops.io.loads(data, trusted=sorted({*REVIEWED, *untrusted}))


def _pickle(orders: Orders) -> Any:
    if not orders.allow_pickle:
        message = "pickles are not allowed"
        raise PermissionError(message)
    try:
        return import_module("joblib").load(orders.path)  # reads plain pickles and cloudpickles too
    except AttributeError as error:
        if "__main__" not in str(error):
            raise
        message = (
            f"{error}: it was defined in a notebook or script; move it to a module beside "
            "model.py, import it from there, and save the model again"
        )
        raise pickle.UnpicklingError(message) from error


def _xgboost(orders: Orders) -> Any:
    import xgboost

    booster = xgboost.Booster()
    # by its name the library tells JSON from UBJSON, and a folder of MLflow may name it otherwise
    data = Path(orders.path).read_bytes()
    booster.load_model(bytearray(data))
    objective = _objective(booster)
    if objective == "multi:softmax":
        booster.set_param({"objective": "multi:softprob"})
    classes = objective.startswith(("binary:", "multi:"))
    kind = xgboost.XGBClassifier if classes else xgboost.XGBRegressor
    estimator = kind()
    estimator.load_model(bytearray(booster.save_raw("ubj")))
    return estimator


def _objective(booster: Any) -> str:
    import json

    return str(json.loads(booster.save_config())["learner"]["objective"]["name"])


def _lightgbm(orders: Orders) -> Any:
    import lightgbm

    text = Path(orders.path).read_text("utf-8")
    return lightgbm_estimator(lightgbm.Booster(model_str=text, params={"verbosity": -1}))


def lightgbm_estimator(booster: Any) -> Any:
    """Dress a LightGBM booster as the estimator that it came from: it has no own classes."""
    import lightgbm
    from sklearn.preprocessing import LabelEncoder

    objective = str(booster.dump_model(num_iteration=1).get("objective", "")).split(" ")[0]
    n_classes = {"binary": 2, "cross_entropy": 2}.get(objective, 0)
    if objective.startswith("multiclass"):
        n_classes = booster.num_model_per_iteration()
    estimator = lightgbm.LGBMClassifier() if n_classes else lightgbm.LGBMRegressor()
    estimator._Booster = booster
    estimator._objective = objective
    estimator._n_features = estimator._n_features_in = booster.num_feature()
    estimator._best_iteration = 0
    estimator.fitted_ = True
    if n_classes:
        estimator._le = LabelEncoder().fit(np.arange(n_classes))
        estimator._classes = np.arange(n_classes)
        estimator._n_classes = n_classes
    return estimator


def _onnx(orders: Orders) -> Any:
    import onnx

    model = onnx.load(orders.path)  # with its data beside it, where it has such files
    onnx.checker.check_model(model)
    return model


_READERS = {
    "skops": _skops,
    "pickle": _pickle,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "onnx": _onnx,
}
