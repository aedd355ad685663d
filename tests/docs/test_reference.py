"""The documentation tells the truth of today: reference pages are fresh, commands exist."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md")),
]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_pages_are_fresh(generate: ModuleType) -> None:
    for name, text in generate.pages().items():
        written = (ROOT / "docs" / "reference" / name).read_text("utf-8")
        assert written == text, f"run `python docs/generate.py`: {name} is stale"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_exists(page: str, generate: ModuleType) -> None:
    import typer

    from timonel.cli.main import app

    known = {" ".join(path) for path, _ in generate.walk(typer.main.get_command(app), ("timonel",))}
    groups = {name.rsplit(" ", 1)[0] for name in known}
    text = (ROOT / page).read_text("utf-8")
    for found in re.findall(r"(?:^|`|\$ )(timonel [a-z]+(?: [a-z]+)?)", text, re.MULTILINE):
        words = found.split()
        assert found in known | groups or " ".join(words[:2]) in known, f"{page}: {found}"


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
