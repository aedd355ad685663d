"""The rules of examples/dispatch: numbers by hand, and agreement with what the city does."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from timonel.simulate.city import City
from timonel.simulate.history import START, history

RULES = runpy.run_path(str(Path(__file__).parents[3] / "examples/dispatch/rules.py"))
assign, assign_or_review = RULES["assign"], RULES["assign_or_review"]
NobodyToSend = RULES["NobodyToSend"]


def ambulance(name: str, km_north: float, status: str = "available") -> dict[str, Any]:
    degrees = km_north / (6371.0 * np.pi / 180.0)
    return {"id": name, "latitude": -33.45 + degrees, "longitude": -70.66, "status": status}


def person(name: str, level: str, status: str = "available") -> dict[str, str]:
    return {"id": name, "level": level, "status": status}


def request(severity: int = 3, **changes: Any) -> dict[str, Any]:
    return {
        "dispatch_id": "d-1",
        "patient_latitude": -33.45,
        "patient_longitude": -70.66,
        "emergency_type": "cardiac",
        "severity_level": severity,
        "available_ambulances": [ambulance("A1", 4.0), ambulance("A2", 1.0)],
        "available_paramedics": [
            person("S1", "senior"), person("S2", "senior"), person("S3", "senior"),
            person("J1", "junior"), person("J2", "junior"), person("J3", "junior"),
        ],
        "available_nurses": [{"id": "N1", "status": "available"}],
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("km", "confidence"),
    [(0.0, 0.95), (1.99, 0.95), (2.01, 0.85), (4.99, 0.85), (5.01, 0.7), (9.99, 0.7),
     (10.01, 0.5), (14.99, 0.5)],
)  # fmt: skip
def test_confidence_is_the_mean_of_ambulance_and_crew(km: float, confidence: float) -> None:
    made = assign(request(available_ambulances=[ambulance("A1", km)]))
    assert made.confidence == pytest.approx((confidence + 0.9) / 2, abs=0.005001)
    assert made.distance_km == pytest.approx(km, abs=0.005)


@pytest.mark.parametrize(
    ("severity", "paramedics", "nurse"),
    [
        (5, ["S1", "S2", "J1"], "N1"),
        (4, ["S1", "J1"], "N1"),
        (3, ["J1", "J2"], None),
        (2, ["J1"], None),
        (1, ["J1"], None),
    ],
)
def test_the_crew_by_severity(severity: int, paramedics: list[str], nurse: str | None) -> None:
    made = assign(request(severity))
    assert (made.paramedic_ids, made.nurse_id) == (paramedics, nurse)
    assert made.ambulance_id == "A2"


def test_a_missing_level_is_filled_by_the_other() -> None:
    juniors = [person(f"J{i}", "junior") for i in range(4)]
    seniors = [person("S1", "senior"), person("S2", "senior")]
    assert assign(request(5, available_paramedics=juniors)).paramedic_ids == ["J0", "J1", "J2"]
    assert assign(request(3, available_paramedics=seniors)).paramedic_ids == ["S1", "S2"]
    mixed = [person("S1", "senior"), person("J1", "junior"), person("J2", "junior")]
    assert assign(request(5, available_paramedics=mixed)).paramedic_ids == ["S1", "J1", "J2"]


def test_an_incomplete_crew_lowers_the_confidence() -> None:
    alone = [person("S1", "senior"), person("J1", "junior", "busy")]
    for severity, changes, confidence in (
        (5, {"available_paramedics": alone}, 0.775),
        (5, {"available_nurses": []}, 0.775),
        (3, {"available_nurses": []}, 0.925),
    ):
        made = assign(request(severity, **changes))
        assert made.confidence == pytest.approx(confidence, abs=0.0051)


@pytest.mark.parametrize(
    "changes",
    [
        {"available_ambulances": []},
        {"available_ambulances": [ambulance("A1", 1.0, "busy")]},
        {"available_ambulances": [ambulance("A1", 15.01)]},
        {"available_paramedics": []},
        {"available_paramedics": [person("S1", "senior", "busy")]},
    ],
)
def test_nobody_to_send_is_a_clear_failure(changes: dict[str, Any]) -> None:
    with pytest.raises(NobodyToSend, match="d-1"):
        assign(request(**changes))


def test_the_city_sends_whom_the_rules_would_send() -> None:
    city = City(np.random.default_rng(4), round(START.timestamp() * 1e6))
    for _ in range(200):
        call = city.next_call()
        decision, made = city.decide(call), assign(city.request(call))
        assert made.ambulance_id == f"A{decision.ambulance + 1:02d}"
        assert made.distance_km == pytest.approx(decision.distance_km, abs=0.006)
        assert sorted(made.paramedic_ids) == sorted(
            [f"S{i + 1:02d}" for i in decision.crew.seniors]
            + [f"J{i + 1:02d}" for i in decision.crew.juniors]
        )
        assert (made.nurse_id is None) == (decision.crew.nurse is None)
        city.carry_out(call, decision)


def test_on_the_model_s_row_the_rules_beat_the_base_rate_and_not_a_model() -> None:
    past = history(3000, seed=21)
    right = [assign_or_review(row).prediction == row["was_optimal"] for row in past.to_dicts()]
    base = float(past["was_optimal"].to_numpy().mean())
    assert base + 0.08 < np.mean(right) < 0.87


def test_the_answer_says_what_it_rests_on_and_no_score() -> None:
    row = history(1, seed=1).to_dicts()[0] | {
        "severity_level": 5, "nearest_ambulance_distance_km": 3.0, "nurses_available_count": 0,
        "paramedics_available_count": 9,
    }  # fmt: skip
    answer = assign_or_review(row)
    assert (answer.prediction, answer.score) == (0, None)
    assert answer.explanation is not None
    assert answer.explanation.startswith("REVIEW: nearest ambulance at 3.0 km, incomplete crew")
    assert assign_or_review(row | {"nurses_available_count": 1}).prediction == 1
