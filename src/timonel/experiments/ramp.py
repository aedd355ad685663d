"""A guarded ramp's next move, and a bandit's: pure. Unknown is a state, and it holds.

A step grows when it has lasted, enough units have seen it and their labels are known, and nothing
speaks against it; the last step ends in promotion. Harm rolls back at once. No traffic, no labels,
a look that could not be made: the share stays as it is.
"""

from enum import StrEnum
from typing import NamedTuple

from timonel.errors import Phrase
from timonel.experiments.design import Mode, Strategy
from timonel.experiments.judging.batches import least_units
from timonel.experiments.judging.look import Look, Verdict
from timonel.experiments.rows import Experiment
from timonel.experiments.texts import rule_text

# evidence of harm at which a share no longer grows, long before it rolls back: an exposed unit says
# most of the difference while the share is small (ADR 0039)
CAUTION_E = 3.0


class Moved(StrEnum):
    """What is done."""

    HOLD = "hold"
    GROW = "grow"
    ROLL_BACK = "roll_back"
    PROMOTE = "promote"
    BATCH = "batch"  # a bandit's next shares


class Move(NamedTuple):
    """A ramp's next move, and why."""

    action: Moved
    reason: Phrase
    weights: tuple[float, ...] = ()


def next_move(experiment: Experiment, look: Look, began: int, exposed: int) -> Move:
    """Say what the rules of a ramp or a bandit ask for now; other experiments always hold.

    Parameters
    ----------
    experiment : Experiment
        Active.
    look : Look
        The newest.
    began : int
        When the step began, in microseconds of the event clock.
    exposed : int
        Units of the treatment so far; one that came in several phases counts in each.
    """
    design = experiment.design
    if design.strategy is Strategy.THOMPSON:
        return _next_batch(experiment, look, began)
    if design.mode is not Mode.RAMP:
        return Move(Moved.HOLD, Phrase("people decide it", "lo deciden personas"))
    if look.verdict is Verdict.ROLL_BACK:
        reason = Phrase("harm: {rule}", "daño: {rule}", rule=rule_text(look))
        return Move(Moved.ROLL_BACK, reason)
    if look.verdict is Verdict.INVALID:
        return Move(Moved.HOLD, Phrase("the look is invalid", "la mirada no es válida"))
    held = _why_not_yet(experiment, look, began, exposed)
    if held is not None:
        return Move(Moved.HOLD, held)
    place = _step(experiment)
    if place + 1 < len(design.steps):
        share = design.steps[place + 1].share
        reason = Phrase("nothing speaks against it", "nada habla en contra")
        return Move(Moved.GROW, reason, (1.0 - share, share))
    return Move(Moved.PROMOTE, Phrase("the last step has held", "el último paso se sostuvo"))


def _why_not_yet(experiment: Experiment, look: Look, began: int, exposed: int) -> Phrase | None:
    """Say why a ramp's share stays as it is, if it has to."""
    if (look.ramp_e or 1.0) >= CAUTION_E:
        return Phrase("signs of harm", "señales de daño")
    design, place = experiment.design, _step(experiment)
    lasted_s = (look.at - began) / 1e6
    treatment = next((arm for arm in look.arms if arm.arm == design.names[1]), None)
    if lasted_s < design.steps[place].least_s:
        return Phrase("the step is young", "el paso es reciente")
    least = sum(one.least_exposed for one in design.steps[: place + 1])
    if treatment is None or exposed < least:
        return Phrase("too few units", "muy pocas unidades")
    if treatment.labelled < least:
        # an exposure without a label says nothing of the goal
        return Phrase("too few labels", "muy pocos resultados")
    if look.silent:
        return Phrase(
            "too little is recorded of {metrics} to speak of harm",
            "de {metrics} se ha registrado muy poco para hablar de daño",
            metrics=", ".join(look.silent),
        )
    return None


def _next_batch(experiment: Experiment, look: Look, began: int) -> Move:
    """Begin a bandit's next batch where this one is long and large enough.

    It begins with the shares of before where nothing new can be said: so the units of this one are
    a batch that can become whole.
    """
    design = experiment.design
    if look.at - began < design.batch_s * 1_000_000:
        return Move(Moved.HOLD, Phrase("the batch is young", "el lote es reciente"))
    if look.facts["units_of_batch"] < least_units(design):
        return Move(Moved.HOLD, Phrase("too few units", "muy pocas unidades"))
    if look.verdict is Verdict.INVALID or "shares" not in look.facts:
        return Move(Moved.BATCH, rule_text(look), experiment.weights)
    followed = Phrase("chances of being the best", "probabilidades de ser la mejor")
    return Move(Moved.BATCH, followed, tuple(look.facts["shares"]))


def _step(experiment: Experiment) -> int:
    share = experiment.weights[1]
    reached = [
        place for place, step in enumerate(experiment.design.steps) if step.share <= share + 1e-9
    ]
    return reached[-1] if reached else 0
