"""What a profile costs: bytes a column, microseconds a row in the drain, seconds a report.

Run: ``python benchmarks/drift_cost.py``.
"""

import json
import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from timonel.stats.drift import Profile, RowCounter, compare


def report(n_rows: int, n_columns: int) -> str:
    rng = np.random.default_rng(1)
    table = {f"x{i}": rng.normal(size=n_rows) for i in range(n_columns)}
    reference = Profile.fit({name: values[:20_000] for name, values in table.items()})
    seconds = []
    for _ in range(5):
        start = perf_counter()
        compare(reference, table)
        seconds.append(perf_counter() - start)
    tracemalloc.start()
    compare(reference, table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = f"{n_rows:,} x {n_columns}"
    return f"report of {size:16} {min(seconds):8.3f} s {peak / 1e6:8.1f} MB"


def drain(n_columns: int, batch: int) -> str:
    rng = np.random.default_rng(2)
    n = 20_000
    kinds: list[Callable[[], Any]] = [
        lambda: rng.normal(size=n),
        lambda: rng.choice(list("abcdefgh"), n),
        lambda: rng.random(n) < 0.3,
    ]
    columns = {f"x{i}": kinds[i % len(kinds)]().tolist() for i in range(n_columns)}
    table = {name: [None, *values[1:]] for name, values in columns.items()}
    counter = RowCounter(Profile.fit(table))
    rows = list(zip(*table.values(), strict=True))
    start = perf_counter()
    for at, row in enumerate(rows):
        counter.add(row)
        if at % batch == 0:
            counter.take()
    each = (perf_counter() - start) / len(rows) * 1e6
    return f"drain, {n_columns} columns, taken every {batch:5} rows {each:8.2f} us a row"


def size() -> str:
    rng = np.random.default_rng(3)
    shapes: dict[str, Any] = {
        "normal": rng.normal(size=100_000),
        "rounded": rng.choice(rng.normal(size=90), size=100_000),
        "words": [f"word {k}" for k in rng.integers(2_000, size=100_000)],
    }
    columns = Profile.fit(shapes).to_json()["columns"]
    sizes = {c["name"]: len(json.dumps(c, separators=(",", ":"))) for c in columns}
    return "bytes a column: " + ", ".join(f"{name} {n:,}" for name, n in sizes.items())


def main() -> None:
    print(size())
    for n_columns, batch in ((13, 1_000), (13, 100), (50, 1_000)):
        print(drain(n_columns, batch))
    print(report(100_000, 50))
    print(report(1_000_000, 20))


if __name__ == "__main__":
    main()
