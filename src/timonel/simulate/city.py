"""A city that calls for ambulances: calls, a fleet, crews, traffic, and the truth that comes later.

Pure: randomness comes in as a generator, time as the event time at which the city begins; from
there it moves from call to call. Whether an assignment was optimal follows from simulated travel
(distance, hour, hidden congestion, noise) and from the crew that was left to send, so the thirteen
timely inputs tell much of it and never all.
"""

import math
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from timonel.simulate.crews import Crew, Roster, adequacy
from timonel.simulate.rhythm import PEAK_CALL_FACTOR, call_factor, is_day_shift, traffic_factor

FloatArray = NDArray[np.float64]

EARTH_KM = 6371.0
REACH_KM = 15.0
ON_TIME_S = 540.0
KM_PER_MILE = 1.609344
TYPICAL_KM = 2.5

INPUTS = (
    "severity_level",
    "hour_of_day",
    "day_of_week",
    "is_weekend",
    "available_ambulances_count",
    "nearest_ambulance_distance_km",
    "paramedics_available_count",
    "paramedics_senior_count",
    "paramedics_junior_count",
    "nurses_available_count",
    "active_dispatches_count",
    "ambulances_busy_percentage",
    "average_response_time_minutes",
)
"""What is known when the call comes, in the order of the model's schema."""

_EMERGENCIES = ("trauma", "cardiac", "respiratory", "stroke", "burn", "fracture", "other")
_SEVERITY_SHARES = (0.14, 0.24, 0.28, 0.21, 0.13)
# Districts: zone, latitude, longitude, spread in degrees, share of the calls.
_DISTRICTS = (
    ("centro", -33.445, -70.660, 0.020, 0.30),
    ("oriente", -33.415, -70.580, 0.026, 0.22),
    ("poniente", -33.450, -70.740, 0.028, 0.18),
    ("norte", -33.375, -70.670, 0.026, 0.14),
    ("sur", -33.525, -70.640, 0.030, 0.16),
)
_BOUNDS = (-33.555, -33.345, -70.775, -70.550)  # south, north, west, east
_R2 = (0.7548776662466927, 0.5698402909980532)
_HOSPITALS = ((-33.440, -70.645), (-33.418, -70.570), (-33.515, -70.655), (-33.385, -70.690))


@dataclass(frozen=True, slots=True)
class CitySettings:
    """What the city is like when nothing drifts."""

    calls_per_hour: float = 24.0  # at a call factor of 1
    n_ambulances: int = 46
    free_speed_km_h: float = 58.0
    detour: float = 1.35  # road kilometres per straight kilometre
    travel_noise: float = 0.10  # standard deviation of the log of a trip's time
    congestion: float = 0.12  # standard deviation of the log of the hidden congestion
    timezone: str = "America/Santiago"


@dataclass(frozen=True, slots=True)
class Drift:
    """How the city, or what it reports, has changed; the default is: not at all.

    Parameters
    ----------
    road_works : float
        Each straight kilometre beyond the first adds this share to a trip's time (0.25 hurts).
    fleet_share : float
        The part of the fleet that is still there, in (0, 1].
    miles : bool
        The nearest distance is reported in miles under its old name.
    """

    road_works: float = 0.0
    fleet_share: float = 1.0
    miles: bool = False


NO_DRIFT = Drift()


@dataclass(frozen=True, slots=True)
class Call:
    """One call, with what the dispatch centre knows when it comes."""

    dispatch_id: str
    at_us: int
    latitude: float
    longitude: float
    zone_code: str
    emergency_type: str
    severity_level: int
    inputs: dict[str, float]
    distances_km: FloatArray
    """Straight distance of each ambulance, shape (n_ambulances,), in km whatever is reported."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Who is sent: the nearest available ambulance within reach, and a crew by severity."""

    ambulance: int
    distance_km: float
    crew: Crew


@dataclass(frozen=True, slots=True)
class Truth:
    """What came of it, and when the centre learns of it."""

    was_optimal: int
    response_s: float
    crew_adequate: bool
    known_at_us: int


class City:
    """A running city; ``next_call``, ``decide`` and ``carry_out`` in turn move it forward.

    Parameters
    ----------
    rng : numpy.random.Generator
        All of the city's chance: the same generator and start give the same city.
    start_us : int
        Event time of the first call at the earliest, microseconds UTC. Six hours before it are
        lived through first, so that the city does not begin with every ambulance idle.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        start_us: int,
        *,
        settings: CitySettings | None = None,
        drift: Drift = NO_DRIFT,
        prefix: str = "d",
    ) -> None:
        self.settings = settings or CitySettings()
        self.drift = drift
        self._rng = rng
        self.prefix = prefix
        self._zone = ZoneInfo(self.settings.timezone)
        self._now_s = start_us / 1e6 - 6 * 3600.0
        self._n_calls = 0
        self._congestion = 0.0
        self._recent: deque[float] = deque(maxlen=150)
        self._arrivals: list[tuple[float, float]] = []
        self._place_fleet()
        self._roster = Roster(rng)
        while self._now_s * 1e6 < start_us:
            call = self.next_call()
            self.carry_out(call, self.decide(call))
        self._n_calls = 0

    def _place_fleet(self) -> None:
        """Put the stations where they always are: the plan of the city is not left to chance."""
        numbers = np.arange(1, self.settings.n_ambulances + 1)
        across = (numbers * _R2[0] + 0.5) % 1.0  # evenly spread, no clusters (Roberts' R2 sequence)
        along = (numbers * _R2[1] + 0.5) % 1.0
        south, north, west, east = _BOUNDS
        self._homes = np.column_stack(
            (south + (north - south) * across, west + (east - west) * along)
        )
        self._places = self._homes.copy()
        self._free_at = np.zeros(self.settings.n_ambulances)

    def next_call(self) -> Call:
        """Move on to the next call that an ambulance within reach can be sent to.

        Calls that nobody can answer are handed on to the neighbouring service: there is no
        assignment to judge, and no distance to report without inventing it.
        """
        while True:
            local = self._advance()
            call = self._call(local)
            if call is not None:
                return call

    def _advance(self) -> datetime:
        """Go to the next arrival of a Poisson stream with a rhythm, by thinning."""
        top = self.settings.calls_per_hour * PEAK_CALL_FACTOR / 3600.0
        while True:
            gap = self._rng.exponential(1.0 / top)
            self._now_s += gap
            # Hidden congestion: mean-reverting over about five hours, seen only in its effects.
            keep = math.exp(-gap / 18_000.0)
            spread = self.settings.congestion * math.sqrt(1.0 - keep * keep)
            self._congestion = keep * self._congestion + spread * self._rng.standard_normal()
            local = datetime.fromtimestamp(self._now_s, self._zone)
            hour = local.hour + local.minute / 60.0
            if self._rng.random() * PEAK_CALL_FACTOR < call_factor(hour, local.weekday()):
                return local

    def _call(self, local: datetime) -> Call | None:
        zone, latitude, longitude = self._where()
        severity = 1 + int(self._rng.choice(5, p=_SEVERITY_SHARES))
        emergency = _EMERGENCIES[int(self._rng.integers(len(_EMERGENCIES)))]
        self._roster.begin_shift(local)
        on_duty = self._on_duty(local)
        available = on_duty & (self._free_at <= self._now_s)
        distances = haversine_km(latitude, longitude, self._places[:, 0], self._places[:, 1])
        distances[~available] = np.inf
        nearest = float(distances.min())
        seniors, juniors, nurses = self._roster.available(self._now_s)
        if nearest > REACH_KM or seniors + juniors == 0:
            return None
        while self._arrivals and self._arrivals[0][0] <= self._now_s:
            self._recent.append(heappop(self._arrivals)[1])
        n_on_duty = int(on_duty.sum())
        n_active = int((self._free_at > self._now_s).sum())
        n_available = int(available.sum())
        reported = nearest / KM_PER_MILE if self.drift.miles else nearest
        weekday = local.weekday()
        self._n_calls += 1
        values = (
            severity,
            local.hour,
            weekday,
            int(weekday >= 5),
            n_available,
            round(reported, 3),
            seniors + juniors,
            seniors,
            juniors,
            nurses,
            n_active,
            round(1.0 - n_available / n_on_duty, 4),
            round(self._average_minutes(), 3),
        )
        return Call(
            dispatch_id=f"{self.prefix}-{self._n_calls:07d}",
            at_us=round(self._now_s * 1e6),
            latitude=round(latitude, 6),
            longitude=round(longitude, 6),
            zone_code=zone,
            emergency_type=emergency,
            severity_level=severity,
            inputs=dict(zip(INPUTS, values, strict=True)),
            distances_km=distances,
        )

    def _where(self) -> tuple[str, float, float]:
        row = _DISTRICTS[int(self._rng.choice(len(_DISTRICTS), p=[d[4] for d in _DISTRICTS]))]
        across, along = self._rng.normal(0.0, row[3], size=2)
        south, north, west, east = _BOUNDS
        return (
            row[0],
            float(min(max(row[1] + across, south), north)),
            float(min(max(row[2] + along, west), east)),
        )

    def _on_duty(self, local: datetime) -> NDArray[np.bool_]:
        n = self.settings.n_ambulances
        share = self.drift.fleet_share * (1.0 if is_day_shift(local.hour) else 0.8)
        return np.arange(n) < max(1, round(n * share))

    def _average_minutes(self) -> float:
        if not self._recent:  # only in the first minutes of the hours that nobody sees
            return 7.0
        return sum(self._recent) / len(self._recent) / 60.0

    def decide(self, call: Call) -> Decision:
        """Send the nearest available ambulance and the crew that the severity asks for."""
        ambulance = int(call.distances_km.argmin())
        crew = self._roster.choose(call.severity_level, self._now_s)
        return Decision(ambulance, float(call.distances_km[ambulance]), crew)

    def carry_out(self, call: Call, decision: Decision) -> Truth:
        """Let the ambulance drive, treat and report; the ambulance and its crew are busy by then.

        Returns
        -------
        Truth
            ``was_optimal`` is 1 if it arrived within 540 s with an adequate crew.
        """
        rng, now = self._rng, self._now_s
        response = self._response_s(call, decision)
        adequate = bool(rng.random() < adequacy(call.severity_level, decision.crew))
        on_scene = rng.gamma(6.0, (14.0 + 3.0 * call.severity_level) * 60.0 / 6.0)
        busy_until = now + response + on_scene
        self._free_at[decision.ambulance] = busy_until
        self._roster.occupy(decision.crew, busy_until)
        hospital = _HOSPITALS[int(rng.integers(len(_HOSPITALS)))]
        goes_home = rng.random() < 0.7
        self._places[decision.ambulance] = (
            self._homes[decision.ambulance] if goes_home else hospital
        )
        heappush(self._arrivals, (now + response, response))
        paperwork = rng.lognormal(math.log(25 * 60.0), 0.8)
        return Truth(
            was_optimal=int(response <= ON_TIME_S and adequate),
            response_s=response,
            crew_adequate=adequate,
            known_at_us=round((busy_until + min(paperwork, 6 * 3600.0)) * 1e6),
        )

    def _response_s(self, call: Call, decision: Decision) -> float:
        local = datetime.fromtimestamp(self._now_s, self._zone)
        hour = local.hour + local.minute / 60.0
        settings, distance = self.settings, decision.distance_km
        handling = 35.0 + 1.6 * call.inputs["active_dispatches_count"]
        turnout = 55.0 if is_day_shift(hour) else 85.0
        priority = 0.58 + 0.14 * call.severity_level  # lights and siren
        # Short trips crawl through side streets, long ones reach the avenues.
        road_km = settings.detour * distance**0.75 * TYPICAL_KM**0.25
        free_s = road_km / (settings.free_speed_km_h * priority) * 3600.0
        works = 1.0 + self.drift.road_works * max(0.0, distance - 1.0)
        chance = self._congestion + settings.travel_noise * self._rng.standard_normal()
        travel: float = free_s * traffic_factor(hour, local.weekday()) * works * math.exp(chance)
        return handling + turnout + travel

    def request(self, call: Call) -> dict[str, Any]:
        """Write the call out as the full request that a dispatch centre sends to its rules."""
        statuses = np.where(np.isfinite(call.distances_km), "available", "busy")
        return {
            "dispatch_id": call.dispatch_id,
            "patient_latitude": call.latitude,
            "patient_longitude": call.longitude,
            "emergency_type": call.emergency_type,
            "severity_level": call.severity_level,
            "zone_code": call.zone_code,
            "available_ambulances": [
                {
                    "id": f"A{i + 1:02d}",
                    "latitude": float(place[0]),
                    "longitude": float(place[1]),
                    "status": str(status),
                    "crew_level": "advanced" if i % 3 == 0 else "basic",
                    "unit_type": "ALS" if i % 3 == 0 else "BLS",
                }
                for i, (place, status) in enumerate(zip(self._places, statuses, strict=True))
            ],
            **self._roster.lists(self._now_s),
        }


def haversine_km(
    latitude: float, longitude: float, latitudes: FloatArray, longitudes: FloatArray
) -> FloatArray:
    """Measure great-circle distances from one point to many.

    Parameters
    ----------
    latitude, longitude : float
        Degrees.
    latitudes, longitudes : ndarray, shape (n,)
        Degrees.

    Returns
    -------
    ndarray, shape (n,)
        Kilometres on a sphere of radius 6371 km.
    """
    phi = math.radians(latitude)
    phis = np.radians(latitudes)
    half = (
        np.sin((phis - phi) / 2.0) ** 2
        + math.cos(phi) * np.cos(phis) * np.sin(np.radians(longitudes - longitude) / 2.0) ** 2
    )
    return np.asarray(2.0 * EARTH_KM * np.arcsin(np.sqrt(half)))
