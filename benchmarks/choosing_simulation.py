"""False decisions, power and cost of what chooses while it compares: rankings and bandits.

Run: ``make simulate`` or ``python -m benchmarks.choosing_simulation`` (``--quick``: fewer runs).
Lists are drafted by ``team_draft``, clicks come from a made model that does not know the teams, and
the rules look by ``timonel.experiments.judging.judge``.
"""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any, NamedTuple

import numpy as np
from benchmarks.tables import Table, n_runs, options_of, share
from scipy.special import bdtr

from timonel.experiments.design import Answers, Arm, Design, Mode, Strategy
from timonel.experiments.judging.evidence import Evidence
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.look import Verdict
from timonel.experiments.rankings.draft import credit, team_draft
from timonel.stats.moments import PER_UNIT

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


# --- bandits

N_BATCHES, A_BATCH = 28, 1000


class Followed(NamedTuple):
    """One bandit: what it lost, where its shares ended, and how true its figures were."""

    regret: float | None  # of what equal shares lose; None: they lose nothing
    share: float  # of the best arm in the last batch
    covered: list[bool]  # an arm each: the true mean lies in its interval
    error: list[float]  # of the worst and the best arm's mean
    naive_covered: list[bool]  # by the plain mean of all of its units
    naive_error: list[float]


def bandit(
    rng: np.random.Generator, rates: tuple[float, ...], *, trend: float = 0.0, money: bool = False
) -> Followed:
    """Follow shares over batches; ``trend`` is what all rates gain from the first to the last."""
    names = tuple(f"arm{place}" for place in range(len(rates)))
    design = Design(
        name="offers",
        model="m",
        salt="s",
        mode=Mode.OUTSIDE,
        strategy=Strategy.THOMPSON,
        arms=tuple(Arm(name, Answers.EXTERNAL) for name in names),
        weights=(1.0 / len(rates),) * len(rates),
        metric="bought",
        floor=0.05,
        batch_s=86_400,
    )
    evidence, shares, lost = Evidence(at=0), design.weights, 0.0
    truths = np.zeros(len(rates))
    sums = np.zeros((3, len(rates)))  # n, q, q2
    for phase in range(N_BATCHES):
        now = np.array(rates) + trend * phase / (N_BATCHES - 1)
        truths += now / N_BATCHES
        counts = rng.multinomial(A_BATCH, shares)
        lost += float(np.sum(counts * (now.max() - now)))
        evidence.weights[phase + 1] = tuple(shares)
        arms = evidence.batches[phase + 1] = {}
        for place, name in enumerate(names):
            values = (rng.random(counts[place]) < now[place]).astype(float)
            if money:  # those who buy, buy for 10 on average, skewed
                values *= np.round(rng.exponential(10.0, counts[place]), 6)
            steps = np.round(values * PER_UNIT).astype(np.int64).tolist()
            n = len(steps)
            arms[name] = (n, n, sum(steps), sum(step * step for step in steps))
            sums[:, place] += [n, values.sum(), (values * values).sum()]
        look = judge(design, evidence, None)
        shares = tuple(look.facts["shares"]) if "shares" in look.facts else shares
    truths *= 10.0 if money else 1.0
    even = N_BATCHES * A_BATCH * float(np.mean(max(rates) - np.array(rates)))
    mean = sums[1] / sums[0]
    se = np.sqrt((sums[2] / sums[0] - mean**2) / sums[0])
    ends = [int(np.argmin(rates)), int(np.argmax(rates))]
    own = [(one.mean or 0.0, one.lower or 0.0, one.upper or 0.0) for one in look.arms]
    return Followed(
        lost / even if even else None,
        shares[ends[1]],
        [bool(low <= truth <= high) for (_, low, high), truth in zip(own, truths, strict=True)],
        [own[place][0] / truths[place] - 1.0 for place in ends],
        [bool(abs(m - t) <= 1.959964 * s) for m, t, s in zip(mean, truths, se, strict=True)],
        [mean[place] / truths[place] - 1.0 for place in ends],
    )


def bandit_line(title: str, runs: list[Followed]) -> str:
    """Write one line of the bandits' table."""

    def mean(values: list[list[float]], place: int) -> str:
        return f"{100 * float(np.mean([one[place] for one in values])):+.1f}"

    def covered(flags: list[list[bool]]) -> str:
        found = [flag for one in flags for flag in one]
        return f"{100 * float(np.mean(found)):.1f}"

    errors = [run.error for run in runs], [run.naive_error for run in runs]
    lost = [run.regret for run in runs if run.regret is not None]
    cells = [
        f"{100 * float(np.mean(lost)):.0f}" if lost else "-",
        f"{100 * float(np.median([run.share for run in runs])):.0f}",
        f"{mean(errors[0], 0)} / {mean(errors[0], 1)}",
        covered([run.covered for run in runs]),
        f"{mean(errors[1], 0)} / {mean(errors[1], 1)}",
        covered([run.naive_covered for run in runs]),
    ]
    return f"| {title} | {len(runs)} | " + " | ".join(cells) + " |"


BANDITS: tuple[tuple[str, tuple[float, ...], dict[str, Any]], ...] = (
    ("equal, 10 %", (0.1, 0.1, 0.1, 0.1), {}),
    ("10, 10, 10, 13 %", (0.1, 0.1, 0.1, 0.13), {}),
    ("10, 10, 10, 13 %, all rise by 10 points", (0.1, 0.1, 0.1, 0.13), {"trend": 0.1}),
    ("two arms, 5 and 8 %", (0.05, 0.08), {}),
    ("revenue: 10, 10, 10, 13 % buy, skewed", (0.1, 0.1, 0.1, 0.13), {"money": True}),
)
BANDIT_HEAD = """
# Bandits in batches: what is lost, and how true the figures are

28 batches of 1,000 units, floor 5 %. "Regret" is what was lost against the best arm, in percent of
what equal shares lose; "share" the best arm's at the end (median); "error" the mean relative error
of the worst and the best arm's mean, in percent; "coverage" how often the 95 % intervals at the end
hold the truth, all arms. "Plain" is each arm's mean over all of its units.

| scenario | runs | regret | share | error, worst / best | coverage | plain error | plain coverage |
|---|---|---|---|---|---|---|---|"""


HEAD = """# Interleaved rankings: false decisions and power

Seed {seed}; `benchmarks/choosing_simulation.py`, through the judge. Ten items, three relevant, six
shown; who reads stops at each place with .3, clicks what is relevant with .5 and other things with
.1. Forty looks, 50 requests between two. Shares in percent with 95 % intervals. "Naive" is the sign
test at p < .05 at any look; "decided after" counts comparisons.

| scenario | runs | PROMOTE | ROLL_BACK | naive | decided after, median / 95 % |
|---|---|---|---|---|---|"""


def main() -> None:
    options = options_of(__doc__, runs=400)
    options.add_argument("--bandits", action="store_true", help="The second table alone.")
    chosen = options.parse_args()
    count = n_runs(chosen)
    table = Table()
    table.say(HEAD.format(seed=chosen.seed))
    for place, (title, n, play) in enumerate(() if chosen.bandits else scenarios(count)):
        rng = Random(chosen.seed * 1000 + place)
        table.say(line(title, [play(rng) for _ in range(n)]))
    table.say(BANDIT_HEAD)
    for place, (title, rates, changes) in enumerate(BANDITS):
        draws = np.random.default_rng([chosen.seed, place])
        runs = [bandit(draws, rates, **changes) for _ in range(count // 2)]
        table.say(bandit_line(title, runs))
    table.end(chosen.out)


if __name__ == "__main__":
    main()
