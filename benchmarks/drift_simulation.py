"""How often does the drift rule cry wolf, and what does it miss? The naive rules beside it.

Run: ``python benchmarks/drift_simulation.py [--windows 400] [--seed 1]`` (some five minutes).
Prints the share of windows warned, and alerted (two of the last three in the same column), with
nothing wrong, by number of columns, reference and window size; then when three of twenty columns
drift. A window is judged by each rule alone, but for the alerts.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from timonel.stats.drift import DriftReport, Profile, compare

Draw = Callable[[np.random.Generator, int], Any]
Table = dict[str, Any]


def words(numbers: Any) -> Any:
    return np.char.add("w", numbers.astype(str))


def with_missing(values: Any, rate: float, rng: np.random.Generator) -> Any:
    return np.where(rng.random(len(values)) < rate, np.nan, values)


SHAPES: dict[str, Draw] = {
    "normal": lambda r, n: r.normal(size=n),
    "student_2": lambda r, n: r.standard_t(2, size=n),
    "lognormal": lambda r, n: np.exp(1.5 * r.normal(size=n)),
    "few_integers": lambda r, n: r.poisson(3, n),
    "integers": lambda r, n: r.poisson(60, n),
    "flag": lambda r, n: r.random(n) < 0.1,
    "mostly_zero": lambda r, n: np.where(r.random(n) < 0.8, 0, r.exponential(size=n)),
    "3_words": lambda r, n: r.choice(["a", "b", "c"], p=[0.6, 0.3, 0.1], size=n),
    "30_words": lambda r, n: words(np.minimum(r.zipf(1.5, n), 30)),
    "300_words": lambda r, n: words(r.integers(300, size=n)),
    "2000_words": lambda r, n: words(np.minimum(r.zipf(1.3, n), 2000)),
    "rarely_missing": lambda r, n: with_missing(r.normal(size=n), 0.005, r),
    "often_missing": lambda r, n: with_missing(np.round(r.normal(size=n), 1), 0.2, r),
}
PER_REFERENCE = 10
DRIFTS: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "mean + .16 sd": lambda x, r: x + 0.16,
    "sd x 1.2": lambda x, r: x * 1.2,
    "missing + 3 points": lambda x, r: with_missing(x, 0.03, r),
    "a class + 10 points": lambda x, r: np.where(r.random(len(x)) < 0.1 / 0.7, "b", x),
}
NAIVE: dict[str, Callable[[Any], bool]] = {
    "p < .05": lambda c: any(t.p_value < 0.05 for t in c.tests),
    "KS D > .2": lambda c: any(t.kind == "ks" and t.effect > 0.2 for t in c.tests),
    "PSI > .2": lambda c: c.psi is not None and c.psi > 0.2,
    "JS > .1": lambda c: c.jensen_shannon is not None and c.jensen_shannon > 0.1,
}


def table(rng: np.random.Generator, n_columns: int, n: int) -> Table:
    draws = list(SHAPES.values())
    return {f"x{i}": draws[i % len(draws)](rng, n) for i in range(n_columns)}


def windows(
    rng: np.random.Generator, n_columns: int, n: int, m: int, n_windows: int
) -> Iterator[DriftReport]:
    """Several windows a reference: what it has by chance, they share."""
    for _ in range(n_windows // PER_REFERENCE):
        reference = Profile.fit(table(rng, n_columns, n))
        empty = reference.empty_like()
        for _ in range(PER_REFERENCE):
            yield compare(reference, empty.update(table(rng, n_columns, m)))


def drifting(
    rng: np.random.Generator, drift: str, n: int, m: int, n_windows: int
) -> Iterator[DriftReport]:
    def draw(size: int) -> Table:
        base: Draw = SHAPES["normal"] if "class" not in drift else _two_words
        others = table(rng, 17, size)
        return {**others, **{f"drifting{i}": base(rng, size) for i in range(3)}}

    for _ in range(n_windows // PER_REFERENCE):
        reference = Profile.fit(draw(n))
        empty = reference.empty_like()
        for _ in range(PER_REFERENCE):
            window = draw(m)
            for i in range(3):
                window[f"drifting{i}"] = DRIFTS[drift](window[f"drifting{i}"], rng)
            yield compare(reference, empty.update(window))


def _two_words(rng: np.random.Generator, n: int) -> Any:
    return rng.choice(["a", "b"], p=[0.7, 0.3], size=n)


def line(title: str, reports: Iterator[DriftReport]) -> str:
    n, warned, alerted, naive = 0, 0, 0, dict.fromkeys(NAIVE, 0)
    past: list[set[str]] = []
    for report in reports:
        if n % PER_REFERENCE == 0:
            past = []
        n += 1
        found = set(report.drifted_columns)
        warned += bool(found)
        alerted += any(found & before for before in past[-2:])
        past.append(found)
        for name, rule in NAIVE.items():
            naive[name] += any(map(rule, report.columns.values()))
    shares = [warned, alerted, *naive.values()]
    return f"{title:32}" + "".join(f"{100 * share / n:10.1f}%" for share in shares)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--windows", type=int, default=400)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    rng = np.random.default_rng(chosen.seed)
    print("windows warned with nothing wrong\n")
    print(
        f"{'columns, reference, window':32}"
        + "".join(f"{s:>11}" for s in ("warned", "alerted", *NAIVE))
    )
    for n_columns in (20, 50):
        for n in (300, 1_000, 10_000):
            for m in (200, 1_000, 10_000):
                count = chosen.windows if m < 10_000 else chosen.windows // 4
                title = f"{n_columns}, {n}, {m}"
                print(line(title, windows(rng, n_columns, n, m, count)), flush=True)
    print("\nwindows of 1,000 rows warned, three of twenty columns drifting; reference 10,000\n")
    for drift in DRIFTS:
        print(line(drift, drifting(rng, drift, 10_000, 1_000, chosen.windows)), flush=True)


if __name__ == "__main__":
    main()
