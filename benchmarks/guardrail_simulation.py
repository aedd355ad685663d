"""How often a recorded guardrail takes a harmless ramp back, and how soon one that harms.

Run: ``make simulate`` or ``python -m benchmarks.guardrail_simulation`` (``--quick``: fewer runs).
A ramp's units come once, each with its value; every look is weighed by the code that decides on
real traffic, with a goal that says nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from benchmarks.tables import Table, n_runs, options_of, share

from timonel.experiments.counting.sums import PairSums
from timonel.experiments.design import Arm, Design, Guardrail, Mode
from timonel.experiments.judging.evidence import Contribution, Counted, Evidence
from timonel.experiments.judging.guardrails import weigh_guardrails
from timonel.stats.sequential import ramp_e_value

SHARES = (0.01, 0.05, 0.25, 0.5)
TREATED = (100, 400, 1000, 3000)
LOOKS, ROLLS_BACK, STEP = 60, 100.0, 1e12
Draw = Callable[[np.random.Generator, Any], Any]
"""Give the values of units, of which those are treated."""


@dataclass(frozen=True)
class Line:
    """One kind of value: how it comes, and how it is guarded."""

    title: str
    guardrail: Guardrail
    draw: Draw


def design_of(guardrail: Guardrail) -> Design:
    arms = (Arm("control", version="1.0.0"), Arm("treatment", version="1.1.0"))
    return Design(
        name="made",
        model="made",
        mode=Mode.RAMP,
        salt="made",
        arms=arms,
        weights=(0.99, 0.01),
        guardrails=(guardrail,),
    )


def play(line: Line, rng: np.random.Generator) -> int | None:
    """Play one ramp; give the treated units by which it was taken back, None if it was not."""
    design = design_of(line.guardrail)
    evidence = Evidence(at=0, weights={}, metrics={"x": {}}, arms={"treatment": Counted()})
    treated, before = 0, Contribution()
    if line.guardrail.recorded:
        evidence.bad["x"] = {}
    for phase, (of_units, n_treated) in enumerate(zip(SHARES, TREATED, strict=True), 1):
        evidence.weights[phase] = (1.0 - of_units, of_units)
        n = round(n_treated / of_units)
        arm = rng.random(n) < of_units
        y = line.draw(rng, arm)
        sums = [np.cumsum(of) for of in (arm, y, y * y, arm * y)]
        now = Contribution()
        for k in np.unique(np.linspace(20, n, LOOKS).astype(int)):
            n_b, s, s2, s_b = (float(one[k - 1]) for one in sums)
            if not 0 < n_b < k:
                continue
            weight = n_b * (k - n_b) / k
            effect = s_b / n_b - (s - s_b) / (k - n_b)
            spread = (s2 - s * s / k) / (k - 1)
            each = (weight * effect, weight * spread, weight)
            now = Contribution(*(round(STEP * one) for one in each))
            evidence.metrics["x"]["treatment"] = before + now
            evidence.arms["treatment"].values["x"] = PairSums(n=treated + int(n_b))
            if line.guardrail.recorded:
                evidence.bad["x"][phase] = {"treatment": int(s_b), "control": int(s - s_b)}
            e = weigh_guardrails(design, evidence)["treatment:x"]
            if ramp_e_value(1.0, [e]) >= ROLLS_BACK:
                return treated + int(n_b)
        before, treated = before + now, treated + int(sums[0][-1])
    return None


def happens(rate: float, times: float = 1.0) -> Draw:
    return lambda rng, arm: (rng.random(len(arm)) < np.where(arm, rate * times, rate)) * 1.0


def long_tailed(sigma: float, times: float = 1.0) -> Draw:
    return lambda rng, arm: rng.lognormal(3.0, sigma, len(arm)) * np.where(arm, times, 1.0)


def mostly_none(rate: float, times: float = 1.0) -> Draw:
    """Values of the few who buy at all, fewer of them among the treated."""

    def draw(rng: np.random.Generator, arm: Any) -> Any:
        buys = rng.random(len(arm)) < np.where(arm, rate * times, rate)
        return buys * rng.lognormal(3.0, 1.0, len(arm))

    return draw


BAD = Guardrail("x", recorded=True)
LOWER, HIGHER = (Guardrail("x", higher_is_better=better) for better in (False, True))
LINES = (
    Line("1 % happens, `bad`", BAD, happens(0.01)),
    Line("1 % happens, `lower`", LOWER, happens(0.01)),
    Line("20 % happens, `lower`", LOWER, happens(0.2)),
    Line("lognormal, sigma 1.5, `lower`", LOWER, long_tailed(1.5)),
    Line("lognormal, sigma 1.5, `higher`", HIGHER, long_tailed(1.5)),
    Line("5 % buy, `higher`", HIGHER, mostly_none(0.05)),
    Line("1 % -> 2 %, `bad`", BAD, happens(0.01, 2.0)),
    Line("1 % -> 2 %, `lower`", LOWER, happens(0.01, 2.0)),
    Line("20 % -> 24 %, `lower`", LOWER, happens(0.2, 1.2)),
    Line("lognormal, sigma 1.5, 20 % less, `higher`", HIGHER, long_tailed(1.5, 0.8)),
    Line("5 % -> 4 % buy, `higher`", HIGHER, mostly_none(0.05, 0.8)),
)
HEAD = """# Recorded guardrails of a ramp

Seed {seed}, {runs} runs a line; `benchmarks/guardrail_simulation.py`: each unit comes once and has
its value at once, steps of 1, 5, 25 and 50 % with 100, 400, 1,000 and 3,000 treated units, 60 looks
a step, one guardrail without a margin (`bad`: 1.1 times tolerated) beside a goal that says nothing.

| value | taken back, % | treated units by then, median / 95 % |
|---|---|---|"""


def main() -> None:
    chosen = options_of(__doc__, runs=1000).parse_args()
    runs = n_runs(chosen, 100)
    table = Table()
    table.say(HEAD.format(seed=chosen.seed, runs=runs))
    for line in LINES:
        rng = np.random.default_rng(chosen.seed)
        ended = [play(line, rng) for _ in range(runs)]
        exposed = sorted(n for n in ended if n is not None)
        when = "-"
        if len(exposed) > runs / 2:
            when = f"{exposed[len(exposed) // 2]:,} / {exposed[int(0.95 * (len(exposed) - 1))]:,}"
        table.say(f"| {line.title} | {share(len(exposed), runs)} | {when} |")
    table.end(chosen.out)


if __name__ == "__main__":
    main()
