"""False decisions and power of what two forecasts cost in stock, and of who runs out more often.

Run: ``make simulate`` or ``python -m benchmarks.stock_simulation`` (``--quick``: fewer runs).
Demand and forecasts are made; the rule looks by ``timonel.experiments.judging.judge``, once a week.
"""

from dataclasses import dataclass
from math import sqrt

import msgspec
import numpy as np
from benchmarks.forecast_simulation import (
    FIRST_LOOK,
    PAIRED,
    WEEK_S,
    WEEKS,
    clusters,
    pairs,
)
from benchmarks.tables import Table, decided, n_runs, options_of
from numpy.typing import NDArray

from timonel.experiments.design import COST, STOCKOUT, Costs
from timonel.experiments.judging.evidence import Evidence, Paired
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.look import Verdict
from timonel.stats.moments import PER_UNIT

N_SERIES = 60
COSTS = Costs(holding=1.0, shortage=4.0)
DESIGN = msgspec.structs.replace(PAIRED, metric=COST, secondary=(STOCKOUT,), costs=COSTS)
Losses = dict[str, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class World:
    """Demand of every series and week, and two forecasts that are stocked.

    Parameters
    ----------
    title : str
    by_week, by_series : float
        How far one forecast errs alike in a week, and in a series (standard deviations of logs).
    spread : float
        How far it errs by itself.
    sharper : float
        By what share the treatment's own errors are smaller.
    more : float
        By what share the treatment stocks more.
    """

    title: str
    by_week: float = 0.0
    by_series: float = 0.0
    spread: float = 0.3
    sharper: float = 0.0
    more: float = 0.0

    def losses(self, rng: np.random.Generator) -> list[Losses]:
        """Draw what control and treatment lose, in steps; (N_SERIES, WEEKS) each."""
        level = 20.0 * np.exp(0.7 * rng.standard_normal((N_SERIES, 1)))
        season = np.exp(0.2 * rng.standard_normal(WEEKS))
        demand = rng.poisson(level * season).astype(np.float64)
        found = []
        for sharper, more in ((0.0, 0.0), (self.sharper, self.more)):
            apart = self.by_week * rng.standard_normal(WEEKS)
            apart = apart + self.by_series * rng.standard_normal((N_SERIES, 1))
            own = self.spread * (1.0 - sharper) * rng.standard_normal((N_SERIES, WEEKS))
            stock = np.rint(level * season * (1.0 + more) * np.exp(apart + own))
            left = stock - demand
            cost = np.where(left > 0, COSTS.holding * left, -COSTS.shortage * left)
            both = {COST: cost, STOCKOUT: (left < 0).astype(np.float64)}
            found.append(
                {name: np.rint(one * PER_UNIT).astype(np.int64) for name, one in both.items()}
            )
        return found


@dataclass(frozen=True, slots=True)
class Played:
    """How one experiment ended, in which week, and what was said beside it at any look."""

    verdict: Verdict
    week: int
    stockouts: bool  # said to differ, by the adjusted p
    naive: bool  # a t-test of all costs


def play(world: World, rng: np.random.Generator) -> Played:
    """Look every week for two years; the verdict is the first that decides."""
    heard, unheard = world.losses(rng)
    apart = {name: unheard[name] - heard[name] for name in heard}
    verdict, ended, last, naive = Verdict.CONTINUE, WEEKS, None, False
    for week in range(FIRST_LOOK, WEEKS + 1):
        cost = apart[COST][:, :week]
        spread = float(np.std(cost, ddof=1)) / sqrt(cost.size)
        naive = naive or abs(float(np.mean(cost))) > 1.959964 * spread
        last = judge(DESIGN, evidence_of(apart, heard, week), last)
        if verdict is Verdict.CONTINUE:
            verdict, ended = last.verdict, week
    adjusted = [] if last is None else [one.adjusted_p for one in last.compared[1:]]
    return Played(verdict, ended, any(p is not None and p <= 0.05 for p in adjusted), naive)


def evidence_of(apart: Losses, heard: Losses, week: int) -> Evidence:
    """Give what a look is fed after so many weeks."""
    found = {}
    for name, steps in apart.items():
        seen = steps[:, :week]
        found[name] = Paired(
            clusters(seen.sum(axis=1).tolist(), week),
            clusters(seen.sum(axis=0).tolist(), N_SERIES),
            pairs(seen),
            pairs(heard[name][:, :week]),
        )
    goal = found[COST]
    return Evidence(
        at=week,
        elapsed_us=week * WEEK_S * 1_000_000,
        mature_after_h=24,
        difference=goal.difference,
        periods=goal.periods,
        each=goal.each,
        paired=found,
    )


WORLDS = (
    World("nothing is shared"),
    World("weeks are shared", by_week=0.2),
    World("series are shared", by_series=0.2),
    World("both are shared", by_week=0.2, by_series=0.1),
    World("own errors 10 % smaller, weeks are shared", by_week=0.05, sharper=0.1),
    World("own errors 25 % smaller, weeks are shared", by_week=0.05, sharper=0.25),
    World("stocks 20 % more, weeks are shared", by_week=0.1, more=0.2),
    World("stocks 20 % less, weeks are shared", by_week=0.1, more=-0.2),
)
HEAD = """# Two forecasts in pairs: what their stock costs, and how often it runs out

Seed {seed}; `benchmarks/stock_simulation.py`, through the judge. 60 series, a pair a week for two
years, looks every week from the 20th. The stock is the forecast, a piece left over costs 1 and one
that is short 4. The goal is the cost; stock-outs stand beside it, their p adjusted by Holm.
"Shared" is a factor of each forecast of its own, for all series of a week or all weeks of a series:
neither is better for it. Shares in percent with 95 % intervals; "naive" is a t-test of all costs
at p < .05. All at any look.

| scenario | runs | PROMOTE | ROLL_BACK | stock-outs differ | naive | week, median / 95 % |
|---|---|---|---|---|---|---|"""


def line(title: str, runs: list[Played]) -> str:
    """Write one line of the table."""
    others = (sum(run.stockouts for run in runs), sum(run.naive for run in runs))
    return decided(title, runs, *others)


def main() -> None:
    options = options_of(__doc__, runs=200)
    chosen = options.parse_args()
    count = n_runs(chosen)
    table = Table()
    table.say(HEAD.format(seed=chosen.seed))
    for place, world in enumerate(WORLDS):
        rng = np.random.default_rng([chosen.seed, place])
        table.say(line(world.title, [play(world, rng) for _ in range(count)]))
    table.end(chosen.out)


if __name__ == "__main__":
    main()
