"""How many a guarded ramp exposes before it takes harm back, and the least that any rule must.

Run: ``make simulate`` or ``python -m benchmarks.ramp_simulation`` (``--quick``: fewer runs). Many
ramps at once, the rule written anew in arrays; ``experiment_simulation.py`` plays the same ramps
one by one through the judge that decides on real traffic, and must find the same.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from benchmarks.tables import Table, n_runs, options_of
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtri

from timonel.stats.intervals import wilson
from timonel.stats.sequential import BETS

EVENTS = (0.05, 0.02, 0.01, 0.002)
"""Rates of the four guardrails' bad events."""
TOLERATED, ROLLS_BACK, FLOOR, N_STAR, ALPHA = 1.1, 100.0, 30, 2000.0, 0.01
NEVER = 10**9


@dataclass(frozen=True)
class Schedule:
    """A ramp's compared steps: shares, each with the units seen in all when it grows."""

    shares: tuple[float, ...] = (0.01, 0.05, 0.25, 0.5)
    seen: tuple[int, ...] = (100, 500, 1500, 4500)
    caution: float = 3.0


BEFORE = Schedule(seen=(100, 200, 300, 400), caution=20.0)
STAYS = Schedule(seen=(100, 200, 300, NEVER), caution=float("inf"))
NOW = Schedule()


@dataclass(frozen=True)
class Found:
    """How ramps ended: exposed units of those rolled back (nan: not), and all their requests."""

    exposed: Any
    requests: Any

    @property
    def rolled_back(self) -> int:
        return int(np.isfinite(self.exposed).sum())

    def quantile(self, q: float) -> str:
        """Give exposed units; harm that was never taken back counts as without end."""
        found = np.quantile(np.where(np.isfinite(self.exposed), self.exposed, NEVER), q)
        return f"{found:,.0f}" if found < NEVER / 2 else "promoted"


def goal_evidence(score: Any, variance: Any, weight: Any, exposed: Any) -> Any:
    """Give the one-sided e-value that the goal is worse (arXiv 2103.06476), each ramp's."""
    level = -2.0 * np.log(2.0 * ALPHA)
    k = 4.0 * weight * (level + np.log1p(level)) / N_STAR
    z = -score / np.sqrt(np.maximum(variance, 1e-12))
    log_e = np.log(2.0) - np.log1p(k) / 2.0 + k * z * z / (2.0 * (k + 1.0))
    log_e = log_e + log_ndtr(z * np.sqrt(k / (k + 1.0)))
    return np.where(exposed >= FLOOR, np.exp(np.minimum(log_e, 50.0)), 1.0)


def play(
    plan: Schedule, rates: tuple[float, float], *, runs: int, batch: int, most: int, seed: int
) -> Found:
    """Play ramps of independent requests whose labels come at once, a look a batch."""
    rng, shares = np.random.default_rng(seed), np.array(plan.shares)
    bets = np.array([r for r in BETS if r > TOLERATED])
    per_event = np.log1p(shares * (TOLERATED - 1.0))[:, None]
    per_event = per_event - np.log1p(np.outer(shares, bets - 1.0))
    step = np.zeros(runs, int)
    score, variance, weight, exposed, requests = np.zeros((5, runs))
    bad, both = np.zeros((runs, len(EVENTS))), np.zeros((runs, len(EVENTS), len(shares)))
    ended, on = np.full(runs, np.nan), np.ones(runs, bool)
    while on.any():
        b = rng.binomial(batch, shares[step])
        a = batch - b
        hits = rng.binomial(a, rates[0]), rng.binomial(b, rates[1])
        compared = on & (a > 0) & (b > 0)
        w, right = np.where(compared, a * b / batch, 0.0), hits[0] + hits[1]
        score += w * (hits[1] / np.maximum(b, 1) - hits[0] / np.maximum(a, 1))
        variance += w * right * (batch - right) / (batch * (batch - 1))
        weight, exposed, requests = weight + w, exposed + on * b, requests + on * batch
        guarded = np.zeros(runs)
        for event, rate in enumerate(EVENTS):
            worse = rng.binomial(b, rate)
            bad[:, event] += on * worse
            both[np.arange(runs), event, step] += on * (worse + rng.binomial(a, rate))
            logs = np.outer(bad[:, event], np.log(bets / TOLERATED)) + both[:, event] @ per_event
            guarded += np.exp(np.minimum(logs, 50.0)).mean(1) / len(EVENTS)
        e = 0.5 * goal_evidence(score, variance, weight, exposed) + 0.5 * guarded
        ended[on & (e >= ROLLS_BACK)] = exposed[on & (e >= ROLLS_BACK)]
        over = (e < plan.caution) & (exposed >= np.array(plan.seen)[step])
        on &= (e < ROLLS_BACK) & (exposed < most) & ~(over & (step == len(shares) - 1))
        step += on & over
    return Found(ended, requests)


def information(plan: Schedule, exposed: float) -> float:
    """Give ``sum n_a n_b / (n_a + n_b)`` after so many exposed units of a ramp without a pause."""
    total = before = 0.0
    for share, until in zip(plan.shares, plan.seen, strict=True):
        total += (min(until, exposed) - before) * (1.0 - share)
        before = float(until)
        if exposed <= until:
            break
    return total


def least_exposed(plan: Schedule, rates: tuple[float, float]) -> float:
    """Give the exposed units under which no rule at all keeps 1 % false and 95 % found.

    Whatever has been decided by then is a test of that data at .01; none is more powerful than the
    one look of Neyman and Pearson, for which both rates are known.
    """
    p, q = rates
    spread = -ndtri(0.01) * np.sqrt(p * (1 - p)) + ndtri(0.95) * np.sqrt(q * (1 - q))
    asked = (spread / (p - q)) ** 2
    endless = replace(plan, seen=(*plan.seen[:-1], NEVER))
    return float(brentq(lambda n: information(endless, n) - asked, 1.0, 1e7))


HEAD = """# Guarded ramp: exposed to harm before it is taken back

Seed {seed}, {runs} runs a line; `benchmarks/ramp_simulation.py`: goal and four guardrails (bad
events of 5, 2, 1 and .2 %, the same in both arms), independent requests, labels at once, a look
every 100 requests (every 400 without harm). Shares 1, 5, 25, 50 %. "Now" grows at 100, 500, 1,500
and 4,500 exposed and holds at E >= 3; "before" grew at 100, 200, 300 and 400, and held at 20;
"stays" is "before" with a last step that goes on to 10,000. "Least" is what no rule could do better
than, with 1 % false and 95 % found, on a ramp that never pauses.

| right | schedule | rolled back, % | exposed, median / 95 % | least, 95 % | requests, median |
|---|---|---|---|---|---|"""


def line(rates: tuple[float, float], name: str, plan: Schedule, *, runs: int, seed: int) -> str:
    harm = rates[1] < rates[0]
    found = play(plan, rates, runs=runs, batch=100 if harm else 400, most=10_000, seed=seed)
    share = wilson(found.rolled_back, runs)
    low, high = 100 * share.low, 100 * share.high
    least = f"{least_exposed(plan, rates):,.0f}" if harm else "-"
    exposed = f"{found.quantile(0.5)} / {found.quantile(0.95)}" if harm else "-"
    return (
        f"| {100 * rates[0]:.0f} -> {100 * rates[1]:.0f} % | {name} "
        f"| {100 * share.estimate:.2f} ({low:.2f}-{high:.2f}) | {exposed} | {least} "
        f"| {np.median(found.requests):,.0f} |"
    )


def main() -> None:
    options = options_of(__doc__, runs=2000)
    chosen = options.parse_args()
    runs = n_runs(chosen, 300)
    table = Table()
    table.say(HEAD.format(seed=chosen.seed, runs=runs))
    for base in (0.8, 0.9):
        for harm in (0.04, 0.08, 0.0):
            for name, plan in (("now", NOW), ("before", BEFORE), ("stays", STAYS)):
                rates = (base, base - harm)
                table.say(line(rates, name, plan, runs=runs, seed=chosen.seed))
    table.end(chosen.out)


if __name__ == "__main__":
    main()
