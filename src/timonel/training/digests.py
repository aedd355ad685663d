"""What a version was made from, as hashes: equal inputs, equal hashes, on every machine.

Data are hashed as typed values, not as file bytes, so that one table saved in ten dialects has one
digest. Code is hashed as its source text.
"""

import inspect
import json
import math
import platform
import struct
import subprocess
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from timonel.project.model import Model
from timonel.project.recipes import Recipe
from timonel.training.table import Table

LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "xgboost-cpu",
    "xgboost",
    "lightgbm",
    "onnx",
    "onnxruntime",
    "skl2onnx",
    "polars",
)
# Those whose version can change a trained model; the others are recorded, not hashed.
_DECISIVE = ("numpy", "scikit-learn", "xgboost-cpu", "xgboost", "lightgbm")


def digest(document: Any) -> str:
    """Give the sha256 (hex) of a JSON document in canonical form."""
    return sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()


def data_digest(table: Table, names: Sequence[str]) -> str:
    """Hash the rows that are used: values in schema order, target, time and group, row by row."""
    columns: list[tuple[str, Sequence[Any]]] = [
        (name, [row[at] for row in table.values]) for at, name in enumerate(names)
    ]
    columns.append(("=target", table.target))
    columns += [
        (label, column)
        for label, column in (("=time", table.time), ("=group", table.group))
        if column is not None
    ]
    total = sha256()
    for name, column in columns:
        total.update(msgspec.json.encode([name, len(column)]))
        for value in column:
            total.update(_bytes_of(value))
    return total.hexdigest()


def _bytes_of(value: Any) -> bytes:
    if value is None:
        return b"_"
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int) and abs(value) > 2**53:
        return b"i%d;" % value
    if isinstance(value, int | float):  # 3 and 3.0 are one value: dialects write either
        number = float(value)
        return b"n" + struct.pack("<d", 0.0 if number == 0 or math.isnan(number) else number)
    text = str(value).encode()
    return b"s%d:" % len(text) + text


def source_of(function: Callable[..., Any]) -> str:
    """Give a function's source text, or its byte code where the text is not to be had."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return repr(function) if code is None else f"{code.co_code!r}{code.co_consts!r}"


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """Describe a recipe: name, parameters, encoding, and the source of a custom function."""
    return {
        "name": recipe.name,
        "parameters": {name: _plain(value) for name, value in recipe.parameters.items()},
        "encoding": recipe.encoding,
        "native_missing": recipe.native_missing,
        "source": None if recipe.build is None else source_of(recipe.build),
    }


def _plain(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return repr(value)


def library_versions() -> dict[str, str]:
    """Give the versions of the libraries that training uses, those that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def version_hash(
    model: Model, *, data: str, recipe: str, seed: int, timezone: str, libraries: dict[str, str]
) -> str:
    """Hash everything that decides what a training gives: the same hash, the same predictions."""
    bounds = model.target_range
    return digest(
        ({} if bounds is None else {"target_range": bounds})
        | {
            "data": data,
            "recipe": recipe,
            "schema": model.schema.digest(),
            "task": model.task,
            "target": model.target,
            "positive": model.positive,
            "split": [model.time, model.group],
            "seed": seed,
            "timezone": timezone,
            "libraries": {name: libraries[name] for name in _DECISIVE if name in libraries},
        }
    )


def environment() -> dict[str, Any]:
    """Say where a training ran; bit-exact repetition is promised for an equal one."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "threads": 1,
        "libraries": library_versions(),
    }


def code_document(model: Model, recipe: Recipe, rules: str | None) -> dict[str, Any]:
    """Hash the project's code behind a training, and name its git commit where there is one."""
    functions = [f for f in (recipe.build, model.source) if inspect.isfunction(f)]
    texts = [source_of(function) for function in functions] + ([rules] if rules else [])
    folder = Path(functions[0].__code__.co_filename).parent if functions else Path()
    return {"sha256": digest(texts), **_git(folder)}


def _git(folder: Path) -> dict[str, Any]:
    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(  # noqa: S603 - fixed words
                ["git", "-C", str(folder), *words],  # noqa: S607 - the user's own git
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = ask("rev-parse", "HEAD")
    if not commit:
        return {"git_commit": None, "git_dirty": None}
    return {"git_commit": commit, "git_dirty": bool(ask("status", "--porcelain", "."))}
