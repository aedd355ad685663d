"""What simulations share: options, and a table whose lines are printed as they are found."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Protocol

from timonel.experiments.judging.look import Verdict
from timonel.stats.intervals import wilson


def options_of(doc: str | None, *, runs: int) -> argparse.ArgumentParser:
    """Give the options that all have: runs a line, seed, quick, and a file for the table."""
    options = argparse.ArgumentParser(description=doc)
    options.add_argument("--runs", type=int, default=runs, help="Runs a line, fewer for some.")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--quick", action="store_true", help="Fewer runs.")
    options.add_argument("--out", type=Path, help="Also write the table here.")
    return options


def n_runs(chosen: argparse.Namespace, quick: int = 40) -> int:
    """Give how many runs a line has."""
    return min(chosen.runs, quick) if chosen.quick else int(chosen.runs)


def share(n: int, of: int) -> str:
    """Give a share in percent, with its 95 % interval."""
    found = wilson(n, of)
    return f"{100 * n / of:.1f} ({100 * (found.low or 0):.1f}-{100 * (found.high or 0):.1f})"


class Decided(Protocol):
    """How one run of pairs ended, and in which week."""

    @property
    def verdict(self) -> Verdict:
        """The first that decided; CONTINUE where none did."""

    @property
    def week(self) -> int:
        """When it did."""


def decided(title: str, runs: Sequence[Decided], *others: int) -> str:
    """Write a line: shares of verdicts and of what else was counted, and when it was decided."""
    weeks = sorted(run.week for run in runs if run.verdict is not Verdict.CONTINUE)
    median = str(weeks[len(weeks) // 2]) if weeks else "-"
    late = str(weeks[int(0.95 * (len(weeks) - 1))]) if len(weeks) >= 20 else "-"
    counts = (
        sum(run.verdict is Verdict.PROMOTE for run in runs),
        sum(run.verdict is Verdict.ROLL_BACK for run in runs),
        *others,
    )
    shares = " | ".join(share(n, len(runs)) for n in counts)
    return f"| {title} | {len(runs)} | {shares} | {median} / {late} |"


class Table:
    """Lines of Markdown, and how long they took."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._lines: list[str] = []

    def say(self, line: str) -> None:
        """Print a line, and keep it."""
        self._lines.append(line)
        print(line, flush=True)

    def end(self, file: Path | None) -> None:
        """Say how long it took; write all lines to a file, if one is asked for."""
        self.say(f"\n{perf_counter() - self._began:.0f} s on a shared machine.")
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(self._lines) + "\n", "utf-8")
