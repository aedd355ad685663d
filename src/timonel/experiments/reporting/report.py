"""What a report of an experiment says: the last stored look, what it was fed, and the history.

Nothing is judged here: a look is an act, and a report reads the last one.
"""

from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, func, select

from timonel.errors import Phrase
from timonel.events.joining import JOINED
from timonel.experiments.counting.derived import cell_of
from timonel.experiments.counting.sums import CORRECTED
from timonel.experiments.design import HOLDOUT, Design, Mode, Strategy, variant_of
from timonel.experiments.judging.evidence import Counted, Evidence, covaried, decode_evidence
from timonel.experiments.judging.judge import comparison
from timonel.experiments.judging.look import Look, alpha_each, direction, n_star
from timonel.experiments.judging.reports import arm_moments
from timonel.experiments.latency import Answered, answers_of
from timonel.experiments.rows import Event, Experiment, Rows
from timonel.stats.compare import (
    Comparison,
    Unsayable,
    chance_to_win,
    cuped_lift,
    relative_lift,
)
from timonel.stats.moments import BivariateMoments, adjusted, theta_of
from timonel.stats.sequential import asymptotic_cs
from timonel.store.tables import outcomes, predictions

NO_LOOK = Phrase(
    "nobody has looked at it yet (`timonel experiment look`)",
    "aún nadie lo ha mirado (`timonel experiment look`)",
)
NO_EVIDENCE = Phrase(
    "the look is from before its evidence was kept",
    "la mirada es anterior a que se guardara su evidencia",
)
SEVERAL_SHARES = Phrase(
    "the shares changed meanwhile, so the arms' own means are not of the same time",
    "las partes cambiaron entretanto: las medias de las variantes no son del mismo tiempo",
)
PAIRS = Phrase(
    "pairs of answers are compared, not two arms",
    "se comparan pares de respuestas, no dos variantes",
)
NO_EFFECT = Phrase(
    "an arm has no outcome yet, or all outcomes are the same",
    "una variante aún no tiene resultados, o todos son iguales",
)
NO_COMPARISON = Phrase(
    "no unit whose window has ended clicked more of one ranking's items than of the other's",
    "ninguna unidad con ventana cerrada eligió más elementos de un orden que del otro",
)
NO_WHOLE_BATCH = Phrase(
    "of no ended batch have 95 % of each arm's units an outcome",
    "en ningún lote cerrado tiene resultado el 95 % de las unidades de cada variante",
)
_REASONS = {
    Unsayable.EMPTY: Phrase("an arm has no outcome", "una variante no tiene resultados"),
    Unsayable.SINGLE: Phrase(
        "an arm has fewer than two outcomes", "una variante tiene menos de dos resultados"
    ),
    Unsayable.CONSTANT: Phrase(
        "all outcomes of an arm are the same", "todos los resultados de una variante son iguales"
    ),
    Unsayable.NOT_POSITIVE: Phrase(
        "the control's mean is not positive", "la media del control no es positiva"
    ),
    Unsayable.BEYOND: Phrase(
        "its numbers are too large or too small to compute with",
        "sus números son demasiado grandes o pequeños para calcular con ellos",
    ),
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; None is unknown, and the reason stands beside it."""

    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    reason: Phrase | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a decision for one arm may cost, in the metric's own unit.

    Parameters
    ----------
    keeping, choosing : float
        Lost a unit, on average, by keeping the control or choosing the treatment, weighing every
        size of the effect by its chance after these data (flat prior).
    n_worse : int
        Units in the arm that did worse so far.
    worse_is_treatment : bool
    each : float
        What each of them lost, at least 0.
    """

    keeping: float
    choosing: float
    n_worse: int
    worse_is_treatment: bool
    each: float


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What was taken out of the goal by what was known before.

    Parameters
    ----------
    theta : float
        Of the goal, a unit of the covariate.
    kept : float or None
        Share of the goal's variance that is left; None where it had none.
    """

    theta: float
    kept: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report is written from.

    Parameters
    ----------
    number : int
        Of the look, from 1; 0: none was made.
    unsaid : Phrase or None
        Why there is no evidence.
    lifts : dict of str to Estimate
        By treatment: the effect as a share of the control's mean.
    costs : dict of str to Cost
    corrected : int or None
    adjustment : Adjustment or None
    phases : dict of int to int
        When each began, by its number.
    answered : dict of str to Answered
        Of arms whose answers are in the log.
    """

    experiment: Experiment
    events: list[Event]
    number: int = 0
    look: Look | None = None
    evidence: Evidence | None = None
    unsaid: Phrase | None = None
    lifts: dict[str, Estimate] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    corrected: int | None = None
    adjustment: Adjustment | None = None
    phases: dict[int, int] = field(default_factory=dict)
    answered: dict[str, Answered] = field(default_factory=dict)


def read_report(connection: Connection, project: str, name: str) -> Report:
    """Read an experiment's report.

    Raises
    ------
    UnknownExperiment
    """
    rows = Rows(connection, project)
    experiment, events = rows.one(name), rows.events(name)
    number, look, kept = rows.last_judged(name)
    if look is None:
        return Report(experiment, events, unsaid=NO_LOOK)
    evidence = _evidence(kept)
    if evidence is None:
        return Report(experiment, events, number, look, unsaid=NO_EVIDENCE)
    design = experiment.design
    if design.mode is Mode.INTERLEAVE or design.strategy is Strategy.THOMPSON:
        began = rows.phases_began(name)  # no arm is held against another: no lift, no cost
        return Report(experiment, events, number, look, evidence, phases=began)
    by_units = sum(counted.sums(CORRECTED).x for counted in evidence.arms.values())
    treatments = design.names[1:]
    costs = {arm: _cost(design, look, evidence, arm) for arm in treatments}
    return Report(
        experiment,
        events,
        number,
        look,
        evidence,
        lifts={arm: _lift(design, evidence, arm) for arm in treatments},
        costs={arm: cost for arm, cost in costs.items() if cost is not None},
        corrected=by_units + _corrected_in_log(connection, project, design),
        adjustment=_adjustment(design, evidence),
        answered=answered_by_arm(connection, project, experiment),
    )


def answered_by_arm(
    connection: Connection, project: str, experiment: Experiment
) -> dict[str, Answered]:
    """Give what is known of the answers of an experiment's arms, by the minutes that are kept."""
    variants = {variant_of(experiment.name, arm): arm for arm in experiment.design.names}
    since = experiment.started_at or experiment.created_at
    model = experiment.design.model
    found = answers_of(connection, project, model, list(variants), since)
    return {arm: found[variant] for variant, arm in variants.items() if variant in found}


def _evidence(kept: str | None) -> Evidence | None:
    try:
        return None if kept is None else decode_evidence(kept)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _lift(design: Design, evidence: Evidence, arm: str) -> Estimate:
    """Give the effect as a share of the control's mean, by an interval that holds at every look."""
    if design.mode is Mode.SHADOW:
        return Estimate(reason=PAIRS)
    if len(evidence.weights) > 1 and design.listed is None:
        return Estimate(reason=SEVERAL_SHARES)
    compared = comparison(design, evidence, arm)
    found = _fixed_lift(design, evidence, arm)
    if compared is None or found is None:
        return Estimate(reason=NO_EFFECT)
    if found.effect is None or found.se is None:
        return Estimate(found.effect, reason=_REASONS[found.reason or Unsayable.CONSTANT])
    around = asymptotic_cs(
        found.effect, found.se, compared[2], alpha=alpha_each(design), n_star=n_star(design)
    )
    return Estimate(found.effect, around.lower, around.upper)


def _fixed_lift(design: Design, evidence: Evidence, arm: str) -> Comparison | None:
    """Give the relative lift of one look; with a covariate, on the unadjusted control's mean."""
    if design.adjusts:
        a, b = (_covaried(design, evidence, name) for name in (design.names[0], arm))
        return None if a is None or b is None else cuped_lift(a, b)
    control, treatment = (
        arm_moments(evidence.arms, name, design.metric) for name in (design.names[0], arm)
    )
    return None if control is None or treatment is None else relative_lift(control, treatment)


def _covaried(design: Design, evidence: Evidence, arm: str) -> BivariateMoments | None:
    return covaried(evidence.arms.get(arm, Counted()).sums(cell_of(design, design.metric)))


def _adjustment(design: Design, evidence: Evidence) -> Adjustment | None:
    if design.listed is None or not design.listed.covariate:
        return None
    arms = [one for name in design.names if (one := _covaried(design, evidence, name)) is not None]
    theta = theta_of(arms)
    before = sum(one.m2_y for one in arms)
    left = sum(adjusted(one, theta).m2 for one in arms)
    return Adjustment(theta, left / before if before > 0.0 else None)


def _cost(design: Design, look: Look, evidence: Evidence, arm: str) -> Cost | None:
    compared = comparison(design, evidence, arm)
    if compared is None:
        return None
    better = direction(design) * compared[0]
    risk = chance_to_win(better, compared[1])
    if risk.risk_control is None or risk.risk_treatment is None:
        return None
    worse = arm if better < 0 else design.names[0]
    units = sum(report.units for report in look.arms if report.arm == worse)
    return Cost(risk.risk_control, risk.risk_treatment, units, better < 0, abs(better))


def _corrected_in_log(connection: Connection, project: str, design: Design) -> int:
    """Count the truths that took the place of an earlier one."""
    o, p = outcomes.c, predictions.c
    variants = [variant_of(design.name, arm) for arm in (*design.names, HOLDOUT)]
    query = (
        select(func.count())
        .select_from(outcomes)
        .join(predictions, (p.project == o.project) & (p.prediction_id == o.prediction_id))
        .where(
            o.project == project,
            o.model == design.model,
            o.state == JOINED,
            o.revision > 1,
            p.variant.in_(variants),
        )
    )
    return connection.scalar(query) or 0
