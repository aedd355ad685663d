"""What a monitoring tick costs over a month of hourly windows of 50 columns, calibrated.

Run: ``python benchmarks/drift_tick.py`` (a minute or two: the month is judged first; ``--profile
NAME`` shows where one check spends its time). Each tick is timed alone, in processor time too: that
of a minute, in which the worker asks two checks, and that of a new hour, which is due for all; all
else is judged already. A month of minutes with answers of three reasons and a month of labels are
there as well.
"""

import argparse
import cProfile
import pstats
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import Engine, insert, update

from timonel.events.column_windows import counts_text
from timonel.monitoring.concept_check import check_concept
from timonel.monitoring.drift_check import check_drift
from timonel.monitoring.estimate_check import check_estimate
from timonel.monitoring.performance_check import check_performance
from timonel.monitoring.quality_check import QualityWatch
from timonel.monitoring.series.anomaly_check import AnomalyWatch
from timonel.monitoring.series.metric_check import check_metrics
from timonel.monitoring.watched import CheckResult, Watched
from timonel.registry.manifest import WatchPlan
from timonel.stats.calibration.reference import Estimator, labelled_reference
from timonel.stats.drift import Profile
from timonel.stats.profiles.reference import PREDICTION, SCORE
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.migrate import upgrade
from timonel.store.tables import drainers, minute_windows, performance_cells
from timonel.store.tables_loop import column_windows
from timonel.wire.answer import Answer

N_COLUMNS, N_ROWS, DAYS, TICKS = 50, 1_000, 31, 9
MONDAY = 489_984
HOUR_US = 3_600_000_000
UNIT = 1_000_000
EACH_MINUTE = ("quality", "anomaly")  # the worker asks the others when an hour begins
CHECKS = ("drift", "performance", "metrics", "estimate", "concept", *EACH_MINUTE)

Check = Callable[[int], CheckResult]
Cost = dict[str, list[tuple[float, float]]]


class Champion(msgspec.Struct):
    """What the checks ask of a version."""

    metrics: dict[str, Any]
    version: str = "1.0.0"
    deployed_at: int = MONDAY * HOUR_US
    created_at: int = MONDAY * HOUR_US
    lineage: dict[str, Any] = {}


def drawn(rng: np.random.Generator, n: int) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for at in range(N_COLUMNS):
        numbers = rng.normal(size=n)
        columns[f"x{at}"] = numbers if at % 2 else [f"w{int(abs(k) * 4)}" for k in numbers]
    scores = rng.beta(2, 2, n)
    return {**columns, SCORE: scores, PREDICTION: np.where(scores > 0.5, "yes", "no")}


def fill(engine: Engine, profile: Profile, rng: np.random.Generator, hours: range) -> None:
    """Write hours of counted traffic, minutes and labels, as drains do."""
    with engine.begin() as connection:
        for hour in hours:
            counts = profile.empty_like().update(drawn(rng, N_ROWS)).counts()
            row = ("p", "m", "f" * 64, "1.0.0", "", hour, "d", N_ROWS, counts_text(counts), 0)
            put(connection, column_windows, [row])
            put(connection, minute_windows, minutes(rng, hour))
            right = int(rng.binomial(N_ROWS, 0.75)) * UNIT
            cell = ("p", "m", "1.0.0", "", "model", "correct", hour, hour, "d")
            sums = (N_ROWS, str(right), str(right * UNIT))
            put(connection, performance_cells, [(*cell, *sums)])
        until = hours.stop * HOUR_US
        connection.execute(update(drainers).values(watermark=until))


def minutes(rng: np.random.Generator, hour: int) -> list[tuple[Any, ...]]:
    rows = []
    for minute in range(hour * 60, hour * 60 + 60):
        for reason, n in zip(
            ("assigned", "low_confidence", "timeout"), rng.poisson((15, 1.5, 0.2)), strict=True
        ):
            if not n:
                continue
            source = "rules" if reason == "timeout" else "model"
            latency, sure = int(rng.gamma(4.0 * n, 5_000.0)), int(0.8 * n * UNIT)
            key = ("p", "m", "1.0.0", "", source, reason, minute, "d")
            rows.append((*key, int(n), latency, "[]", int(n), str(sure), str(sure * UNIT)))
    return rows


def put(connection: Any, table: Any, rows: list[tuple[Any, ...]]) -> None:
    names = [column.name for column in table.c]
    connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])


def estimator(profile: Profile, rng: np.random.Generator) -> Estimator:
    scores = rng.beta(2, 2, 5_000)
    answers = [Answer("yes" if s > 0.5 else "no", float(s), None) for s in scores]
    truths = np.where(rng.random(5_000) < scores, "yes", "no").tolist()
    document = labelled_reference(profile, answers, truths, classes=["no", "yes"], positive="yes")
    assert document is not None
    return Estimator.of(document)


def watch(engine: Engine, profile: Profile, estimates: Estimator) -> Watched:
    main = {"name": "accuracy", "value": 0.75, "lower": 0.74, "upper": 0.76, "n": 5_000}
    return Watched(
        engine=engine,
        project="p",
        model="m",
        task="binary",
        plan=WatchPlan(window_h=1),
        champion=Champion({"main": main}),  # type: ignore[arg-type]
        profile_of=lambda _: ("f" * 64, profile),
        estimator_of=lambda _: estimates,
        raise_signal=lambda _: None,
        now_us=0,
        low_confidence=0.6,
        timezone="America/Santiago",
        versions=("1.0.0",),
    )


def checks(watched: Watched, quality: QualityWatch, anomalies: AnomalyWatch) -> dict[str, Check]:
    """Give every check of a run, by name, asked with the minute that has begun."""
    return {
        "drift": lambda _: check_drift(watched),
        "performance": lambda _: check_performance(watched),
        "metrics": lambda _: check_metrics(watched),  # this model has chosen none
        "estimate": lambda _: check_estimate(watched),
        "concept": lambda _: check_concept(watched),
        "quality": lambda minute: quality.check(watched, minute),
        "anomaly": lambda minute: anomalies.check(watched, minute),
    }


def show(cost: Cost) -> None:
    totals = [[sum(c[at][k] for c in cost.values()) for at in range(TICKS)] for k in (0, 1)]
    for name, spent in {**cost, "all": list(zip(*totals, strict=True))}.items():
        busy, clock = ([1e3 * one[k] for one in spent] for k in (0, 1))
        print(
            f"  {name:12} {median(busy):7.1f} ({median(clock):7.1f}) {min(busy):7.1f} "
            f"({min(clock):7.1f})"
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--profile", help="Show where a check spends its time.")
    options.add_argument("--days", type=int, default=DAYS)
    chosen = options.parse_args()
    rng = np.random.default_rng(1)
    profile = Profile.fit(drawn(rng, 10_000))
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(f"sqlite:///{Path(folder) / 'timonel.db'}")
        upgrade(engine)  # the tables as projects have them: SQLite's choice of an index is by age
        ensure_project(engine, "p", "America/Santiago")
        alive = {"project": "p", "drainer_id": "d", "watermark": 0, "seen_at": 2**62}
        with engine.begin() as connection:
            connection.execute(insert(drainers), alive)
        estimates, memory = estimator(profile, rng), (QualityWatch(), AnomalyWatch())
        end = MONDAY + chosen.days * 24
        fill(engine, profile, rng, range(MONDAY, end))
        for name in ("drift", "performance", "estimate", "concept"):
            while checks(watch(engine, profile, estimates), *memory)[name](end * 60).n_judged:
                pass
        profiler = cProfile.Profile()
        hourly: Cost = {name: [] for name in CHECKS}
        minutely: Cost = {name: [] for name in EACH_MINUTE}
        for hour in range(end, end + TICKS):
            fill(engine, profile, rng, range(hour, hour + 1))
            for minute, cost in ((hour * 60 + 60, hourly), (hour * 60 + 61, minutely)):
                each = checks(watch(engine, profile, estimates), *memory)  # as each run does
                for name in cost:
                    start, began = perf_counter(), process_time()
                    if name == chosen.profile:
                        result = profiler.runcall(each[name], minute)
                    else:
                        result = each[name](minute)
                    cost[name].append((process_time() - began, perf_counter() - start))
                    assert result.n_judged >= 1 or name == "metrics", result
        engine.dispose()
    print(f"ticks after {chosen.days} days, {N_COLUMNS} columns: milliseconds of processor (of")
    print(f"clock), median and least of {TICKS}")
    for which, cost in (("a minute's", minutely), ("an hour's", hourly)):
        print(which)
        show(cost)
    if chosen.profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
