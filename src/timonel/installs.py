"""The two distributions of this package: ``timonel`` brings all, ``timonel-serve`` serving alone.

Both install the same modules; they differ in what they depend on. So a command finds out what it
lacks when it imports it, and says which installation brings it.
"""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

FULL = "timonel"
SERVE = "timonel-serve"
FULL_ONLY = frozenset(
    {
        "PIL",
        "cloudpickle",
        "croniter",
        "fastapi",
        "fastapi_offline",
        "httpx",
        "jinja2",
        "lightgbm",
        "onnx",
        "openpyxl",
        "polars",
        "scipy",
        "skl2onnx",
        "sklearn",
        "skops",
        "threadpoolctl",
        "xgboost",
    }
)
"""Modules, by the name they are imported under, that ``timonel-serve`` does not bring."""


def installed() -> list[str]:
    """Give which of the two distributions are there; none in a bare source tree."""
    return [name for name in (FULL, SERVE) if _has(name)]


def is_serving_only() -> bool:
    """Whether this is the serving-only installation."""
    return installed() == [SERVE]


def distribution() -> str:
    """Give the name to use in ``pip install``."""
    return SERVE if is_serving_only() else FULL


def brings_native() -> bool:
    """Whether models that are not compiled can be run here."""
    return find_spec("sklearn") is not None


def is_full_only(module: str | None) -> bool:
    """Whether a module that was not found belongs to the full installation."""
    return module is not None and module.partition(".")[0] in FULL_ONLY


def _has(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
