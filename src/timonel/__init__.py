"""Timonel runs machine-learning models in production as one honest closed loop."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timonel import metrics
    from timonel.errors import TimonelError
    from timonel.logging import get_logger
    from timonel.notebook import open_project as open
    from timonel.project import recipes
    from timonel.project.model import Batching, Model, Policy, Watch
    from timonel.project.outcome import Outcome
    from timonel.project.sources import Csv, Excel, Parquet, Sql
    from timonel.schema.features import Category, Flag, Number, Text, Timestamp
    from timonel.schema.schema import Schema
    from timonel.serving.embedding.mount import asgi
    from timonel.wire.answer import Answer

__version__ = "0.1.0"

_HOMES = {
    "Answer": "timonel.wire.answer",
    "Batching": "timonel.project.model",
    "Category": "timonel.schema.features",
    "Csv": "timonel.project.sources",
    "Excel": "timonel.project.sources",
    "Flag": "timonel.schema.features",
    "Model": "timonel.project.model",
    "Number": "timonel.schema.features",
    "Outcome": "timonel.project.outcome",
    "Parquet": "timonel.project.sources",
    "Policy": "timonel.project.model",
    "Schema": "timonel.schema.schema",
    "Sql": "timonel.project.sources",
    "Text": "timonel.schema.features",
    "Timestamp": "timonel.schema.features",
    "TimonelError": "timonel.errors",
    "Watch": "timonel.project.model",
    "asgi": "timonel.serving.embedding.mount",
    "get_logger": "timonel.logging",
}

_MODULES = {"metrics": "timonel.metrics", "recipes": "timonel.project.recipes"}

__all__ = [
    "Answer",
    "Batching",
    "Category",
    "Csv",
    "Excel",
    "Flag",
    "Model",
    "Number",
    "Outcome",
    "Parquet",
    "Policy",
    "Schema",
    "Sql",
    "Text",
    "Timestamp",
    "TimonelError",
    "Watch",
    "asgi",
    "get_logger",
    "metrics",
    "open",
    "recipes",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that ``import timonel`` stays light (PEP 562)."""
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name == "open":
        return import_module("timonel.notebook").open_project
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module 'timonel' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
