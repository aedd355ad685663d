"""How often a template decides where nothing differs, though it is looked at as outcomes come."""

import random
from collections.abc import Callable
from math import ceil
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from timonel.experiments.counting.derived import cell_of, derived_of, part_cells
from timonel.experiments.counting.sums import PairSums
from timonel.experiments.design import Cap, Design, UnitList
from timonel.experiments.judging.evidence import Counted, Evidence
from timonel.experiments.judging.judge import judge
from timonel.experiments.judging.look import Look, Verdict
from timonel.experiments.judging.reading import compare_strata
from timonel.experiments.outside.drawing import edges_of
from timonel.experiments.outside.lists import assign_list
from timonel.experiments.templates import TEMPLATES
from timonel.experiments.wishes import Wish, design_of
from timonel.stats.moments import quantise

RUNS, N, LOOKS = 200, 1000, 8


class Unit(NamedTuple):
    """One unit: its block, what was known of it, and what will come of it in either arm."""

    block: str
    covariate: float
    values: dict[str, float]


def customer(draw: random.Random, place: int) -> Unit:
    spent = draw.lognormvariate(3.0, 1.2)
    revenue = 0.0 if draw.random() < 0.3 else spent * draw.lognormvariate(0.0, 0.8)
    orders = float(sum(draw.random() < 0.3 for _ in range(8)))
    churned = float(draw.random() < 0.1)
    return Unit("", spent, {"revenue": revenue, "orders_count": orders, "churned": churned})


def at_risk(draw: random.Random, place: int) -> Unit:
    risk = draw.betavariate(1.0, 4.0)
    return Unit("", risk, {"churned": float(draw.random() < risk)})


def sku_week(draw: random.Random, place: int) -> Unit:
    sku, week = divmod(place, 20)
    rate = random.Random(sku).betavariate(1.0, 3.0) * (1.5 if week > 15 else 1.0)
    out = float(draw.random() < rate)
    return Unit(f"sku{sku}", 0.0, {"stockout": out, "cost": draw.gauss(50.0 * (sku % 7), 10) + out})


KINDS: dict[str, Callable[[random.Random, int], Unit]] = {
    "dynamic-prices": customer,
    "churn-alert": at_risk,
    "demand-forecast": sku_week,
}


def drawn(template: str, seed: int) -> tuple[Design, list[Unit], list[str]]:
    draw = random.Random(seed)
    units = [KINDS[template](draw, place) for place in range(N)]
    names = [f"u{place}" for place in range(N)]
    treated = assign_list(names, 0.5, seed, [unit.block for unit in units])
    design = design_of(
        Wish(name="a", template=template), model="m", task="binary", depends_on_action=True
    )
    covariates = [quantise(unit.covariate) for unit in units]
    known = TEMPLATES[template].covariate is not None
    listed = UnitList(
        source="f",
        sha256="0",
        seed=seed,
        key="unit_id",
        counts=(N - sum(treated), sum(treated)),
        covariate="before" if known else "",
        edges=edges_of(covariates, TEMPLATES[template].parts),
    )
    arms = ["treatment" if chosen else "control" for chosen in treated]
    return replace(design, listed=listed, planned_n=N), units, arms


def looks(template: str, seed: int) -> list[Look]:
    """Play one experiment: outcomes in random order, a look after each part of them."""
    design, units, arms = drawn(template, seed)
    order = random.Random(seed + 1).sample(range(N), N)
    made: list[Look] = []
    for look in range(1, LOOKS + 1):
        known = order[: N * look // LOOKS]
        design = capped(design, [units[i] for i in known if arms[i] == "control"])
        evidence = counted(design, [(units[i], arms[i]) for i in known])
        made.append(judge(design, evidence, made[-1] if made else None))
    return made


def capped(design: Design, control: list[Unit]) -> Design:
    cap = design.cap
    if cap is None or cap.steps is not None or len(control) < design.cap_needs:
        return design
    mine = sorted(quantise(unit.values[design.metric]) for unit in control)
    steps = mine[ceil(round(cap.quantile * len(mine), 6)) - 1]
    return replace(design, cap=Cap(cap.quantile, steps, len(mine)))


def counted(design: Design, known: list[tuple[Unit, str]]) -> Evidence:
    evidence = Evidence(at=1, weights={1: (0.5, 0.5)})
    pairs = derived_of(design)
    sums: dict[str, dict[str, list[PairSums]]] = {}
    for unit, arm in known:
        values = {metric: quantise(value) for metric, value in unit.values.items()}
        covariate = quantise(unit.covariate)
        for metric, q in values.items():
            sums.setdefault(metric, {}).setdefault(arm, []).append(PairSums.pair(q, 1))
        for pair in pairs:
            found = pair.of(values, covariate)
            if found:
                sums.setdefault(pair.name, {}).setdefault(arm, []).append(found)
    whole = {
        name: {arm: sum(each, PairSums()) for arm, each in by_arm.items()}
        for name, by_arm in sums.items()
    }
    assert design.listed is not None
    for arm, n in zip(design.names, design.listed.counts, strict=True):
        evidence.arms[arm] = Counted(n, {name: by[arm] for name, by in whole.items() if arm in by})
    evidence.first = {1: {arm: one.units for arm, one in evidence.arms.items()}}

    def compared(metric: str) -> dict[str, Any]:
        strata = whole.get(cell_of(design, metric))
        return compare_strata(design, metric, {(1, 0): strata} if strata else {})

    evidence.metrics = {metric: compared(metric) for metric in design.metrics}
    evidence.parts = {name: compared(name) for name in part_cells(design)}
    evidence.goal = evidence.mature = evidence.metrics[design.metric]
    return evidence


@pytest.mark.slow
@pytest.mark.parametrize("template", KINDS)
def test_where_nothing_differs_few_decide(template: str) -> None:
    decided = believed = 0
    for seed in range(RUNS):
        made = looks(template, 1000 + 7 * seed)
        verdicts = {look.verdict for look in made}
        decided += bool(verdicts & {Verdict.PROMOTE, Verdict.ROLL_BACK})
        shown = [one for look in made for one in (*look.compared, *look.by_part)]
        believed += any(one.adjusted_p is not None and one.adjusted_p <= 0.05 for one in shown)
        assert made[-1].goals[0].effect is not None
    print(f"{template}: {decided} of {RUNS} decided, {believed} showed something")
    assert decided <= 0.05 * RUNS
    assert believed <= 0.05 * RUNS
