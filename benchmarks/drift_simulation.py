"""How often does the drift rule cry wolf, and what does it miss? The naive rules beside it.

Run: ``make simulate`` (some minutes; ``ARGS=--quick`` for a minute or two). Seeded. Each line is a
share of windows: warned, and alerted (two of the last three in the same column), and what the naive
rules would have flagged on the same windows. Columns are of every shape (``SHAPES``).

- nothing wrong, by number of columns, reference and window size;
- three of twenty columns drift, and one alone;
- clustered rows, with unit ids and without (then calibrated on the first windows);
- days and hours with a season, after five weeks of calibration.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import create_engine

from timonel.monitoring.drift.calibration import Figures, Found, Past, SlotBy
from timonel.monitoring.windows import Window
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
PER_REFERENCE = 5
DRIFTS: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "mean + .16 sd": lambda x, r: x + 0.16,
    "sd x 1.2": lambda x, r: x * 1.2,
    "missing + 3 points": lambda x, r: with_missing(x, 0.03, r),
    "a class + 10 points": lambda x, r: np.where(r.random(len(x)) < 0.1 / 0.7, "b", x),
}
NAIVE: dict[str, Callable[[DriftReport], bool]] = {
    "p < .05": lambda r: any(t.p_value < 0.05 for c in r.columns.values() for t in c.tests),
    "Bonferroni": lambda r: any(
        t.p_value < 0.05 / max(1, r.n_tests) for c in r.columns.values() for t in c.tests
    ),
    "KS > .2": lambda r: any(c.effects.get("ks", 0.0) > 0.2 for c in r.columns.values()),
    "PSI > .2": lambda r: any((c.psi or 0.0) > 0.2 for c in r.columns.values()),
}
LEARNED = 6
"""Windows of clustered rows that only teach."""
MONDAY = 489_984
"""An epoch hour: Monday, 0 h UTC."""


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
    rng: np.random.Generator, drift: str, n: int, m: int, n_windows: int, n_drifting: int = 3
) -> Iterator[DriftReport]:
    def draw(size: int) -> Table:
        base: Draw = SHAPES["normal"] if "class" not in drift else _two_words
        others = table(rng, 20 - n_drifting, size)
        return {**others, **{f"drifting{i}": base(rng, size) for i in range(n_drifting)}}

    for _ in range(n_windows // PER_REFERENCE):
        reference = Profile.fit(draw(n))
        empty = reference.empty_like()
        for _ in range(PER_REFERENCE):
            window = draw(m)
            for i in range(n_drifting):
                window[f"drifting{i}"] = DRIFTS[drift](window[f"drifting{i}"], rng)
            yield compare(reference, empty.update(window))


def _two_words(rng: np.random.Generator, n: int) -> Any:
    return rng.choice(["a", "b"], p=[0.7, 0.3], size=n)


class Line:
    """What a series of windows comes to: warned, alerted (two of the last three), and the naive."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.n = self.warned = self.alerted = 0
        self.naive = dict.fromkeys(NAIVE, 0)
        self._past: list[set[str]] = []

    def begin(self) -> None:
        """Start a series of its own."""
        self._past = []

    def add(self, report: DriftReport) -> Found:
        found = set(report.drifted_columns)
        alerted = found & set().union(*self._past[-2:])
        self.n += 1
        self.warned += bool(found)
        self.alerted += bool(alerted)
        self._past.append(found)
        for name, rule in NAIVE.items():
            self.naive[name] += rule(report)
        return Found(sorted(found), sorted(alerted))

    def cells(self) -> list[str]:
        counts = [self.warned, self.alerted, *self.naive.values()]
        shares = [f"{100 * count / max(1, self.n):.1f} %" for count in counts]
        return [self.title, str(self.n), *shares]


def judged(title: str, reports: Iterator[DriftReport]) -> Line:
    line = Line(title)
    for at, report in enumerate(reports):
        if at % PER_REFERENCE == 0:
            line.begin()
        line.add(report)
    return line


def clustered(
    rng: np.random.Generator, n_columns: int, n_units: int, a_unit: int, n: int, *, known: bool
) -> Line:
    """Windows of few units, each with the same row many times over; unit ids known, or learned."""
    said = "unit ids known" if known else "calibrated"
    line = Line(f"{n_units} units x {a_unit} rows, {said}")
    for _ in range(n):
        reference = Profile.fit(table(rng, n_columns, 10_000))
        past = nothing_yet(reference, 24)
        line.begin()
        for at in range(20):
            units = table(rng, n_columns, n_units)
            rows = {name: np.repeat(values, a_unit) for name, values in units.items()}
            window = Window(at * 24, at * 24 + 24, 0)
            scales = {} if known else past.scales(window, SlotBy(None, 24))
            found = compare(reference, rows, scales=scales, clustering=a_unit if known else 1.0)
            if known or at >= LEARNED:
                teach(past, window, found, line.add(found))
            else:
                teach(past, window, found, Found(list(found.drifted_columns)))
    return line


def seasonal(rng: np.random.Generator, n_columns: int, span_h: int, n: int, shift: float) -> Line:
    """Every third number follows the hour or the weekday; five weeks teach, two are judged.

    With ``shift``, the last two weeks have it on top, in standard deviations, in three columns.
    """
    what = "nothing wrong" if not shift else f"and {shift} sd in three columns"
    line = Line(f"{'hours' if span_h == 1 else 'days'} of {n} rows, {what}")
    reference = Profile.fit(in_season(rng, n_columns, 10_000, rng.uniform(0, 168, 10_000)))
    past, slot_by = nothing_yet(reference, span_h), SlotBy(ZoneInfo("UTC"), span_h)
    empty = reference.empty_like()
    for hour in range(MONDAY, MONDAY + 7 * 168, span_h):
        window = Window(hour, hour + span_h, n)
        learning = hour < MONDAY + 5 * 168
        moments = (hour - MONDAY) % 168 + rng.uniform(0, span_h, n)
        rows = in_season(rng, n_columns, n, moments)
        if shift and not learning:
            rows |= {f"x{i}": rows[f"x{i}"] + shift for i in (0, 13, 14) if f"x{i}" in rows}
        scales = past.scales(window, slot_by)
        found = compare(reference, empty.update(rows), scales=scales)
        said = Found(list(found.drifted_columns)) if learning else line.add(found)
        teach(past, window, found, said)
    return line


def in_season(rng: np.random.Generator, n_columns: int, n: int, moments: Any) -> Table:
    """Columns of which every third number moves by up to .6 of its spread in a week."""
    rows = table(rng, n_columns, n)
    day, week = np.sin(moments / 24 * 2 * np.pi), np.sin(moments / 168 * 2 * np.pi)
    for at, name in enumerate(rows):
        if at % 3 == 0 and rows[name].dtype.kind == "f":
            rows[name] = rows[name] + 0.4 * day + 0.2 * week
    return rows


def nothing_yet(reference: Profile, span_h: int) -> Past:
    return Past(create_engine("sqlite://"), "p", "m", "r", span_h, reference.names, [], [])


def teach(past: Past, window: Window, report: DriftReport, found: Found) -> None:
    """Keep a window as the check does, without a store."""
    columns = [report.columns[name] for name in past.columns]
    spread = np.array([column.dispersion for column in columns], np.float64)
    past.windows.append(Figures(window.start_h, window.end_h, spread, found))
    past.effects[window.start_h] = [column.effects for column in columns]


class Report:
    """Tables, printed as they come and kept for a file."""

    def __init__(self) -> None:
        self.text = ""

    def say(self, words: str) -> None:
        print(words, flush=True)
        self.text += words + "\n"

    def head(self, title: str) -> None:
        names = ["", "windows", "warned", "alerted", *NAIVE]
        self.say(f"\n## {title}\n\n| {' | '.join(names)} |\n|{'---|' * len(names)}")

    def line(self, line: Line) -> None:
        self.say(f"| {' | '.join(line.cells())} |")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--windows", type=int, default=200, help="Windows a line.")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--quick", action="store_true", help="A minute or two: fewer of all.")
    options.add_argument("--out", type=Path, help="Also write the tables here.")
    chosen = options.parse_args()
    rng = np.random.default_rng(chosen.seed)
    report, start = Report(), perf_counter()
    report.say(f"# Drift: false warnings, false alerts, power\n\nSeed {chosen.seed}.")
    simulate(report, rng, chosen.windows, quick=chosen.quick)
    report.say(f"\n{perf_counter() - start:.0f} s.")
    if chosen.out is not None:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(report.text, "utf-8")


def simulate(report: Report, rng: np.random.Generator, count: int, *, quick: bool) -> None:
    """Fill the tables."""
    count = min(count, 40) if quick else count
    report.head("Nothing wrong: columns, reference, window")
    for n_columns in (20,) if quick else (20, 50):
        for n in (300, 10_000) if quick else (300, 1_000, 10_000):
            for m in (200, 1_000) if quick else (200, 1_000, 10_000, 100_000):
                windows_here = max(20, count * 1_000 // max(m, 1_000) // 5 * 5)
                reports = windows(rng, n_columns, n, m, windows_here)
                report.line(judged(f"{n_columns}, {n:,}, {m:,}", reports))
    report.head("Three of twenty columns drift; windows of 1,000, reference 10,000")
    for drift in DRIFTS:
        report.line(judged(drift, drifting(rng, drift, 10_000, 1_000, count)))
    title = "mean + .16 sd, one column"
    report.line(judged(title, drifting(rng, "mean + .16 sd", 10_000, 1_000, count, n_drifting=1)))
    report.head("Clustered rows, nothing wrong; 20 columns, reference 10,000")
    for known in (True, False):
        n_references = 4 if quick or known else 25
        report.line(clustered(rng, 20, 400, 5, n_references, known=known))
        report.line(clustered(rng, 20, 1_000, 10, n_references, known=known))
    report.head("Seasons after five weeks; 20 columns, reference of whole weeks, 10,000")
    spans = ((24, 1_000),) if quick else ((24, 1_000), (24, 5_000), (1, 1_000))
    for span_h, n in spans:
        for shift in (0.0, 0.5):
            report.line(seasonal(rng, 20, span_h, n, shift))


if __name__ == "__main__":
    main()
