"""The obesity example's own parts: its rule, its data, its stand-in."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

FOLDER = Path(__file__).parents[3] / "examples/obesity"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"obesity_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


data, rules = load("data"), load("rules")


@pytest.mark.parametrize(
    ("weight", "height", "level"),
    [
        (18.49, 1.0, "Insufficient_Weight"),
        (18.5, 1.0, "Normal_Weight"),
        (64.0, 1.62, "Normal_Weight"),  # 24.387
        (25.0, 1.0, "Overweight_Level_I"),
        (110.0, 2.0, "Overweight_Level_II"),  # 27.5
        (120.0, 2.0, "Obesity_Type_I"),  # 30
        (140.0, 2.0, "Obesity_Type_II"),  # 35
        (160.0, 2.0, "Obesity_Type_III"),  # 40
    ],
)
def test_the_level_by_body_mass_index(weight: float, height: float, level: str) -> None:
    answer = rules.bmi_rule({"Weight": weight, "Height": height})
    assert (answer.prediction, answer.score, answer.probabilities) == (level, None, None)


def test_the_rule_asks_for_weight_and_height_and_invents_neither() -> None:
    for row in ({"Weight": 64.0}, {"Height": 1.62}):
        with pytest.raises(KeyError):
            rules.bmi_rule(row)


def test_the_rule_on_the_real_rows(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIMONEL_TEST_DATA", str(data_folder))
    table = data.read_obesity()
    assert capsys.readouterr().err == ""
    assert table.height == 2111
    right = [rules.bmi_rule(r).prediction == r["NObeyesdad"] for r in table.iter_rows(named=True)]
    assert np.mean(right) == pytest.approx(0.9195, abs=0.0005)


def test_without_the_file_rows_are_generated_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(data, "find_file", lambda: None)
    table = data.read_obesity()
    assert "GENERATED" in capsys.readouterr().err
    assert table.equals(data.generate())
    assert set(table["NObeyesdad"].unique()) == set(data.CLASSES)
    assert table.null_count().sum_horizontal().item() == 0


def test_the_file_beside_the_project_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(data, "HERE", tmp_path)
    (tmp_path / "elsewhere/obesity").mkdir(parents=True)
    (tmp_path / "elsewhere/obesity/obesity.csv").write_text("a\n1\n")
    monkeypatch.setenv("TIMONEL_TEST_DATA", str(tmp_path / "elsewhere"))
    assert data.find_file() == tmp_path / "elsewhere/obesity/obesity.csv"
    (tmp_path / "obesity.csv").write_text("a\n1\n2\n")
    assert data.find_file() == tmp_path / "obesity.csv"
    assert data.read_obesity().equals(pl.DataFrame({"a": [1, 2]}))


def test_rules_import_nothing_but_the_standard_library_and_timonel() -> None:
    for folder in ("obesity", "dispatch", "comments"):
        source = (FOLDER.parent / folder / "rules.py").read_text()
        names = {line.split()[1].split(".")[0] for line in source.splitlines()
                 if line.startswith(("import ", "from "))}  # fmt: skip
        assert names <= {*sys.stdlib_module_names, "timonel"}
