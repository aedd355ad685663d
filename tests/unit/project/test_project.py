"""Loading a project: its models, its faults with file and line, and no traces left behind."""

import sys
from pathlib import Path
from typing import Any

import pytest

from timonel.errors import ProjectFault
from timonel.project.config import host_timezone, read_config
from timonel.project.model import Model
from timonel.project.project import load_project
from timonel.project.sources import Csv, read_rows
from timonel.schema.errors import InvalidDeclaration
from timonel.schema.features import Number
from timonel.schema.schema import Schema

TOML = '[project]\nname = "demo"\ntimezone = "America/Santiago"\n'
MODEL = """from timonel import Csv, Model, Number, Schema

churn = Model(
    name="churn",
    task="binary",
    target="y",
    schema=Schema(Number("x")),
    source=Csv("datos ñ.csv"),
    fallback="rules:rule",
)
"""
RULES = "from timonel import Answer\n\n\ndef rule(row):\n    return Answer(1)\n"


def project(folder: Path, **files: str) -> Path:
    written = {
        "timonel.toml": TOML,
        "model.py": MODEL,
        "rules.py": RULES,
        "datos ñ.csv": "x,y\n1,0\n",
    }
    for name, text in (written | files).items():
        if text:
            (folder / name).write_text(text, encoding="utf-8")
    return folder


def fault_of(folder: Path) -> ProjectFault:
    with pytest.raises(ProjectFault) as caught:
        load_project(folder).check()
    for lang in ("en", "es"):
        assert caught.value.message(lang)
        assert caught.value.remedy(lang)
    return caught.value


def test_a_project_is_loaded_and_its_paths_begin_in_its_folder(tmp_path: Path) -> None:
    loaded = load_project(project(tmp_path))
    loaded.check()
    assert (loaded.name, loaded.timezone, list(loaded.models)) == (
        "demo",
        "America/Santiago",
        ["churn"],
    )
    assert read_rows(loaded.model("churn").source).to_dicts() == [{"x": 1, "y": 0}]
    rules = loaded.rules_source(loaded.model("churn"))
    assert rules is not None
    assert (rules.module, rules.function, rules.source) == ("rules", "rule", RULES)


def test_an_unknown_model_lists_the_known(tmp_path: Path) -> None:
    loaded = load_project(project(tmp_path))
    with pytest.raises(Exception, match="churn") as caught:
        loaded.model("chrun")
    assert getattr(caught.value, "code", "") == "undeclared_model"


def test_two_projects_never_see_each_other_and_leave_no_trace(tmp_path: Path) -> None:
    model = MODEL.replace("from timonel", "from words import NAME\nfrom timonel", 1).replace(
        '"churn"', "NAME"
    )
    folders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        words = f'NAME = "{name}"\n'
        folders.append(project(tmp_path / name, **{"model.py": model, "words.py": words}))
    path, modules = list(sys.path), set(sys.modules)
    loaded = [load_project(folder) for folder in (*folders, folders[0])]
    assert [list(each.models) for each in loaded] == [["one"], ["two"], ["one"]]
    assert sys.path == path
    left = set(sys.modules) - modules
    assert all(name.startswith("timonel") for name in left), left
    assert not list(tmp_path.rglob("__pycache__"))


def test_an_edited_project_is_read_anew(tmp_path: Path) -> None:
    load_project(project(tmp_path))
    (tmp_path / "model.py").write_text(MODEL.replace("churn", "other"), encoding="utf-8")
    assert list(load_project(tmp_path).models) == ["other"]


def test_a_callable_source_may_import_its_neighbours_late(tmp_path: Path) -> None:
    model = MODEL.replace('source=Csv("datos ñ.csv")', "source=read_data").replace(
        "churn = Model(",
        "def read_data():\n    from nearby import ROWS\n    return ROWS\n\nc = Model(",
    )
    nearby = 'ROWS = [{"x": 1, "y": 0}]\n'
    loaded = load_project(project(tmp_path, **{"model.py": model, "nearby.py": nearby}))
    assert read_rows(loaded.model("churn").source).to_dicts() == [{"x": 1, "y": 0}]
    assert "nearby" not in sys.modules


@pytest.mark.parametrize(
    ("file", "text", "code", "line"),
    [
        ("model.py", "x = 1\ny = (\n", "broken_module", 2),
        ("model.py", "x = 1\n\nimport nothing_there\n", "broken_module", 3),
        ("model.py", "x = 1\nraise SystemExit(3)\n", "broken_module", 2),
        ("model.py", "from helper import a\n", "broken_module", 2),
        ("model.py", "x = 1\n", "no_model", None),
        ("model.py", "", "missing_module", None),
        ("model.py", MODEL + MODEL.replace("churn =", "other ="), "duplicate_model", None),
        ("model.py", MODEL.replace("rules:rule", "rules:rul"), "missing_rules", None),
        ("rules.py", "", "missing_rules", None),
        ("rules.py", "def rule(row)\n    pass\n", "broken_module", 1),
        ("datos ñ.csv", "", "missing_file", None),
        ("timonel.toml", "", "no_project", None),
        ("timonel.toml", "[project\n", "invalid_config", None),
        ("timonel.toml", TOML + "zone = 1\n", "unknown_setting", None),
        ("timonel.toml", TOML + "[settings]\nprt = 1\n", "unknown_setting", None),
        ("timonel.toml", TOML + '[settings]\nport = "many"\n', "invalid_config", None),
        ("timonel.toml", TOML.replace("Santiago", "Santiagho"), "invalid_config", None),
        ("timonel.toml", TOML.replace('"demo"', '"De Mo"'), "invalid_config", None),
        ("timonel.toml", "[settings]\nport = 1\n", "invalid_config", None),
    ],
)
def test_an_unreadable_project_names_file_line_and_remedy(
    file: str, text: str, code: str, line: int | None, tmp_path: Path
) -> None:
    helper = "a = 1\nb = a.upper()\n"
    error = fault_of(project(tmp_path, **{file: text, "helper.py": helper}))
    assert error.code == code
    if line is not None:
        assert error.context["line"] == line
        assert error.context["file"].startswith(str(tmp_path))


def test_an_unknown_setting_names_the_closest(tmp_path: Path) -> None:
    error = fault_of(project(tmp_path, **{"timonel.toml": TOML + "[settings]\nprt = 1\n"}))
    assert error.context["known"].startswith("port")


def test_check_lists_every_problem(tmp_path: Path) -> None:
    error = fault_of(project(tmp_path, **{"rules.py": "", "datos ñ.csv": ""}))
    assert error.code == "project_problems"
    assert [p["code"] for p in error.context["problems"]] == ["missing_rules", "missing_file"]


def test_settings_and_the_host_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml = '[project]\nname = "demo"\nlanguage = "es"\n[settings]\nport = 9000\n'
    monkeypatch.setenv("TZ", ":America/Punta_Arenas")
    config = read_config(project(tmp_path, **{"timonel.toml": toml}))
    assert config.timezone == "America/Punta_Arenas"
    assert (config.settings, config.language) == ({"port": 9000}, "es")
    monkeypatch.setenv("TZ", "<-03>3")
    assert "/" in host_timezone() or host_timezone() == "UTC"


@pytest.mark.parametrize(
    "bounds", [(), (1,), (2, 1), (1, 1), (None, None), (0, float("inf")), ("0", 1), 5]
)
def test_a_range_that_is_none_is_refused(bounds: Any) -> None:
    with pytest.raises(InvalidDeclaration, match="target_range"):
        Model(
            name="m",
            task="regression",
            target="y",
            schema=Schema(Number("x")),
            source=Csv("d.csv"),
            target_range=bounds,
        )


def test_classes_have_no_range() -> None:
    with pytest.raises(InvalidDeclaration, match="only a regression"):
        Model(
            name="m",
            task="binary",
            target="y",
            schema=Schema(Number("x")),
            source=Csv("d.csv"),
            target_range=(0, 1),
        )
