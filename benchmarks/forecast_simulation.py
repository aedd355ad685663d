"""False decisions and power of two forecasts in pairs: who shares a week, who shares a series.

Run: ``make simulate`` or ``python -m benchmarks.forecast_simulation`` (``--quick``: fewer runs).
Losses are made; the rule looks by ``timonel.experiments.judging.judge``, once a week.
"""

from dataclasses import dataclass
from math import sqrt

import msgspec
import numpy as np
from benchmarks.tables import Table, decided, n_runs, options_of
from numpy.typing import NDArray

from timonel.experiments.counting.sums import PairSums
from timonel.experiments.design import Arm, Design, Mode
from timonel.experiments.judging.evidence import Evidence
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.look import Verdict
from timonel.stats.moments import PER_UNIT

WEEKS, WEEK_S, FIRST_LOOK = 104, 7 * 86_400, 20
PAIRED = Design(
    name="demand",
    model="demand",
    salt="s",
    mode=Mode.SHADOW,
    arms=(Arm("control", version="1.0.0"), Arm("treatment", version="1.1.0")),
    weights=(1.0, 0.0),
    unit="unit",
    metric="absolute_error",
    higher_is_better=False,
    period_s=WEEK_S,
    depends_on_action=False,
)


@dataclass(frozen=True, slots=True)
class World:
    """Two forecasts of every series and week.

    Parameters
    ----------
    title : str
    n_series : int
    by_week, by_series : float
        How far one forecast's losses move together in a week, and in a series: the standard
        deviation of the log of a factor of its own.
    lasting : float
        Correlation of a series' loss with that of the week before.
    gain : float
        By what share the treatment's losses are smaller.
    """

    title: str
    n_series: int = 60
    by_week: float = 0.0
    by_series: float = 0.0
    lasting: float = 0.0
    gain: float = 0.0

    def differences(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw loss of the treatment less that of the control, in steps; (n_series, WEEKS)."""
        shared = rng.standard_normal((self.n_series, WEEKS))
        losses = []
        for scale in (1.0, 1.0 - self.gain):
            own = rng.standard_normal((self.n_series, WEEKS))
            for week in range(1, WEEKS if self.lasting else 0):
                before = self.lasting * own[:, week - 1]
                own[:, week] = before + sqrt(1.0 - self.lasting**2) * own[:, week]
            week_factor = np.exp(self.by_week * rng.standard_normal(WEEKS))
            series_factor = np.exp(self.by_series * rng.standard_normal((self.n_series, 1)))
            losses.append(scale * week_factor * series_factor * 10.0 * np.abs(shared + own))
        steps: NDArray[np.int64] = np.rint((losses[1] - losses[0]) * PER_UNIT).astype(np.int64)
        return steps


@dataclass(frozen=True, slots=True)
class Played:
    """How one experiment ended, in which week, and what other rules would have said."""

    verdict: Verdict
    week: int
    by_series: bool  # clustered by series alone
    naive: bool  # a t-test of all pairs


def play(world: World, rng: np.random.Generator) -> Played:
    """Look every week until the rule decides; the others look as often."""
    steps = world.differences(rng)
    alone = msgspec.structs.replace(PAIRED, period_s=0)
    last, verdict, ended = None, Verdict.CONTINUE, WEEKS
    by_series = naive = False
    for week in range(FIRST_LOOK, WEEKS + 1):
        seen = steps[:, :week]
        evidence = evidence_of(seen)
        mean, spread = float(np.mean(seen)), float(np.std(seen, ddof=1))
        naive = naive or abs(mean) > 1.959964 * spread / sqrt(seen.size)
        by_series = by_series or judge(alone, evidence, None).verdict is not Verdict.CONTINUE
        if verdict is Verdict.CONTINUE:
            last = judge(PAIRED, evidence, last)
            verdict, ended = last.verdict, week
        if verdict is not Verdict.CONTINUE and by_series and naive:
            break
    return Played(verdict, ended, by_series, naive)


def evidence_of(steps: NDArray[np.int64]) -> Evidence:
    """Give what a look is fed; (n_series, n_weeks)."""
    n_series, week = steps.shape
    return Evidence(
        at=week,
        elapsed_us=week * WEEK_S * 1_000_000,
        mature_after_h=24,
        difference=clusters(steps.sum(axis=1).tolist(), week),
        periods=clusters(steps.sum(axis=0).tolist(), n_series),
        each=pairs(steps),
    )


def clusters(sums: list[int], size: int) -> PairSums:
    """Give the sums of clusters of one size; as whole numbers of any length."""
    n, q, q2 = len(sums), sum(sums), sum(one * one for one in sums)
    return PairSums(n, q, q2, n * size, n * size * size, q * size)


def pairs(steps: NDArray[np.int64]) -> PairSums:
    """Give the sums of single pairs; squares of differences up to 3,000 fit."""
    q2 = sum(int(np.sum(column * column)) for column in steps.T)
    return PairSums(steps.size, int(steps.sum()), q2)


WORLDS = (
    World("nothing is shared"),
    World("weeks are shared", by_week=0.5),
    World("series are shared", by_series=0.5),
    World("both are shared", by_week=0.5, by_series=0.3),
    World("both, and a week is like the last", by_week=0.3, by_series=0.3, lasting=0.7),
    World("weeks are shared by 300 series", n_series=300, by_week=0.5),
    World("both are shared by 20 series", n_series=20, by_week=0.5, by_series=0.3),
    World("5 % smaller loss, weeks are shared", by_week=0.2, by_series=0.1, gain=0.05),
    World("10 % smaller loss, weeks are shared", by_week=0.2, by_series=0.1, gain=0.1),
    World("10 % larger loss, weeks are shared", by_week=0.2, by_series=0.1, gain=-0.1),
)
HEAD = """# Two forecasts in pairs: false decisions and power

Seed {seed}; `benchmarks/forecast_simulation.py`, through the judge. 60 series unless told
otherwise, a pair a week for two years, looks every week from the 20th. "Shared" is a factor of each
forecast of its own, for all series of a week or all weeks of a series: neither is better for it.
Shares in percent with 95 % intervals. "By series" clusters by series alone and looks by the same
confidence sequence (from 50 series on); "naive" is a t-test of all pairs at p < .05; both at any
look.

| scenario | runs | PROMOTE | ROLL_BACK | by series alone | naive | decided in week, median / 95 % |
|---|---|---|---|---|---|---|"""


def line(title: str, runs: list[Played]) -> str:
    """Write one line of the table."""
    others = (sum(run.by_series for run in runs), sum(run.naive for run in runs))
    return decided(title, runs, *others)


def main() -> None:
    options = options_of(__doc__, runs=400)
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
