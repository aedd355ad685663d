"""The two distributions agree: same version, same ranges, and the code knows what differs."""

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from timonel import __version__, installs

REPOSITORY = Path(__file__).parents[2]


def project(file: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((REPOSITORY / file).read_text("utf-8"))["project"]
    return found


FULL = project("pyproject.toml")
SERVE = project("packaging/serve/pyproject.toml")


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[]", one)[0].lower() for one in requirements}


def test_both_are_of_one_version() -> None:
    assert FULL["version"] == SERVE["version"] == __version__
    assert FULL["requires-python"] == SERVE["requires-python"]
    assert FULL["scripts"] == SERVE["scripts"]
    assert (FULL["name"], SERVE["name"]) == (installs.FULL, installs.SERVE)


def test_the_serving_one_asks_for_nothing_else_than_the_full_one() -> None:
    assert set(SERVE["dependencies"]) < set(FULL["dependencies"])
    extras = {name: FULL["optional-dependencies"][name] for name in ("postgres", "otel")}
    assert SERVE["optional-dependencies"] == extras


def test_the_code_knows_what_only_the_full_one_brings() -> None:
    left = names(FULL["dependencies"]) - names(SERVE["dependencies"])
    homes = {
        module: {name.lower().replace("_", "-") for name in found}
        for module, found in packages_distributions().items()
    }
    known = {name for module in installs.FULL_ONLY for name in homes[module] & left}
    assert known == left
