"""What `timonel explain` prints of each kind of answer, in both languages."""

import pytest

from timonel.cli.lifecycle import _print_explanation

HEAD = {"model": "churn", "version": "1.0.0"}
BY_MODEL = {
    "source": "model",
    "reason": "assigned",
    "prediction": "yes",
    "score": 0.75,
    "explanation": {
        "method": "sampled",
        "scale": "probability",
        "of": "yes",
        "base": 0.25,
        "total": 0.75,
        "contributions": [
            {"feature": "plan", "value": "month", "contribution": 0.5, "standard_error": 0.01}
        ],
        "path": [],
        "text": None,
    },
}


def test_contributions_are_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMONEL_LANGUAGE", "es")
    _print_explanation(HEAD, BY_MODEL)
    said = capsys.readouterr().out
    assert "churn@1.0.0 responde yes (puntaje 0,75)" in said
    assert "en probabilidad (yes): normalmente 0,25, aquí 0,75" in said
    assert " ".join(said.splitlines()[-1].split()) == "plan month +0,5 ± 0,01"


def test_rules_show_their_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMONEL_LANGUAGE", "en")
    explanation = {"path": ["3: return 'late'"], "text": "older than 40"}
    by_rules = {**BY_MODEL, "source": "rules", "reason": "timeout", "explanation": explanation}
    _print_explanation({**HEAD, "version": ""}, by_rules)
    said = capsys.readouterr().out
    assert "churn answers yes" in said
    assert "answered by its rules (timeout)" in said
    assert "  3: return 'late'\n  older than 40" in said
