"""A bandit's look: which arm may be the best by the batches that are whole, and the next shares.

It makes no claim that an arm is better: shares that follow outcomes break what such a claim stands
on. So a look never promotes and never takes back; it follows, or it holds and says why.
"""

from collections.abc import Sequence
from math import prod

import msgspec
from sqlalchemy import Connection, select

from timonel.experiments.bandits.shares import (
    LEAST_VALUES,
    ArmBatch,
    Worth,
    chances_of_best,
    shares_of,
    worth_of,
)
from timonel.experiments.counting.cells import read_cells
from timonel.experiments.counting.sums import FIRST, LEAK, OPEN
from timonel.experiments.design import COMPLETE, Design
from timonel.experiments.judging.evidence import Evidence
from timonel.experiments.judging.look import ArmReport, Look, Rule, Verdict
from timonel.stats.sequential import srm_e_value
from timonel.store.tables_experiments import experiment_cells, experiment_phases

ENGINE = "thompson"
SRM_BLOCKS = 100.0
_UNITS_A_FLOOR = 5.0


def least_units(design: Design) -> int:
    """Give how many units a batch needs before the next begins: some of the smallest arm, too."""
    return round(_UNITS_A_FLOOR / design.floor)


def whole_batch(arms: Sequence[ArmBatch]) -> bool:
    """Tell whether nearly all units of each arm have an outcome."""
    return all(one.n >= max(LEAST_VALUES, COMPLETE * one.units) for one in arms)


def read_batches(
    connection: Connection, project: str, design: Design, *, at: int, started_at: int | None
) -> Evidence:
    """Read what a look judges: units and values by batch, which is a phase, and arm."""
    evidence = Evidence(at=at, elapsed_us=0 if started_at is None else max(0, at - started_at))
    p = experiment_phases.c
    query = select(p.phase, p.weights, p.at).where(
        p.project == project, p.experiment == design.name
    )
    rows = connection.execute(query.order_by(p.phase)).all()
    for phase, weights, _ in rows:
        evidence.weights[phase] = msgspec.json.decode(weights, type=tuple[float, ...])
    of_units = experiment_cells.c.arrival_slot == OPEN
    for key, sums in read_cells(connection, project, design.name, of_units).items():
        if key.metric == LEAK:
            evidence.leaks += sums.n
        elif key.metric in (FIRST, design.metric):
            arms = evidence.batches.setdefault(key.phase, {})
            units, n, q, q2 = arms.get(key.arm, (0, 0, 0, 0))
            if key.metric == FIRST:
                arms[key.arm] = (units + sums.n, n, q, q2)
            else:
                arms[key.arm] = (units, n + sums.n, q + sums.q, q2 + sums.q2)
    if rows and at - rows[-1].at < design.batch_s * 1_000_000:
        evidence.running = rows[-1].phase
    return evidence


def judge_batches(design: Design, evidence: Evidence) -> Look:
    """Look once at a bandit."""
    whole, waiting = _whole(design, evidence)
    worths = worth_of(whole) if whole else []
    srm = prod(
        srm_e_value([arms.get(name, (0,))[0] for name in design.names], evidence.weights[phase])
        for phase, arms in sorted(evidence.batches.items())
        if phase in evidence.weights
    )
    facts: dict[str, object] = {"batches": len(whole), "waiting": waiting, "floor": design.floor}
    if worths:
        chances = chances_of_best(worths, higher_is_better=design.higher_is_better)
        facts["best"] = dict(zip(design.names, chances, strict=True))
        facts["shares"] = list(shares_of(chances, design.floor))
    newest = evidence.batches.get(max(evidence.weights, default=0), {})
    facts["units_of_batch"] = sum(units for units, *_ in newest.values())
    verdict, rule = Verdict.CONTINUE, Rule.BANDIT_FOLLOWS if worths else Rule.BANDIT_HOLDS
    if evidence.leaks or srm >= SRM_BLOCKS:
        verdict = Verdict.INVALID
        rule = Rule.UNIT_IN_TWO_ARMS if evidence.leaks else Rule.SHARES_DIFFER
    elif not evidence.batches:
        rule = Rule.NO_DATA
    reports = [
        _report(name, evidence, worths[place] if worths else None)
        for place, name in enumerate(design.names)
    ]
    return Look(
        at=evidence.at,
        verdict=verdict,
        rule=rule,
        alpha=design.alpha,
        engine=ENGINE,
        arms=reports,
        srm_e=min(srm, 1e300),
        leaks=evidence.leaks,
        immature=sum(one.units - one.labelled for one in reports),
        facts=facts,
    )


def _whole(design: Design, evidence: Evidence) -> tuple[list[list[ArmBatch]], int]:
    """Give the ended batches that are whole, and how many wait for outcomes."""
    whole, waiting = [], 0
    for phase, arms in sorted(evidence.batches.items()):
        if phase == evidence.running:
            continue
        batch = [ArmBatch(*arms.get(name, ())) for name in design.names]
        if whole_batch(batch):
            whole.append(batch)
        else:
            waiting += 1
    return whole, waiting


def _report(name: str, evidence: Evidence, worth: Worth | None) -> ArmReport:
    own = [arms[name] for arms in evidence.batches.values() if name in arms]
    units, labelled = sum(one[0] for one in own), sum(one[1] for one in own)
    if worth is None:
        return ArmReport(arm=name, units=units, answers=0, labelled=labelled)
    return ArmReport(
        arm=name,
        units=units,
        answers=0,
        labelled=labelled,
        mean=worth.mean,
        lower=float(worth.quantile(0.025)),
        upper=float(worth.quantile(0.975)),
    )
