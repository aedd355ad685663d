"""What a profile costs: bytes a column, microseconds a row in the drain, seconds a report.

Run: ``python benchmarks/drift_cost.py``. Seconds of processor time, by the clock in brackets.
"""

import json
import tracemalloc
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numpy as np

from timonel.stats.drift import Profile, RowCounter, compare


def mixed(n_rows: int, n_columns: int, rng: np.random.Generator) -> dict[str, Any]:
    kinds: list[Callable[[], Any]] = [
        lambda: rng.normal(size=n_rows),
        lambda: rng.choice(list("abcdefgh"), n_rows),
        lambda: rng.random(n_rows) < 0.3,
    ]
    return {f"x{i}": kinds[i % len(kinds)]() for i in range(n_columns)}


def report(name: str, table: dict[str, Any]) -> str:
    reference = Profile.fit({name: values[:20_000] for name, values in table.items()})
    spent = []
    for _ in range(5):
        start, began = process_time(), perf_counter()
        compare(reference, table)
        spent.append((process_time() - start, perf_counter() - began))
    tracemalloc.start()
    compare(reference, table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    busy, clock = min(spent)
    return f"report of {name:28} {busy:6.3f} s ({clock:6.3f}) {peak / 1e6:6.1f} MB"


def drain(n_columns: int, batch: int) -> str:
    rng = np.random.default_rng(2)
    columns = mixed(20_000, n_columns, rng)
    table = {name: [None, *values.tolist()[1:]] for name, values in columns.items()}
    counter = RowCounter(Profile.fit(table))
    rows = list(zip(*table.values(), strict=True))
    start = process_time()
    for at, row in enumerate(rows):
        counter.add(row)
        if at % batch == 0:
            counter.take()
    each = (process_time() - start) / len(rows) * 1e6
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
    rng = np.random.default_rng(1)
    numbers = {f"x{i}": rng.normal(size=100_000) for i in range(50)}
    print(report("100,000 x 50 numbers", numbers))
    table = mixed(100_000, 50, rng)
    print(report("100,000 x 50 mixed, arrays", table))
    lists = {name: values.tolist() for name, values in table.items()}
    print(report("100,000 x 50 mixed, lists", lists))
    print(
        report("1,000,000 x 20 numbers", {f"x{i}": rng.normal(size=1_000_000) for i in range(20)})
    )


if __name__ == "__main__":
    main()
