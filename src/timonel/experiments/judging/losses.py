"""Every loss that two forecasts are compared in, on the same series and periods.

The goal decides, at its own alpha; the others are shown with p-values adjusted together with it.
"""

from typing import Any

from timonel.experiments.design import Design
from timonel.experiments.judging.evidence import Evidence, Paired
from timonel.experiments.judging.look import Look, MetricReport, Unsaid, alpha_each, finite, n_star
from timonel.experiments.judging.pairs import clustered_twice, enough_clusters
from timonel.stats.moments import PER_UNIT
from timonel.stats.sequential import asymptotic_cs


def loss_reports(design: Design, evidence: Evidence, before: Look | None) -> list[MetricReport]:
    """Report each loss, the goal first; none where only the goal is compared.

    Notes
    -----
    Before there are clusters enough to know how they spread nothing is said, so that the smallest p
    of all looks is one of looks at which it holds.
    """
    arm = design.names[1]
    earlier = () if before is None else before.compared
    return [
        MetricReport(
            metric=metric,
            role="goal" if metric == design.metric else "secondary",
            arm=arm,
            **_compare(
                design,
                evidence.paired.get(metric, Paired()),
                [one.p_value for one in earlier if (one.metric, one.arm) == (metric, arm)],
            ),
        )
        for metric in (design.paired if design.secondary else ())
    ]


def _compare(design: Design, found: Paired, earlier: list[float | None]) -> dict[str, Any]:
    n = found.each.n
    compared = clustered_twice(found.periods, found.difference, found.each)
    heard = found.heard.q / found.heard.n / PER_UNIT if found.heard.n > 0 else None
    report: dict[str, Any] = {"n_control": n, "n_treatment": n, "control": heard}
    if compared is None or heard is None:
        return report | {"reason": Unsaid.FEW_PERIODS if n else Unsaid.NO_PAIR}
    effect, se, information = compared
    report["treatment"] = heard + effect
    if se == 0.0:
        return report | {"reason": Unsaid.NO_SPREAD}
    if not enough_clusters(found.periods, found.difference):
        return report | {"reason": Unsaid.FEW_PERIODS}
    around = asymptotic_cs(effect, se, information, alpha=alpha_each(design), n_star=n_star(design))
    return report | {
        "effect": effect,
        "lower": finite(around.lower),
        "upper": finite(around.upper),
        "e_value": min(around.e_value, 1e300),
        "p_value": min([around.p_value, *(p for p in earlier if p is not None)]),
    }
