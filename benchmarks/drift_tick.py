"""What a monitoring tick costs over a month of hourly windows of 50 columns, calibrated.

Run: ``python benchmarks/drift_tick.py`` (a minute or two: the month is judged first). Each tick is
timed alone: one new window is due, all else is judged already.
"""

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import Engine, insert, update

from timonel.events.column_windows import counts_text
from timonel.monitoring.drift_check import check_drift
from timonel.monitoring.watched import Watched
from timonel.registry.manifest import WatchPlan
from timonel.stats.drift import Profile
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.tables import drainers, metadata
from timonel.store.tables_loop import column_windows

N_COLUMNS, N_ROWS, DAYS, TICKS = 50, 1_000, 31, 9
MONDAY = 489_984
HOUR_US = 3_600_000_000


class Champion(msgspec.Struct):
    """What the check asks of a version."""

    version: str = "1.0.0"


def drawn(rng: np.random.Generator, n: int) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for at in range(N_COLUMNS):
        numbers = rng.normal(size=n)
        columns[f"x{at}"] = numbers if at % 2 else [f"w{int(abs(k) * 4)}" for k in numbers]
    return columns


def fill(engine: Engine, profile: Profile, rng: np.random.Generator, hours: range) -> None:
    """Write hours of counted traffic, as drains do."""
    with engine.begin() as connection:
        for hour in hours:
            counts = profile.empty_like().update(drawn(rng, N_ROWS)).counts()
            row = ("p", "m", "f" * 64, "1.0.0", "", hour, "d", N_ROWS, counts_text(counts), 0)
            names = [column.name for column in column_windows.c]
            connection.execute(insert(column_windows), dict(zip(names, row, strict=True)))
        until = hours.stop * HOUR_US
        connection.execute(update(drainers).values(watermark=until))


def main() -> None:
    rng = np.random.default_rng(1)
    profile = Profile.fit(drawn(rng, 10_000))
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(f"sqlite:///{Path(folder) / 'timonel.db'}")
        metadata.create_all(engine)
        ensure_project(engine, "p", "America/Santiago")
        alive = {"project": "p", "drainer_id": "d", "watermark": 0, "seen_at": 2**62}
        with engine.begin() as connection:
            connection.execute(insert(drainers), alive)
        watched = Watched(
            engine=engine,
            project="p",
            model="m",
            task="binary",
            plan=WatchPlan(window_h=1),
            champion=Champion(),  # type: ignore[arg-type]
            profile_of=lambda _: ("f" * 64, profile),
            raise_signal=lambda _: None,
            now_us=0,
            timezone="America/Santiago",
            versions=("1.0.0",),
        )
        end = MONDAY + DAYS * 24
        fill(engine, profile, rng, range(MONDAY, end))
        while check_drift(watched).n_judged:
            pass
        seconds, busy = [], []
        for hour in range(end, end + TICKS):
            fill(engine, profile, rng, range(hour, hour + 1))
            start, began = perf_counter(), process_time()
            result = check_drift(watched)
            seconds.append(perf_counter() - start)
            busy.append(process_time() - began)
            assert result.n_judged == 1, result
        engine.dispose()
    print(
        f"a tick after {DAYS} days of hours, {N_COLUMNS} columns: median "
        f"{1e3 * median(seconds):.0f} ms ({1e3 * median(busy):.0f} ms of processor), least "
        f"{1e3 * min(seconds):.0f} ms ({1e3 * min(busy):.0f} ms), of {TICKS}"
    )


if __name__ == "__main__":
    main()
