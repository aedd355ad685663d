"""The demo against real processes: every arc of the loop happens, and one JSON object says so."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

SEED = os.environ.get("TIMONEL_DEMO_SEED", "7")
# It lives by an accelerated clock: beside other tests it would measure their load.
pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What ``timonel demo --once --json`` printed."""
    ran = subprocess.run(
        [sys.executable, "-m", "timonel.cli.main", "demo", "--once", "--json", "--seed", SEED],
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
        env=os.environ | {"TIMONEL_LANGUAGE": "en"},
    )
    document: dict[str, Any] = json.loads(ran.stdout)
    assert ran.returncode == 0, (document.get("missing_arcs"), ran.stderr[-3000:])
    return document


def test_every_arc_happened(found: dict[str, Any]) -> None:
    assert found["ok"]
    assert found["missing_arcs"] == []


def test_nothing_was_lost_duplicated_refused_or_left_in_doubt(found: dict[str, Any]) -> None:
    counts = ("lost", "duplicated", "strange", "refused", "in_doubt")
    assert [found[name] for name in counts] == [0] * 5
    assert found["predictions"] == found["outcomes_sent"] == found["outcomes_joined"]
    assert found["predictions"] > 2_000


def test_rules_stood_in_before_a_version_and_for_a_broken_one(found: dict[str, Any]) -> None:
    failure = found["model_failure"]
    assert failure["reasons"] == ["model_error"]
    assert failure["workers_killed"] == 2
    assert 0 < failure["answered_by_rules"] < found["answered_by_rules"]
    assert failure["seconds_until_healed"] < 15
    kinds = {alert["id"]: alert["kind"] for alert in found["alerts"]}
    assert kinds[failure["alert_id"]] == "HIGH_FALLBACK_RATE"


def test_the_drift_hurt_and_the_retraining_repaired_it(found: dict[str, Any]) -> None:
    before, during, after = (
        found[f"accuracy_{name}"] for name in ("before", "during_drift", "after")
    )
    assert min(one["n"] for one in (before, during, after)) >= 400
    assert during["high"] < before["low"] - 0.03
    assert after["low"] > during["high"]
    assert before["low"] > found["accuracy_baseline"]
    assert found["drift_detected_at"] is not None
    stages = {version["version"]: version["stage"] for version in found["versions"]}
    assert stages[found["promoted"]] == "production"
    job = found["retraining"]
    assert (job["state"], job["outcome"], job["trigger"]) == ("succeeded", "promoted", "loss")
    assert [step["step"] for step in job["steps"]] == [
        "fetch",
        "prepare",
        "train",
        "validate",
        "deploy",
    ]


def test_the_alert_of_the_loss_resolved_itself(found: dict[str, Any]) -> None:
    losses = [a for a in found["alerts"] if a["kind"] == "PERFORMANCE_DEGRADATION"]
    assert losses[0]["resolved_at"] is not None
    assert losses[0]["resolved_by"] is None


def test_a_rollback_and_the_way_forward_reached_all_workers_at_once(found: dict[str, Any]) -> None:
    for move in found["rollback"].values():
        assert move["seconds"] < 1.0
        assert move["n_current"] == move["n_live"] == 2


def test_the_timeline_tells_it_in_time(found: dict[str, Any]) -> None:
    assert "0 lost, 0 duplicated" in found["timeline"][-1]
    assert len(found["timeline"]) > 20
