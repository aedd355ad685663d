"""What is decided without a database: triggers, mixtures, label cut-off, gates."""

from typing import Any

import pytest

from timonel.project.model import Policy
from timonel.registry.history import Transition
from timonel.registry.manifest import OutcomePlan
from timonel.retraining.judging.comparisons import DECIDED_BY, anchor_of
from timonel.retraining.judging.gates import (
    Judgement,
    gates_of_training,
    held_out,
    paired_gate,
    parity_gate,
    schema_gate,
)
from timonel.retraining.learning.log import cut_off
from timonel.retraining.learning.mixture import best, inner_holdout, options, read_mixture
from timonel.retraining.service import policies_of
from timonel.retraining.triggers import Facts, TriggerReport, decide
from timonel.schema.errors import InvalidDeclaration
from timonel.stats.gates import Verdict

HOUR_US = 3_600_000_000
LOSS = {"since": 1, "n": 400, "effect": -0.08, "metric": "accuracy:prediction"}


def report(policy: Policy | None = None, **facts: Any) -> TriggerReport:
    values: dict[str, Any] = {
        "now": 100 * HOUR_US,
        "n_labels": 1_000,
        "n_new_labels": 0,
        "champion": "1.0.0",
        "champion_at": 0,
    }
    return decide("berth", Facts(**(values | facts)), policies_of(policy or Policy()))


def test_drift_alone_only_warns() -> None:
    found = report(n_drifted=3)
    assert found.by_itself is None
    drift = found.document()["triggers"][-1]
    assert drift == {"name": "drift", "holds": True, "enabled": False, "n_columns": 3}


@pytest.mark.parametrize(
    ("policy", "facts", "expected"),
    [
        (Policy(), {"loss": LOSS}, "loss"),
        (Policy(retrain_on_loss=False), {"loss": LOSS}, None),
        (Policy(retrain_on_labels=100), {"n_new_labels": 99}, None),
        (Policy(retrain_on_labels=100), {"n_new_labels": 100}, "labels"),
        (Policy(max_age="4d"), {}, "age"),
        (Policy(max_age="5d"), {}, None),
        (Policy(max_age="4d"), {"champion": None, "champion_at": None}, None),
        (Policy(), {"loss": LOSS, "last_job_at": 95 * HOUR_US}, None),
        (Policy(cooldown="4h"), {"loss": LOSS, "last_job_at": 95 * HOUR_US}, "loss"),
        (Policy(), {"loss": LOSS, "active_job": "7"}, None),
        (Policy(min_samples=2_000), {"loss": LOSS}, None),
        (Policy(retrain="0 2 * * *"), {}, None),  # the schedule submits its own
    ],
)
def test_what_starts_by_itself(policy: Policy, facts: dict[str, Any], expected: str | None) -> None:
    assert report(policy, **facts).by_itself == expected


def test_a_person_is_refused_by_an_active_job_alone() -> None:
    assert report(n_labels=3, last_job_at=100 * HOUR_US).by_hand
    found = report(active_job="7")
    assert not found.by_hand
    assert found.obstacles == ({"name": "active_job", "job_id": "7"},)


def test_policies_are_read_as_durations() -> None:
    with pytest.raises(InvalidDeclaration):
        Policy(cooldown="soon")
    with pytest.raises(InvalidDeclaration):
        Policy(retrain_on_labels=0)


def test_label_cut_off() -> None:
    absent = cut_off(1_000_000_000, [1, 2], OutcomePlan(horizon_s=100, absent=0))
    assert (absent.until_us, absent.rule) == (900_000_000, "horizon")
    delays = [10_000_000] * 90 + [60_000_000] * 10
    told = cut_off(1_000_000_000, delays, OutcomePlan(horizon_s=100))
    assert (told.until_us, told.rule) == (940_000_000, "delay")
    slow = cut_off(1_000_000_000, [900_000_000], OutcomePlan(horizon_s=100))
    assert slow.until_us == 900_000_000, "never before the horizon"
    assert cut_off(5, [], OutcomePlan()).until_us == 5


@pytest.mark.parametrize(
    ("n_since_loss", "n_original", "onset", "names"),
    [
        (7_000, 16_000, 1, ["log"]),  # enough of the new world
        (1_500, 16_000, 1, ["log", "both"]),
        (150, 16_000, 1, ["both"]),
        (1_500, 0, 1, ["log"]),
        (1_500, 16_000, None, ["both", "log"]),
    ],
)
def test_ways_to_learn(
    n_since_loss: int, n_original: int, onset: int | None, names: list[str]
) -> None:
    found = options(
        n_log=8_000, n_since_loss=n_since_loss, n_original=n_original, onset_us=onset, needed=200
    )
    assert [way.name for way in found.ways] == names
    for way in found.ways:
        assert read_mixture(way.document()) == way
        if way.original:
            n_log = n_since_loss if onset else 8_000
            assert way.copies * n_log / n_original >= 0.9 or way.copies == 50
    assert best(found.ways, [0.5] * len(found.ways)) == found.ways[0]


def test_inner_holdout_is_big_enough_to_choose_by() -> None:
    assert [inner_holdout(n) for n in (100, 249, 250, 6_000)] == [0, 50, 50, 1_200]


def test_held_out() -> None:
    assert held_out(1_000, 199) == 0
    assert held_out(300, 300) == 200
    assert held_out(4_000, 4_000) == 800
    assert held_out(4_000, 500) == 500
    assert held_out(100_000, 100_000) == 5_000


def test_verdicts_together() -> None:
    checks = [
        {"name": "beats_baseline", "passed": True, "sentence": "better", "mean": 0.1},
        {"name": "beats_rules", "passed": False, "sentence": "not shown", "mean": 0.01},
    ]
    gates = gates_of_training(checks, {})
    assert [gate.verdict for gate in gates] == [Verdict.PASS, Verdict.UNDECIDED]
    assert Judgement(tuple(gates)).verdict is Verdict.UNDECIDED
    gates.append(schema_gate("a", "b"))
    assert Judgement(tuple(gates)).verdict is Verdict.FAIL
    assert "schema" in Judgement(tuple(gates)).reason
    assert parity_gate("onnx", {"passed": False, "summary": "another label"}).verdict == "FAIL"
    assert parity_gate("native", None).verdict == "PASS"


def test_the_bar_is_undecided_while_the_interval_reaches_it() -> None:
    check = {"name": "min_accuracy", "passed": False, "sentence": "under", "bar": 0.88}
    near = gates_of_training([check], {"accuracy": {"upper": 0.9}})
    far = gates_of_training([check], {"accuracy": {"upper": 0.87}})
    assert [near[0].verdict, far[0].verdict] == [Verdict.UNDECIDED, Verdict.FAIL]


def test_better_than_the_champion_but_under_the_bar_is_for_a_person() -> None:
    check = {"name": "min_accuracy", "passed": False, "sentence": "under", "bar": 0.88}
    gates = gates_of_training([check], {"accuracy": {"upper": 0.87}})
    units = [str(n) for n in range(400)]
    better = paired_gate("champion", "binary", units, [0.0] * 400, [1.0] * 400, alpha=0.03)
    equal = paired_gate("champion", "binary", units, [0.0] * 400, [0.0] * 400, alpha=0.03)
    assert Judgement((*gates, better)).settled().verdict is Verdict.UNDECIDED
    assert Judgement((*gates, equal)).settled().verdict is Verdict.FAIL


def test_a_unit_counts_once() -> None:
    units = [f"u{n % 250}" for n in range(1_000)]
    right, wrong = [0.0] * 1_000, [1.0] * 1_000
    gate = paired_gate("champion", "binary", units, right, wrong, alpha=0.03)
    assert (gate.figures["n"], gate.verdict) == (250, Verdict.PASS)
    gate = paired_gate("champion", "regression", units, wrong, right, alpha=0.03)
    assert gate.figures["n"] == 250
    assert gate.verdict is not Verdict.PASS


def _link(version: str, gates: str, to_stage: str = "production") -> Transition:
    return Transition("p", 1, "berth", version, "validation", to_stage, "", "", gates, 0, "", "")


def test_margins_do_not_add_up_past_the_anchor() -> None:
    def ours(better: bool) -> str:
        return f'{{"decided_by": "{DECIDED_BY}", "better": {str(better).lower()}}}'

    history = [_link("1.0.0", "null"), _link("1.0.1", ours(False)), _link("1.0.2", ours(False))]
    assert anchor_of(history) == "1.0.0"
    assert anchor_of([*history, _link("1.0.3", ours(True))]) == "1.0.3"
    assert anchor_of([*history, _link("1.0.2", "null")]) == "1.0.2", "a person approved it"
    assert anchor_of([]) is None
