"""False decisions and power of experiments' rules, on simulated sums; nothing is served.

Run: ``make simulate`` or ``python -m benchmarks.experiment_simulation`` (``--quick``: a minute or
two). Each run is one whole experiment: its sums are drawn as the drain would have added them up,
and the rules look at them with ``timonel.experiments.judging.judge``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from benchmarks.tables import Table, n_runs, options_of, share
from scipy.special import ndtr

from timonel.experiments.counting.sums import DAY, PairSums
from timonel.experiments.design import Arm, Design, Guardrail, Mode, State
from timonel.experiments.judging.evidence import (
    Contribution,
    Counted,
    Evidence,
    contribution,
    join_phases,
    maturity,
    ratio_contributions,
)
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.look import Look, Rule, Verdict
from timonel.experiments.ramp import Moved, next_move
from timonel.experiments.rows import Experiment
from timonel.experiments.wishes import Wish, design_of
from timonel.stats.moments import PER_UNIT

Rng = np.random.Generator
NAMES = ("control", "treatment")
DAY_US = DAY * 3_600_000_000
LOOKS = 28


def design(**changes: Any) -> Design:
    values: dict[str, Any] = {
        "name": "newer",
        "model": "m",
        "salt": "s",
        "arms": tuple(Arm(name, version=name) for name in NAMES),
        "weights": (0.5, 0.5),
        "unit": "request",
    }
    return Design(**(values | changes))


def flags(n: int, hits: int) -> PairSums:
    return PairSums(int(n), int(hits) * PER_UNIT, int(hits) * PER_UNIT**2)


@dataclass(slots=True)
class World:
    """One experiment's sums so far."""

    design: Design
    goal: Contribution = field(default_factory=Contribution)
    sums: list[PairSums] = field(default_factory=lambda: [PairSums(), PairSums()])
    units: list[int] = field(default_factory=lambda: [0, 0])
    first: dict[int, dict[str, int]] = field(default_factory=dict)
    weights: dict[int, tuple[float, ...]] = field(default_factory=dict)
    bad: dict[str, dict[int, dict[str, int]]] = field(default_factory=dict)
    mature: Contribution = field(default_factory=Contribution)
    last: Look | None = None

    def expose(self, phase: int, share: float, counts: tuple[int, int]) -> None:
        self.weights[phase] = (1.0 - share, share)
        seen = self.first.setdefault(phase, dict.fromkeys(NAMES, 0))
        for arm, count in enumerate(counts):
            seen[NAMES[arm]] += count
            self.units[arm] += count

    def label(self, control: PairSums, treatment: PairSums) -> None:
        """Add one stratum of labels: one exposure slot, one arrival slot."""
        self.goal += contribution(control, treatment)
        self.sums = [self.sums[0] + control, self.sums[1] + treatment]

    def look(self, at_us: float) -> Look:
        arms = {
            name: Counted(self.units[arm], {self.design.metric: self.sums[arm]})
            for arm, name in enumerate(NAMES)
        }
        evidence = Evidence(
            at=int(at_us),
            elapsed_us=int(at_us),
            weights=self.weights,
            arms=arms,
            first=self.first,
            goal={NAMES[1]: self.goal},
            mature={NAMES[1]: self.mature},
            mature_after_h=0,
            bad=self.bad,
        )
        self.last = judge(self.design, evidence, self.last)
        return self.last

    @property
    def naive_p(self) -> float:
        """The p-value of the usual z-test on all labels so far."""
        a, b = self.sums
        if not a.n or not b.n:
            return 1.0
        n_a, n_b = a.x or a.n, b.x or b.n
        p, q = a.q / n_a / PER_UNIT, b.q / n_b / PER_UNIT
        pooled = (a.q + b.q) / (n_a + n_b) / PER_UNIT
        variance = pooled * (1 - pooled) * (1 / n_a + 1 / n_b)
        return 1.0 if variance <= 0 else 2.0 * float(ndtr(-abs(q - p) / variance**0.5))


@dataclass(slots=True)
class Outcome:
    """How one experiment ended: the verdict, after how many days and exposed units."""

    verdict: Verdict
    days: int
    exposed: int
    naive: bool | None  # p < .05 at some look; None: not asked


def ended(world: World, steps: Iterator[int]) -> Outcome:
    """Look a day at a time until something is decided; the naive test goes on to the end."""
    naive, found = False, None
    for day in steps:
        naive = naive or world.naive_p < 0.05
        if found is None:
            look = world.look((day + 1) * DAY_US)
            # labels that are young yet are waited for
            waits = look.verdict is Verdict.CONTINUE or look.rule is Rule.IMMATURE
            if not waits or day == LOOKS - 1:
                found = Outcome(look.verdict, day + 1, world.units[1], naive)
    assert found is not None
    found.naive = naive
    return found


# --- scenarios: each gives one experiment's outcome


def split(
    rng: Rng, planned: Design, rates: tuple[float, float], a_day: int, got: float = 0.5
) -> Outcome:
    """Equal shares asked for, labels within the day, a look a day for four weeks."""
    world = World(planned)

    def days() -> Iterator[int]:
        for day in range(LOOKS):
            b = int(rng.binomial(a_day, got))
            counts = (a_day - b, b)
            world.expose(1, 0.5, counts)
            hits = [rng.binomial(n, rate) for n, rate in zip(counts, rates, strict=True)]
            world.label(flags(counts[0], hits[0]), flags(counts[1], hits[1]))
            world.mature = world.goal
            yield day

    return ended(world, days())


def guarded_ramp(rng: Rng, rates: tuple[float, float], *, batch: int, bad: float = 1.0) -> Outcome:
    """A ramp of the default steps to its end, four guardrails, labels at once, a look a batch."""
    events = {"a": 0.05, "b": 0.02, "c": 0.01, "d": 0.002}
    wish = Wish(name="r", mode="ramp", control="1.0.0", treatment="1.1.0")
    usual = design_of(wish, model="m", task="binary", depends_on_action=True)
    guardrails = tuple(Guardrail(name) for name in events)
    world = World(design(mode=Mode.RAMP, guardrails=guardrails, steps=usual.steps))
    world.bad = {name: {} for name in events}
    phase, at, began = 1, 0, 0
    share = usual.steps[0].share
    while True:
        b = int(rng.binomial(batch, share))
        counts = (batch - b, b)
        world.expose(phase, share, counts)
        hits = [rng.binomial(n, rate) for n, rate in zip(counts, rates, strict=True)]
        world.label(flags(counts[0], hits[0]), flags(counts[1], hits[1]))
        for name, rate in events.items():
            seen = world.bad[name].setdefault(phase, dict.fromkeys(NAMES, 0))
            for arm, worse in enumerate((1.0, bad)):
                seen[NAMES[arm]] += int(rng.binomial(counts[arm], rate * worse))
        at += usual.steps[0].least_s * 1_000_000
        look = world.look(at)
        move = next_move(running(world.design, phase, share), look, began, world.units[1])
        if move.action is Moved.ROLL_BACK or (move.action is Moved.GROW and move.weights[1] == 1.0):
            # the whole has nothing left to compare it with: then it is promoted
            taken_back = move.action is Moved.ROLL_BACK
            verdict = Verdict.ROLL_BACK if taken_back else Verdict.PROMOTE
            return Outcome(verdict, at, world.units[1], naive=None)
        if move.action is Moved.GROW:
            phase, share, began = phase + 1, move.weights[1], at


def running(planned: Design, phase: int, share: float) -> Experiment:
    """Give a ramp as its row would be."""
    return Experiment(
        design=planned,
        state=State.ACTIVE,
        weights=(1.0 - share, share),
        phase=phase,
        revised=0,
        created_by="simulation",
        created_at=0,
        started_at=0,
        ended_at=None,
        verdict=None,
        revision=0,
    )


def shadow(rng: Rng, gain: float, *, late: bool, a_day: int = 300) -> Outcome:
    """Pairs of which 12 % differ; ``late``: what the heard one got right is labelled in 7 days.

    As where looks are made, pairs count once all labels of their day have had their time.
    """
    planned = design(mode=Mode.SHADOW, weights=(1.0, 0.0))
    last: Look | None = None
    pairs_of: list[tuple[int, int]] = []
    ages: dict[str, dict[int, dict[int, int]]] = {"right": {}, "wrong": {}}
    for day in range(LOOKS):
        up, down, tied = (
            int(n) for n in rng.multinomial(a_day, (0.06 + gain / 2, 0.06 - gain / 2, 0.88))
        )
        pairs_of.append((up, down))
        wrong = up + int(rng.binomial(tied, 0.16))
        ages["wrong"][day * DAY] = {0: wrong}
        ages["right"][day * DAY] = {7 * DAY if late else 0: a_day - wrong}
        until = (day + 1) * DAY
        each = [maturity(arrived(of_class, until), until) for of_class in ages.values()]
        after = None if None in each else max(age for age in each if age is not None)
        old = 0 if after is None else max(0, (until - DAY - after) // DAY + 1)
        up, down = (sum(pair[side] for pair in pairs_of[:old]) for side in (0, 1))
        n = old * a_day
        difference = PairSums(n, (up - down) * PER_UNIT, (up + down) * PER_UNIT**2)
        evidence = Evidence(
            at=(day + 1) * DAY_US,
            pairs={"treatment": up, "control": down, "tied": n - up - down},
            difference=difference,
            elapsed_us=(day + 1) * DAY_US,
            mature_after_h=after,
        )
        last = judge(planned, evidence, last)
        if last.verdict is not Verdict.CONTINUE:
            break
    assert last is not None
    return Outcome(last.verdict, day + 1, (day + 1) * a_day, naive=None)


def arrived(ages: dict[int, dict[int, int]], until: int) -> dict[int, dict[int, int]]:
    """Give the labels that are there by an hour."""
    return {
        day: {age: n for age, n in labels.items() if day + age < until}
        for day, labels in ages.items()
    }


def late_ramp(rng: Rng, rates: tuple[float, float], *, fixed: bool, a_day: int = 1000) -> Outcome:
    """Wrong answers labelled after 1 day, right ones after 7; share 5, 25, 50 %, nine days each.

    The delays are exponential of that mean, or ``fixed``.
    """
    world = World(design())
    coming: dict[tuple[int, int], list[list[int]]] = {}

    def days() -> Iterator[int]:
        for day in range(LOOKS):
            phase = min(2, day // 9)
            share = (0.05, 0.25, 0.5)[phase]
            b = int(rng.binomial(a_day, share))
            counts = (a_day - b, b)
            world.expose(phase + 1, share, counts)
            for arm, (n, rate) in enumerate(zip(counts, rates, strict=True)):
                hits = int(rng.binomial(n, rate))
                for right, number in ((0, n - hits), (1, hits)):
                    mean = (1.0, 7.0)[right]
                    ages = np.full(number, mean) if fixed else rng.exponential(mean, number)
                    for age, found in enumerate(np.bincount(ages.astype(int))):
                        cell = coming.setdefault((day + age, day), [[0, 0], [0, 0]])
                        cell[arm][right] += int(found)
            for arrival, exposed in sorted(coming):
                if arrival == day:
                    cell = coming[arrival, exposed]
                    world.label(*(flags(sum(arm), arm[1]) for arm in cell))
            world.mature = Contribution()
            for exposed in range(day - 20):
                old = [
                    coming[at, exposed]
                    for at in range(exposed, exposed + 21)
                    if (at, exposed) in coming
                ]
                both = [
                    flags(sum(map(sum, (c[a] for c in old))), sum(c[a][1] for c in old))
                    for a in (0, 1)
                ]
                world.mature += contribution(*both)
            yield day

    return ended(world, days())


def repeated(
    rng: Rng, rates: tuple[float, float], *, steps: tuple[float, ...], same: bool = False
) -> Outcome:
    """1,000 units that come about once a day, each with a rate of its own (Beta, sd .2).

    ``same``: each is always right, or always wrong.
    """
    world, n_units = World(design(unit="unit")), 1000
    place, own = rng.random(n_units), rng.beta(3.2, 0.8, n_units)
    if same:
        own = (own > 0.5).astype(float)
    rows: dict[tuple[int, int, int], list[Any]] = {}
    first_of: set[int] = set()
    seen: dict[int, Any] = {}

    def days() -> Iterator[int]:
        for day in range(LOOKS):
            phase = min(len(steps) - 1, day * len(steps) // LOOKS)
            arm = (place < steps[phase]).astype(int)
            visits = rng.poisson(1.0, n_units)
            lift = np.asarray(rates)[arm] - rates[0]
            hits = rng.binomial(visits, np.clip(own + lift, 0, 1))
            if phase not in seen:
                seen[phase] = (np.full(n_units, -1), np.zeros(n_units, int), np.zeros(n_units, int))
            began, x, q = seen[phase]
            began[(began < 0) & (visits > 0)] = day
            x += visits
            q += hits
            new = [int(u) for u in np.flatnonzero(visits) if u not in first_of]
            first_of.update(new)
            b = int(arm[new].sum())
            world.expose(phase, steps[phase], (len(new) - b, b))
            for start in np.unique(began[began >= 0]):
                for side in (0, 1):
                    who = (began == start) & (arm == side)
                    rows[phase, int(start), side] = [pairs(q[who], x[who])]
            strata = {key[:2] for key in rows}
            each = [(rows[s, d, 0][0], rows[s, d, 1][0]) for s, d in sorted(strata)]
            of_phase: dict[int, Contribution] = {}
            for (at, _), one in zip(sorted(strata), ratio_contributions(each), strict=True):
                of_phase[at] = of_phase.get(at, Contribution()) + one
            world.goal = join_phases(of_phase, dict(enumerate(steps)))
            world.mature = world.goal
            world.sums = [sum((one[a] for one in each), PairSums()) for a in (0, 1)]
            yield day

    return ended(world, days())


def pairs(q: Any, x: Any) -> PairSums:
    q, x = q.astype(object), x.astype(object)
    n, step = len(q), PER_UNIT
    return PairSums(
        n,
        int(q.sum()) * step,
        int((q * q).sum()) * step**2,
        int(x.sum()),
        int((x * x).sum()),
        int((q * x).sum()) * step,
    )


# --- the report


def line(title: str, runs: list[Outcome]) -> str:
    """Say what runs came to; shares with their 95 % intervals."""
    n = len(runs)
    verdicts = (Verdict.PROMOTE, Verdict.ROLL_BACK, Verdict.INVALID)
    counts = [share(sum(run.verdict is verdict for run in runs), n) for verdict in verdicts]
    decided = [run for run in runs if run.verdict in verdicts]
    exposed = [run.exposed for run in decided]
    late = f"{np.median(exposed):,.0f} / {np.quantile(exposed, 0.95):,.0f}" if decided else "-"
    asked = runs[0].naive is not None
    naive = share(sum(bool(run.naive) for run in runs), n) if asked else "-"
    return f"| {title} | {n} | {' | '.join(counts)} | {naive} | {late} |"


def scenarios(count: int) -> Iterator[tuple[str, int, Callable[[Rng], Outcome]]]:
    """Name each scenario with its runs."""
    same, few = (0.8, 0.8), count // 4
    forever = design(planned_n=28_000)
    horizon = design(ends_after_s=LOOKS * 86_400)
    for name, planned in (("no end", forever), ("28 days", horizon)):
        for rates in (same, (0.8, 0.815), (0.8, 0.76)):
            apart = f"{100 * (rates[1] - rates[0]):+.1f} points"
            # a horizon's bounds are integrated anew at each look
            n = (count if rates == same else few) // (1 if planned is forever else 4)
            run = partial(split, planned=planned, rates=rates, a_day=1000)
            yield f"split, {name}, {apart}", n, run
    rare = partial(split, planned=forever, rates=(0.002, 0.002), a_day=1000)
    yield "split, no end, rare 0.2 %, 0", count, rare
    uneven = partial(split, planned=forever, rates=same, a_day=5000, got=0.51)
    yield "split, asked 50/50, got 49/51, 5,000 a day", count // 10, uneven
    for rates in (same, (0.8, 0.76), (0.8, 0.84)):
        title = f"late labels, 5-25-50 %, {100 * (rates[1] - rates[0]):+.0f} points"
        yield title, count if rates == same else few, partial(late_ramp, rates=rates, fixed=False)
    fixed = partial(late_ramp, rates=(0.8, 0.76), fixed=True)
    yield "late labels, delays fixed by the outcome, -4 points", count // 10, fixed
    for steps in ((0.5,), (0.05, 0.25, 0.5)):
        said = "-".join(f"{100 * share:.0f}" for share in steps)
        again = partial(repeated, rates=same, steps=steps)
        yield f"1,000 units, 28 visits each, {said} %, 0", count // 2, again
    for base in (0.8, 0.9):
        for harm in (0.0, 0.04, 0.08):
            title = f"guarded ramp, {100 * base:.0f} % right, {-100 * harm:+.0f} points"
            batch, n = (100, few) if harm else (400, count)
            run = partial(guarded_ramp, rates=(base, base - harm), batch=batch)
            yield title, n, run
    doubled = partial(guarded_ramp, rates=same, batch=100, bad=2.0)
    yield "guarded ramp, bad events doubled", few, doubled
    for gain in (0.0, 0.02):
        title = f"shadow, 12 % of pairs differ, {100 * gain:+.0f} points"
        yield title, count, partial(shadow, gain=gain, late=False)
    for gain in (0.0, 0.02):
        title = f"shadow, the heard one's wrong answers labelled 7 days sooner, {100 * gain:+.0f}"
        yield title, count, partial(shadow, gain=gain, late=True)
    growing = tuple(0.1 * step for step in range(1, 6))
    always = partial(repeated, rates=same, steps=growing, same=True)
    yield "1,000 units, each always right or wrong, 10-20-30-40-50 %, 0", count // 2, always


HEAD = """# Experiments: false decisions and power

Seed {seed}; `benchmarks/experiment_simulation.py`, through the judge on simulated sums. Shares in
percent with 95 % intervals; a look a day for 28 days. Guarded ramps are of the default steps with
four guardrails, to their end, a look a batch. "Naive" is the z-test at p < .05 on all labels at any
of the looks ("-": not asked); "exposed" are units of the treatment (pairs of a shadow) when it was
decided.

| scenario | runs | PROMOTE | ROLL_BACK | INVALID | naive | exposed, median / 95 % |
|---|---|---|---|---|---|---|"""


def main() -> None:
    options = options_of(__doc__, runs=400)
    options.add_argument("--only", default="", help="Scenarios that begin so.")
    chosen = options.parse_args()
    count = n_runs(chosen)
    table = Table()
    table.say(HEAD.format(seed=chosen.seed))
    for place, (title, n, run) in enumerate(scenarios(count)):
        if not title.startswith(chosen.only):
            continue
        rng = np.random.default_rng([chosen.seed, place])
        table.say(line(title, [run(rng) for _ in range(max(5, n))]))
    table.end(chosen.out)


if __name__ == "__main__":
    main()
