"""What a report says of a bandit: its batches, what each arm is worth by them, what is unknown."""

from timonel.experiments.bandits.shares import ArmBatch
from timonel.experiments.judging.batches import SRM_BLOCKS, least_units, whole_batch
from timonel.experiments.judging.look import ArmReport, Look
from timonel.experiments.reporting.page import Page, Section, seen
from timonel.experiments.reporting.report import NO_WHOLE_BATCH, Report

_SHOWN = 60


def _means(page: Page, report: Report, look: Look) -> None:
    metric = f"`{report.experiment.design.metric}`"
    headings = [page.say(key) for key in ("arm", "units", "labelled")]
    headings += [page.say("mean", metric=metric), page.say("interval_95")]
    headings += [page.say("chance_of_best"), page.say("next_share")]
    names = [arm.arm for arm in look.arms]
    shares = dict(zip(names, look.facts.get("shares", ()), strict=False))
    page.table(headings, [_arm(page, arm, look, shares) for arm in look.arms])
    page.add(page.say("means_note", n=look.facts["batches"]))
    n = sum(arm.units for arm in look.arms)
    page.add(page.say("immature_units", n=look.immature, of=n))


def _arm(page: Page, arm: ArmReport, look: Look, shares: dict[str, float]) -> list[str]:
    unknown = page.unknown(NO_WHOLE_BATCH)
    best = look.facts.get("best", {}).get(arm.arm)
    share = shares.get(arm.arm)
    return [
        arm.arm,
        str(arm.units),
        str(arm.labelled),
        unknown if arm.mean is None else page.number(arm.mean),
        unknown if arm.mean is None else page.interval(arm.lower, arm.upper),
        unknown if best is None else _chance(page, best),
        page.say("shares_stay") if share is None else page.figure(share, ".1%"),
    ]


def _chance(page: Page, chance: float) -> str:
    """Write a chance; none is so small that it is 0."""
    return f"< {page.figure(0.001, '.1%')}" if chance < 0.001 else page.figure(chance, ".1%")


def _batches(page: Page, report: Report, look: Look) -> None:
    evidence, design = report.evidence, report.experiment.design
    if evidence is None:
        page.add(page.unknown(report.unsaid))
        return
    page.add(
        page.say(
            "batches_counted",
            n=look.facts["batches"],
            waiting=look.facts["waiting"],
            least=least_units(design),
        )
    )
    rows = []
    for phase, weights in sorted(evidence.weights.items()):
        arms = evidence.batches.get(phase, {})
        batch = [ArmBatch(*arms.get(name, ())) for name in design.names]
        state = "waits" if not whole_batch(batch) else "counted"
        state = "running" if phase == evidence.running else state
        began = report.phases.get(phase)
        rows.append(
            [
                str(phase),
                page.unknown(report.unsaid) if began is None else page.time(began),
                " / ".join(page.figure(share, ".1%") for share in weights),
                " / ".join(str(one.units) for one in batch),
                " / ".join(str(one.n) for one in batch),
                page.say(f"batch_{state}"),
            ]
        )
    headings = [page.say(key) for key in ("batch", "began")]
    of = " / ".join(design.names)
    headings += [page.say(key, arms=of) for key in ("shares_of", "units_of", "labelled_of")]
    page.table([*headings, page.say("batch_state")], rows[-_SHOWN:])
    if len(rows) > _SHOWN:
        page.add(page.say("batches_before", n=len(rows) - _SHOWN))


def _ratio(page: Page, report: Report, look: Look) -> None:
    told = "batch_srm_alarm" if look.srm_e >= SRM_BLOCKS else "batch_srm_ok"
    page.add(page.say(told, e=page.figure(look.srm_e, ".3g")))
    page.add(page.say("leaks", n=look.leaks))


SECTIONS: tuple[Section, ...] = (
    seen("means", _means),
    seen("batches", _batches),
    seen("srm", _ratio),
)
