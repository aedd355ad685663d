"""The demo against real processes: what it promises, it does, and it says so in one JSON object."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What ``timonel demo --once --json`` printed."""
    ran = subprocess.run(
        [sys.executable, "-m", "timonel.cli.main", "demo", "--once", "--json", "--seed", "7"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"TIMONEL_LANGUAGE": "en"},
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


def test_nothing_was_lost_doubled_refused_or_left_in_doubt(found: dict[str, Any]) -> None:
    counts = ("lost", "doubled", "strange", "refused", "in_doubt")
    assert [found[name] for name in counts] == [0] * 5
    assert found["predictions"] == 440


def test_every_outcome_found_its_prediction(found: dict[str, Any]) -> None:
    assert found["outcomes_sent"] == found["outcomes_joined"] == 440


def test_rules_answered_before_there_was_a_version_and_the_model_after(
    found: dict[str, Any],
) -> None:
    assert found["answered_by_model"] + found["answered_by_rules"] == 440
    assert found["answered_by_model"] >= 400
    assert [version["stage"] for version in found["versions"]] == ["production"]


def test_the_model_is_better_than_the_commoner_answer(found: dict[str, Any]) -> None:
    assert found["accuracy"]["low"] > found["accuracy_baseline"]
    assert 0.85 < found["accuracy"]["value"] < 0.95


def test_the_timeline_tells_it(found: dict[str, Any]) -> None:
    assert found["ok"]
    assert "0 predictions lost, 0 doubled" in found["timeline"][-1]
