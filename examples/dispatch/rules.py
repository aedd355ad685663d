"""The dispatch rules: plain Python, the standard library, and nothing that was not in the request.

`assign` is the whole rule set, for a request that lists ambulances and people. `assign_or_review`
is what the model falls back on: the same rules on the thirteen figures it is given.
"""

import math
from dataclasses import dataclass
from typing import Any

from timonel import Answer

EARTH_KM = 6371.0
REACH_KM = 15.0
# Up to so many kilometres, this confidence in the ambulance.
CONFIDENCE_BY_KM = ((2.0, 0.95), (5.0, 0.85), (10.0, 0.70), (REACH_KM, 0.50))
COMPLETE_CREW, PARTIAL_CREW = 0.9, 0.6
# Seniors, juniors and nurses by severity.
CREW = {5: (2, 1, 1), 4: (1, 1, 1), 3: (0, 2, 0), 2: (0, 1, 0), 1: (0, 1, 0)}
ASSIGN_FROM = 0.85  # a complete crew within five kilometres


class NobodyToSend(ValueError):
    """No available ambulance within reach, or no available paramedic."""


@dataclass(frozen=True)
class Assignment:
    dispatch_id: str
    ambulance_id: str
    paramedic_ids: list[str]
    nurse_id: str | None
    distance_km: float
    confidence: float
    reasoning: str


def distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance by the haversine formula."""
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    half = (
        math.sin((phi2 - phi1) / 2) ** 2
        + math.cos(phi1) * math.cos(phi2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    )
    return 2 * EARTH_KM * math.asin(math.sqrt(half))


def ambulance_confidence(km: float) -> float:
    """Confidence by distance; 0 beyond reach."""
    return next((value for limit, value in CONFIDENCE_BY_KM if km <= limit), 0.0)


def overall_confidence(km: float, complete: bool) -> float:
    """The mean of the confidences in the ambulance and in the crew."""
    return (ambulance_confidence(km) + (COMPLETE_CREW if complete else PARTIAL_CREW)) / 2


def _available(people: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [person for person in people if person.get("status", "available") == "available"]


def nearest_ambulance(request: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """The nearest ambulance with status "available", and its distance, within 15 km."""
    here = request["patient_latitude"], request["patient_longitude"]
    near = [
        (distance_km(*here, ambulance["latitude"], ambulance["longitude"]), i, ambulance)
        for i, ambulance in enumerate(request["available_ambulances"])
        if ambulance["status"] == "available"
    ]
    if not near or min(near)[0] > REACH_KM:
        raise NobodyToSend(
            f"no available ambulance within {REACH_KM:g} km of {request['dispatch_id']}: "
            f"{len(request['available_ambulances'])} listed, {len(near)} available"
            + (f", the nearest at {min(near)[0]:.1f} km" if near else "")
        )
    km, _, ambulance = min(near)
    return ambulance, km


def choose_crew(request: dict[str, Any]) -> tuple[list[str], str | None, bool]:
    """Paramedics and nurse by severity; a missing level is filled by the other."""
    seniors, juniors, nurses = CREW[request["severity_level"]]
    free = _available(request["available_paramedics"])
    senior_ids = [p["id"] for p in free if p.get("level") == "senior"]
    junior_ids = [p["id"] for p in free if p.get("level") != "senior"]
    if not free:
        raise NobodyToSend(f"no available paramedic for {request['dispatch_id']}")
    chosen = senior_ids[:seniors] + junior_ids[:juniors]
    rest = [i for i in senior_ids[seniors:] + junior_ids[juniors:] if i not in chosen]
    chosen += rest[: seniors + juniors - len(chosen)]
    nurse_ids = [n["id"] for n in _available(request.get("available_nurses", []))]
    nurse = nurse_ids[0] if nurses and nurse_ids else None
    complete = len(chosen) == seniors + juniors and (not nurses or nurse is not None)
    return chosen, nurse, complete


def assign(request: dict[str, Any]) -> Assignment:
    """Assign the nearest ambulance and a crew; raises NobodyToSend where that is impossible."""
    ambulance, km = nearest_ambulance(request)
    paramedics, nurse, complete = choose_crew(request)
    return Assignment(
        dispatch_id=request["dispatch_id"],
        ambulance_id=ambulance["id"],
        paramedic_ids=paramedics,
        nurse_id=nurse,
        distance_km=round(km, 2),
        confidence=round(overall_confidence(km, complete), 2),
        reasoning=f"nearest available ambulance at {km:.2f} km; "
        f"{'complete' if complete else 'incomplete'} crew for severity "
        f"{request['severity_level']}",
    )


def assign_or_review(row: dict[str, Any]) -> Answer:
    """Say from the timely figures whether the nearest assignment will be optimal.

    There is no score: the rules' confidence is a convention, not a probability of the outcome.
    """
    severity = int(row["severity_level"])
    seniors, juniors, nurses = CREW[severity]
    people = row["paramedics_available_count"]
    complete = people >= seniors + juniors and row["nurses_available_count"] >= nurses
    km = row["nearest_ambulance_distance_km"]
    confidence = overall_confidence(km, complete)
    optimal = people > 0 and confidence >= ASSIGN_FROM
    return Answer(
        prediction=int(optimal),
        explanation=f"{'ASSIGN' if optimal else 'REVIEW'}: nearest ambulance at {km:.1f} km, "
        f"{'complete' if complete else 'incomplete'} crew for severity {severity}; "
        f"confidence of the rules {confidence:.2f}",
    )
