"""False decisions, power and cost of what chooses while it compares: interleaved rankings.

Run: ``make simulate`` or ``python benchmarks/choosing_simulation.py`` (``--quick``: fewer runs).
Lists are drafted by ``team_draft``, clicks come from a made model that does not know the teams, and
the rules look by ``timonel.experiments.judging.judge``.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter
from typing import NamedTuple

import numpy as np
from scipy.special import bdtr

from timonel.experiments.design import Answers, Arm, Design, Mode
from timonel.experiments.judging.evidence import Evidence
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.look import Verdict
from timonel.experiments.rankings.draft import credit, team_draft
from timonel.stats.intervals import wilson

LOOKS, A_LOOK = 40, 50
ITEMS, RELEVANT, SHOWN = "abcdefghij", 3, 6
EXTERNAL = tuple(Arm(name, Answers.EXTERNAL) for name in ("control", "treatment"))


class Played(NamedTuple):
    """One experiment: how it ended, after how many requests, and whether a sign test would have."""

    verdict: Verdict
    n: int
    naive: bool


def ranking(rng: Random, gap: float) -> list[str]:
    """Put each relevant item, with chance ``gap``, behind one that is not."""
    items = list(ITEMS)
    for place in range(RELEVANT):
        if rng.random() < gap:
            other = rng.randrange(RELEVANT, len(items))
            items[place], items[other] = items[other], items[place]
    return items


def clicks(rng: Random, shown: tuple[str, ...], liked: str) -> list[int]:
    """Read from the top, stop at each place with .3; click what is liked with .5, else with .1."""
    clicked = []
    for place, item in enumerate(shown):
        if rng.random() < (0.5 if item in liked else 0.1):
            clicked.append(place)
        if rng.random() < 0.3:
            break
    return clicked


def judged(winners: Iterator[list[int]]) -> Played:
    """Look after each batch of comparisons, until one decides."""
    design = Design(
        name="order", model="m", salt="s", mode=Mode.INTERLEAVE, arms=EXTERNAL, weights=(0.5, 0.5)
    )
    last, won, lost, tied, naive = None, 0, 0, 0, False
    for batch in winners:
        won += sum(one > 0 for one in batch)
        lost += sum(one < 0 for one in batch)
        tied += sum(one == 0 for one in batch)
        naive = naive or (won + lost > 0 and 2 * bdtr(min(won, lost), won + lost, 0.5) < 0.05)
        pairs = {"treatment": won, "control": lost, "tied": tied}
        last = judge(design, Evidence(at=0, pairs=pairs), last)
        if last.verdict is not Verdict.CONTINUE:
            return Played(last.verdict, won + lost + tied, naive)
    return Played(Verdict.CONTINUE, won + lost + tied, naive)


def requests(rng: Random, gaps: tuple[float, float]) -> Played:
    """Each request for itself; the control's gap, then the treatment's."""

    def batches() -> Iterator[list[int]]:
        for _ in range(LOOKS):
            batch = []
            for _ in range(A_LOOK):
                two = ranking(rng, gaps[0]), ranking(rng, gaps[1])
                draft = team_draft(*two, rng.getrandbits(32), SHOWN)
                batch.append(credit(draft.teams, clicks(rng, draft.items, ITEMS[:RELEVANT])))
            yield batch

    return judged(batches())


def visitors(rng: Random, *, by_unit: bool, visits: int = 30) -> Played:
    """Units that come again: each likes what one of the rankings puts first, either as often."""
    two = list(ITEMS), list(reversed(ITEMS))

    def batches() -> Iterator[list[int]]:
        for _ in range(LOOKS):
            batch = []
            for _ in range(5):
                liked = rng.choice((ITEMS[:RELEVANT], ITEMS[-RELEVANT:]))
                each = []
                for _ in range(visits):
                    draft = team_draft(*two, rng.getrandbits(32), SHOWN)
                    each.append(credit(draft.teams, clicks(rng, draft.items, liked)))
                batch += [int(np.sign(sum(each)))] if by_unit else each
            yield batch

    return judged(batches())


def scenarios(count: int) -> Iterator[tuple[str, int, Callable[[Random], Played]]]:
    """Give each line's title, runs and experiment."""
    yield "the same ranking twice", count, partial(requests, gaps=(0.0, 0.0))
    yield "two that differ, equally good", count, partial(requests, gaps=(0.3, 0.3))
    for gap in (0.1, 0.2, 0.4):
        better = partial(requests, gaps=(gap, 0.0))
        yield f"control misplaces {gap:.0%} of what is relevant", count // 2, better
    yield "treatment misplaces 40%", count // 2, partial(requests, gaps=(0.0, 0.4))
    for by_unit in (True, False):
        title = "200 units, 30 lists each, tastes differ, no difference; counted by "
        title += "unit" if by_unit else "request (wrong)"
        yield title, count // 2, partial(visitors, by_unit=by_unit)


def share(n: int, of: int) -> str:
    found = wilson(n, of)
    return f"{100 * n / of:.1f} ({100 * (found.low or 0):.1f}-{100 * (found.high or 0):.1f})"


def line(title: str, runs: list[Played]) -> str:
    """Write one line of the table."""
    decided = sorted(run.n for run in runs if run.verdict is not Verdict.CONTINUE)
    after = "-"
    if decided:
        after = f"{decided[len(decided) // 2]:,} / {decided[int(0.95 * (len(decided) - 1))]:,}"
    counts = [
        sum(run.verdict is Verdict.PROMOTE for run in runs),
        sum(run.verdict is Verdict.ROLL_BACK for run in runs),
        sum(run.naive for run in runs),
    ]
    shares = " | ".join(share(n, len(runs)) for n in counts)
    return f"| {title} | {len(runs)} | {shares} | {after} |"


HEAD = """# Interleaved rankings: false decisions and power

Seed {seed}; `benchmarks/choosing_simulation.py`, through the judge. Ten items, three relevant, six
shown; who reads stops at each place with .3, clicks what is relevant with .5 and other things with
.1. Forty looks, 50 requests between two. Shares in percent with 95 % intervals. "Naive" is the sign
test at p < .05 at any look; "decided after" counts comparisons.

| scenario | runs | PROMOTE | ROLL_BACK | naive | decided after, median / 95 % |
|---|---|---|---|---|---|"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=400, help="Runs a line, half for some.")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--quick", action="store_true", help="Fewer runs.")
    options.add_argument("--out", type=Path, help="Also write the tables here.")
    chosen = options.parse_args()
    count = min(chosen.runs, 40) if chosen.quick else chosen.runs
    start, lines = perf_counter(), [HEAD.format(seed=chosen.seed)]
    print(lines[0], flush=True)
    for place, (title, n, play) in enumerate(scenarios(count)):
        rng = Random(chosen.seed * 1000 + place)
        lines.append(line(title, [play(rng) for _ in range(n)]))
        print(lines[-1], flush=True)
    lines.append(f"\n{perf_counter() - start:.0f} s on a shared machine.")
    print(lines[-1])
    if chosen.out is not None:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
