"""The house keeps its shape: sizes, public names, errors with both languages and a remedy."""

import ast
import importlib
import pkgutil
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import timonel
from timonel.errors import TimonelError

ROOT = Path(timonel.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if "examples" not in path.parts)
FAMILIES = "timonel.errors"


def walk_modules() -> Iterator[str]:
    for info in pkgutil.walk_packages([str(ROOT)], "timonel."):
        if ".migrations." not in info.name and not info.name.startswith("timonel.examples"):
            yield info.name


def subclasses(kind: type[TimonelError]) -> Iterator[type[TimonelError]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


@pytest.fixture(scope="module")
def errors() -> list[type[TimonelError]]:
    for name in walk_modules():
        importlib.import_module(name)
    found = {kind for kind in subclasses(TimonelError) if kind.__module__ != FAMILIES}
    own = [kind for kind in found if kind.__module__.startswith("timonel.")]
    return sorted(own, key=lambda kind: kind.code)


def fields(template: str) -> set[str]:
    return {
        name.split(".")[0].split("[")[0]
        for _, name, _, _ in string.Formatter().parse(template)
        if name
    }


def test_no_module_is_over_500_lines() -> None:
    counts = {path: len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {str(path.relative_to(ROOT)): n for path, n in counts.items() if n > 500} == {}


def test_no_folder_holds_more_than_14_modules() -> None:
    counts = {
        folder: sum(1 for file in folder.glob("*.py") if file.name != "__init__.py")
        for folder in {path.parent for path in MODULES}
        if folder.parent.name != "migrations"  # a history: it only grows
    }
    assert {str(f): n for f, n in counts.items() if n > 14} == {}


def test_functions_are_at_most_60_lines() -> None:
    long = []
    for path in MODULES:
        if "migrations" in path.parts:  # generated
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                start = (first.end_lineno or 0) if documented else node.lineno
                if (node.end_lineno or 0) - start > 60:
                    long.append(f"{path.name}:{node.name}")
    assert long == []


def test_every_public_name_resolves_and_is_listed_once() -> None:
    assert sorted(set(timonel.__all__)) == sorted(timonel.__all__)
    for name in timonel.__all__:
        assert getattr(timonel, name) is not None


def test_every_error_says_what_and_what_to_do_in_both_languages(
    errors: list[type[TimonelError]],
) -> None:
    assert len(errors) > 20
    for kind in errors:
        assert set(kind.texts) == {"en", "es"}, kind
        english, spanish = kind.texts["en"], kind.texts["es"]
        for part in (*english, *spanish):
            assert part.strip(), kind
        used = [
            {name.removesuffix(f"_{lang}") for part in kind.texts[lang] for name in fields(part)}
            for lang in ("en", "es")
        ]
        assert used[0] == used[1], kind
        assert english.message != spanish.message, kind


def test_error_codes_are_unique_slugs(errors: list[type[TimonelError]]) -> None:
    codes = [kind.code for kind in errors]
    assert len(set(codes)) == len(codes), sorted(c for c in codes if codes.count(c) > 1)
    assert all(code.isidentifier() and code == code.lower() for code in codes)


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("timonel", {"numpy", "sqlalchemy", "pydantic", "polars"}),
        ("timonel.client", {"numpy", "sqlalchemy", "pydantic", "polars", "httpx"}),
        ("timonel.app", {"scipy", "sklearn", "onnxruntime", "alembic", "fastapi"}),
    ],
)
def test_light_imports_stay_light(module: str, heavy: set[str]) -> None:
    code = f"import sys, {module}; print(' '.join(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy.isdisjoint(done.stdout.split())
