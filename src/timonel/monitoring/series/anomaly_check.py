"""Whether the newest minutes of a model are unlike the same hours of the days before.

Latency, error rate, fallback rate, confidence and volume, from the sums that the drain keeps a
minute. Three of the last five minutes have to be out, each by more than four spreads
(``timonel.stats.series.seasonal``). Until three days are known, all known minutes are one season.
By ``Watch(anomalies="z_score")`` it is the newest minute alone, three standard deviations from the
mean of the day before it: by chance alone two minutes a day in each series, and blind to an
incident that follows another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from timonel.monitoring.verdicts import Verdict, VerdictState, write_verdicts
from timonel.monitoring.watched import CheckResult, Watched
from timonel.signals import Condition, Kind, Severity
from timonel.stats.series.seasonal import (
    OF_LAST,
    OUT_OF,
    PLAIN_Z,
    Anomaly,
    Baseline,
    Season,
    Side,
    Usual,
    count_floor,
    judge,
    season_of,
    share_floor,
    slot_minutes,
)
from timonel.store.engine import reading
from timonel.store.reads_series import MinuteSums, read_known_minutes, read_minute_sums

ANOMALY = "anomaly"
MINUTE_US = 60_000_000
LOOK_BACK_MIN = 28 * 24 * 60
FEWEST_ANSWERS = 10
"""Fewer in a minute say nothing of shares and means; a usual volume below it, nothing of volume."""
Z_SCORE = "z_score"
CLEAR_BELOW = 0.8
_HOUR_MIN = 60
_DAY_MIN = 24 * _HOUR_MIN


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a model: its value in a minute, and what is made of an anomaly in it.

    Parameters
    ----------
    value : callable
        None where the minute has too few answers.
    floor : callable
        The least spread to believe, of what is usual and of the minute.
    least : int
        The answers that a minute needs for a value.
    confident : bool
        Whether only answers with a confidence count.
    """

    value: Callable[[MinuteSums], float | None]
    floor: Callable[[Usual, MinuteSums], float]
    side: Side
    kind: Kind
    severity: Severity
    least: int = FEWEST_ANSWERS
    confident: bool = False


def _share(n: int, of: int) -> float | None:
    return n / of if of >= FEWEST_ANSWERS else None


SERIES: Mapping[str, Series] = {
    "latency_ms": Series(
        lambda m: m.latency_sum_us / m.n / 1000.0 if m.n >= FEWEST_ANSWERS else None,
        lambda usual, m: usual.centre * max(0.10, m.n**-0.5),
        Side.HIGH,
        Kind.SLOW_RESPONSE,
        Severity.MEDIUM,
    ),
    "error_rate": Series(
        lambda m: _share(m.n_errors, m.n),
        lambda usual, m: share_floor(usual.centre, m.n),
        Side.HIGH,
        Kind.HIGH_FALLBACK_RATE,
        Severity.HIGH,
    ),
    "fallback_rate": Series(
        lambda m: _share(m.n_fallback, m.n),
        lambda usual, m: share_floor(usual.centre, m.n),
        Side.HIGH,
        Kind.HIGH_FALLBACK_RATE,
        Severity.MEDIUM,
    ),
    "confidence": Series(
        lambda m: m.confidence_sum / m.n_confidence if m.n_confidence >= FEWEST_ANSWERS else None,
        lambda _usual, m: max(0.01, 0.25 * m.n_confidence**-0.5),
        Side.LOW,
        Kind.LOW_CONFIDENCE,
        Severity.LOW,
        confident=True,
    ),
    "volume": Series(
        lambda m: float(m.n),
        lambda usual, _: max(count_floor(usual.centre), 0.10 * usual.centre),
        Side.BOTH,
        Kind.NO_DATA,
        Severity.MEDIUM,
        least=0,
    ),
}


class AnomalyWatch:
    """Knows what is usual of every model, learned anew each hour, and judges the newest minutes."""

    def __init__(self) -> None:
        self._learned: dict[str, tuple[tuple[int, bool], dict[str, Baseline]]] = {}
        self._states: dict[tuple[str, str], VerdictState] = {}

    def check(self, watched: Watched, closed_min: int | None) -> CheckResult:
        """Judge up to a complete minute; keep what changed, and tell what is out."""
        if closed_min is None:
            return CheckResult(ANOMALY, watched.model, "unknown", "no_live_drainer")
        usual = self._usual(watched, closed_min)
        if not usual:
            return CheckResult(ANOMALY, watched.model, "unknown", "no_predictions")
        with reading(watched.engine) as connection:
            read = read_minute_sums(
                connection, watched.project, watched.model, closed_min - OF_LAST, closed_min
            )
        minutes = _complete(read, closed_min - OF_LAST, closed_min)
        _tell_slow(watched, closed_min, minutes)
        plain = watched.plan.anomalies == Z_SCORE
        found = {
            name: _judged(series, usual[name], minutes, plain=plain)
            for name, series in SERIES.items()
            if name in usual
        }
        self._keep(watched, closed_min, found)
        states = [state_of(anomaly) for anomaly in found.values()]
        worst = next(
            s for s in (VerdictState.ALERT, VerdictState.OK, VerdictState.NOT_ENOUGH) if s in states
        )
        return CheckResult(ANOMALY, watched.model, str(worst), "", len(found))

    def _usual(self, watched: Watched, closed_min: int) -> dict[str, Baseline]:
        hour, plain = closed_min // _HOUR_MIN, watched.plan.anomalies == Z_SCORE
        known = self._learned.get(watched.model)
        if known is None or known[0] != (hour, plain):
            learn = learn_plain if plain else learn_usual
            with reading(watched.engine) as connection:
                usual = learn(connection, watched.project, watched.model, hour)
            known = self._learned[watched.model] = ((hour, plain), usual)
        return known[1]

    def _keep(self, watched: Watched, closed_min: int, found: Mapping[str, Anomaly]) -> None:
        verdicts = []
        for name, anomaly in found.items():
            state = state_of(anomaly)
            if state is VerdictState.ALERT or self._states.get((watched.model, name)) != state:
                verdicts.append(_verdict(watched, closed_min, name, anomaly))
            self._states[watched.model, name] = state
        if verdicts:
            with watched.engine.begin() as connection:
                write_verdicts(connection, watched.project, verdicts)
        for name, anomaly in found.items():
            _tell(watched, closed_min, name, anomaly)


def learn_usual(connection: Connection, project: str, model: str, hour: int) -> dict[str, Baseline]:
    """Learn what is usual of each series in an hour and the one before it, from four weeks.

    Only the minutes of their slots are read: what is learned of them is what all minutes would
    give, and a late row counts as soon as it is there.

    Parameters
    ----------
    hour : int
        Epoch hour that the newest minutes lie in.

    Returns
    -------
    dict
        By series; one of which nothing is known is absent.
    """
    until = hour * _HOUR_MIN - OF_LAST
    since = until - LOOK_BACK_MIN

    def known(least: int, *, confident: bool) -> tuple[int, int] | None:
        return read_known_minutes(
            connection, project, model, since, until, least=least, confident=confident
        )

    answered = known(1, confident=False)
    if answered is None:
        return {}
    ends = {
        (0, False): (answered[0], until - 1),  # minutes without answers are known, too
        (FEWEST_ANSWERS, False): known(FEWEST_ANSWERS, confident=False),
        (FEWEST_ANSWERS, True): known(FEWEST_ANSWERS, confident=True),
    }
    minutes: dict[Season, list[MinuteSums]] = {}
    learned = {}
    for name, series in SERIES.items():
        found = ends[series.least, series.confident]
        if found is None:
            continue
        season = season_of(*found)
        if season not in minutes:
            minutes[season] = [
                minute
                for start, end in slot_minutes(season, hour * _HOUR_MIN, answered[0], until)
                for minute in _complete(
                    read_minute_sums(connection, project, model, start, end), start, end
                )
            ]
        values = {m.minute: v for m in minutes[season] if (v := series.value(m)) is not None}
        learned[name] = Baseline.of(values, season)
    return learned


def learn_plain(connection: Connection, project: str, model: str, hour: int) -> dict[str, Baseline]:
    """Learn mean and standard deviation of each series from the day before an hour."""
    until = hour * _HOUR_MIN - OF_LAST
    read = read_minute_sums(connection, project, model, until - _DAY_MIN, until)
    if not read:
        return {}
    minutes = _complete(read, min(one.minute for one in read), until)
    found = {
        name: {m.minute: v for m in minutes if (v := series.value(m)) is not None}
        for name, series in SERIES.items()
    }
    return {name: Baseline.plain(values) for name, values in found.items() if values}


def _complete(read: list[MinuteSums], start: int, end: int) -> list[MinuteSums]:
    """Give every minute of ``[start, end)``: those without answers are minutes too."""
    known = {one.minute: one for one in read}
    return [known.get(m) or MinuteSums(m, 0, 0, 0, 0, 0, 0.0) for m in range(start, end)]


def _judged(
    series: Series, baseline: Baseline, minutes: list[MinuteSums], *, plain: bool
) -> Anomaly:
    newest = []
    for one in minutes[-1:] if plain else minutes:
        value, usual = series.value(one), baseline.at(one.minute)
        if value is None or usual is None:
            continue
        if series.kind is Kind.NO_DATA and usual.centre < FEWEST_ANSWERS:
            continue
        newest.append((one.minute, value, 0.0 if plain else series.floor(usual, one)))
    if plain:
        return judge(baseline, newest, series.side, z=PLAIN_Z, needed=1)
    return judge(baseline, newest, series.side)


def state_of(anomaly: Anomaly) -> VerdictState:
    """Say in the words of verdicts what was found; too few values are a state of their own."""
    if anomaly.n_judged == 0:
        return VerdictState.NOT_ENOUGH
    return VerdictState.ALERT if anomaly.found else VerdictState.OK


def facts_of(name: str, anomaly: Anomaly, *, of: str = "answers") -> dict[str, Any]:
    """Give what a verdict on a series keeps: the figures, or why there are none; ``of`` what."""
    if anomaly.usual is None:
        return {"reason": f"too few {of} in the newest minutes, or too few past ones"}
    return {
        "series": name,
        "observed": anomaly.value,
        "usual": anomaly.usual.centre,
        "spread": anomaly.usual.spread,
        "z": anomaly.z,
        "season": str(anomaly.usual.season),
        "minutes_out": anomaly.n_out,
    }


def _verdict(watched: Watched, closed_min: int, name: str, anomaly: Anomaly) -> Verdict:
    version = watched.champion.version if watched.champion is not None else ""
    return Verdict(
        model=watched.model,
        version=version,
        monitor=ANOMALY,
        subject=name,
        start_us=(closed_min - OF_LAST) * MINUTE_US,
        end_us=closed_min * MINUTE_US,
        state=state_of(anomaly),
        n=anomaly.n_judged,
        statistic=anomaly.z,
        effect=None
        if anomaly.usual is None or anomaly.value is None
        else (anomaly.value - anomaly.usual.centre),
        facts=facts_of(name, anomaly),
        judged_at=watched.now_us,
    )


def _tell(watched: Watched, closed_min: int, name: str, anomaly: Anomaly) -> None:
    series = SERIES[name]
    condition = {
        VerdictState.ALERT: Condition.HOLDS,
        VerdictState.OK: Condition.CLEAR,
    }.get(state_of(anomaly), Condition.UNKNOWN)
    watched.tell(
        series.kind,
        condition,
        series.severity,
        at=closed_min * MINUTE_US,
        monitor=ANOMALY,
        column=name,
        facts={**facts_of(name, anomaly), "verdict": "alert"},
    )


def _tell_slow(watched: Watched, closed_min: int, minutes: list[MinuteSums]) -> None:
    """Tell of answers that take longer than may ever be, whatever is usual: 3 of 5 minutes."""
    limit = watched.plan.latency_ms
    answered = [one for one in minutes if one.n]
    means = [one.latency_sum_us / one.n / 1000.0 for one in answered]
    if sum(mean > limit for mean in means) >= OUT_OF:
        condition = Condition.HOLDS
    elif means and max(means) <= CLEAR_BELOW * limit:
        condition = Condition.CLEAR
    else:
        condition = Condition.UNKNOWN
    n = sum(one.n for one in answered)
    total_us = sum(one.latency_sum_us for one in answered)
    watched.tell(
        Kind.SLOW_RESPONSE,
        condition,
        Severity.HIGH,
        at=closed_min * MINUTE_US,
        monitor="latency",
        facts={
            "metric": {"en": "The mean latency", "es": "La latencia media"},
            "value": round(total_us / n / 1000.0, 1) if n else None,
            "n": n,
            "threshold": limit,
            "verdict": "alert",
        },
    )
