"""The comments example's own parts: its lists, rules, data, stand-in, and the combined model."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

FOLDER = Path(__file__).parents[3] / "examples/comments"
NAMES = ("words", "rules", "data", "combined", "ab_testing", "simulate")


class Parts(NamedTuple):
    words: ModuleType
    rules: ModuleType
    data: ModuleType
    combined: ModuleType
    ab_testing: ModuleType
    simulate: ModuleType


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    """The example's modules, which import each other by their plain names."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield Parts(*(importlib.import_module(name) for name in NAMES))
    finally:
        sys.path.remove(str(FOLDER))
        for name in NAMES:
            sys.modules.pop(name, None)


def test_the_rules_hold_the_lists_of_today(parts: Parts) -> None:
    source = (FOLDER / "rules.py").read_text("utf-8")
    assert parts.words.with_words(source) == source
    assert {"are inferior", "son inferiores"} <= set(parts.rules.HATE)
    assert {"idiot", "idiota", "shut up"} <= set(parts.rules.OFFENSIVE)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("You IDIOT!", "Offensive Language"),
        ("¡Qué Patético!", "Offensive Language"),
        ("shut... up", "Offensive Language"),
        ("they are inferior", "Hate Speech"),
        ("idiota, todos son inferiores", "Hate Speech"),  # the graver list first
        ("idiotic prices are interior", "Neither"),  # whole words
        ("", "Neither"),
    ],
)
def test_the_class_by_the_lists(parts: Parts, text: str, label: str) -> None:
    answer = parts.rules.by_words({"text": text})
    assert (answer.prediction, answer.score, answer.probabilities) == (label, None, None)


def test_without_the_file_sentences_are_generated_and_that_is_said(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parts.data, "find_file", lambda: None)
    trained, kept = parts.data.read_comments(), parts.data.traffic_rows()
    assert "WAS NOT FOUND" in capsys.readouterr().err
    assert set(trained["text"]).isdisjoint(kept["text"])
    assert pl.concat([trained, kept]).sort("text").equals(parts.data.generate().sort("text"))
    assert kept.height == pytest.approx(0.1 * 900, abs=30)


def test_without_the_log_nothing_stands_in(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(parts.simulate, "HERE", tmp_path / "one/two/three")
    monkeypatch.setenv("TIMONEL_TEST_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"ab_log_28\.csv was not found.*TIMONEL_TEST_DATA"):
        parts.simulate.find_log()


def test_the_lists_add_to_what_the_model_says(parts: Parts) -> None:
    table = parts.data.generate()
    pipeline = parts.combined.fit_combined(table["text"].to_list(), table["label"].to_list())
    model = pipeline.named_steps["model"]
    said = pl.DataFrame({"text": ["el cielo está azul", "imbécil el cielo está azul"]})
    plain, listed = pipeline.decision_function(said)
    added = dict(zip(model.classes_, listed - plain, strict=True))
    # "imbécil" is in training too: its list's 4, beside what was fitted
    words = pipeline.named_steps["columns"].named_transformers_["words"]
    n_words = len(words.vocabulary_)
    fitted = words.transform(said["text"].to_list()) @ model.coef_[:, :n_words].T
    by_words = dict(zip(model.classes_, fitted[1] - fitted[0], strict=True))
    rules = {name: added[name] - by_words[name] for name in added}
    assert rules == pytest.approx(
        {"Hate Speech": 0.0, "Neither": 0.0, "Offensive Language": parts.combined.LIST_WEIGHT}
    )
    assert np.all(np.isfinite(pipeline.predict_proba(said)))


def test_macro_f1_leaves_out_classes_that_are_not_known(parts: Parts) -> None:
    known = {"a": {"f1": 0.5}, "b": {"f1": 1.0}, "c": {"f1": None}}
    assert parts.ab_testing.macro_f1(known) == 0.75
    assert parts.ab_testing.macro_f1({}) is None
