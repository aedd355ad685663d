"""A design made from what a person asked for: one place for routes, commands and Python."""

import re
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

import msgspec
from msgspec.structs import replace

from timonel.errors import Phrase
from timonel.experiments.checking.guardrails import known_guardrails
from timonel.experiments.design import (
    COST,
    LEAST_BLOCKS,
    SLOW,
    STOCKED,
    STOCKOUT,
    Answers,
    Arm,
    Cap,
    Condition,
    Costs,
    Design,
    Guardrail,
    Mode,
    Namespace,
    Step,
    Strategy,
)
from timonel.experiments.errors import InvalidDesign, NotRandomised
from timonel.experiments.templates import TEMPLATES

RAMP_SHARES = (0.01, 0.05, 0.25, 0.5, 1.0)
# by a step's share: its least units, times those of the first. The greater the share, the sooner
# units come and the less each says, so most of them are asked where they cost the least time; at
# the whole there is nothing left to compare with. Measured in ADR 0039.
_STEP_UNITS = ((0.05, 1), (0.25, 4), (0.5, 10), (1.0, 30))
_OF_THE_CLOCK = re.compile(
    "DAY|NIGHT|HOUR|WEEK|SCHEDULE|CALENDAR|ALTERNAT|D[IÍ]A|NOCHE|HORA|SEMANA|CALENDARIO"
)
_LESS_IS_BETTER = ("absolute_error", "squared_error")
_GOALS = {"binary": "correct", "multiclass": "correct", "regression": "absolute_error"}


class Wish(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What may be said of a new experiment; what is left out has a stated default.

    Parameters
    ----------
    control, treatment : str
        A version number, ``rules`` or ``external``; in mode outside it can be none but external.
    share : float
        Of the treatment, in (0, 1).
    namespace : str or None
        ``NAME:LOW-HIGH``.
    guardrails : list of str
        ``fallback``, ``error``, ``slow`` (against the control's day before) or
        ``slow:MILLISECONDS``, each with ``@RATIO`` where another ratio than 1.1 is tolerated; or
        what is recorded of units: ``cancelled:bad`` with ``@RATIO``, of 1 and 0; ``spent:higher``
        or ``spent:lower`` (which is better) with ``@MARGIN`` for how much worse may pass.
    also : list of str
        Further metrics that are recorded of units, in mode outside.
    lower_is_better : bool or None
        None: as is usual for the metric.
    cap : float or None
        Quantile of the control's values, in (0, 1): what lies above counts as that.
    template : str
        Of ``timonel.experiments.templates``: it says what is left out.
    horizon_days : int or None
        Outcomes of a list are known so many days after its start, and none is before.
    period_h : float or None
        Hours that answers share their weather for, in mode shadow; None: none.
    holding, shortage : float or None
        In pairs of forecasts: the cost of a piece that is left over, and of one that is short.
    block_h : float or None
        Hours of a block, with TIME_BASED (1).
    step_hours, step_units : float or int or None
        The least that a ramp's step lasts (1) and is seen by (100).
    window_minutes : float or None
        How long clicks count, in mode interleave (30).
    arms : list of str
        Names of further treatments, with THOMPSON.
    floor, batch_hours : float or None
        With THOMPSON: the least share of an arm (5 %), and the least time between shares (24).
    only : list of str
        Conditions on inputs: ``FEATURE OP VALUE``.
    """

    name: str
    control: str = ""
    treatment: str = ""
    mode: str = "split"
    strategy: str | None = None
    share: float = 0.5
    unit: str | None = None
    block_h: float | None = None
    days: float | None = None
    planned_n: int | None = None
    metric: str | None = None
    also: list[str] = []
    lower_is_better: bool | None = None
    margin: float = 0.0
    alpha: float = 0.05
    holdout: float = 0.0
    namespace: str | None = None
    guardrails: list[str] = []
    only: list[str] = []
    steps: list[float] = []
    step_hours: float | None = None
    step_units: int | None = None
    window_minutes: float | None = None
    arms: list[str] = []
    floor: float | None = None
    batch_hours: float | None = None
    salt: str | None = None
    hash: str = "blake2b"
    hypothesis: str = ""
    cap: float | None = None
    template: str = ""
    horizon_days: int | None = None
    period_h: float | None = None
    holding: float | None = None
    shortage: float | None = None


def design_of(wish: Wish, *, model: str, task: str, depends_on_action: bool) -> Design:
    """Make a design, with the defaults of its model.

    Raises
    ------
    InvalidDesign
        If a word or a form is none that is known.
    """
    wish = filled(wish)
    mode = _word(wish, "mode", wish.mode, Mode)
    if mode is Mode.OUTSIDE and not wish.metric:
        expected = Phrase(
            "the name of what is recorded of units: revenue",
            "el nombre de lo que se registra de las unidades: revenue",
        )
        raise InvalidDesign(experiment=wish.name[:64], field="metric", found="-", expected=expected)
    clicks = "clicks" if mode is Mode.INTERLEAVE else ""
    metric = wish.metric or clicks or usual_goal(task)
    told = wish.lower_is_better
    of_stock = mode is Mode.SHADOW and metric in STOCKED
    lower = (of_stock or not more_is_better(metric)) if told is None else told
    by_half = wish.share == 0.5 and mode is Mode.SPLIT
    strategy = Strategy.RANDOM_50_50 if by_half else Strategy.WEIGHT_BASED
    if wish.strategy is not None:
        _refuse_schedule(wish, wish.strategy)
        strategy = _word(wish, "strategy", wish.strategy.upper(), Strategy)
    bandit = strategy is Strategy.THOMPSON
    _refuse_idle(wish, mode, strategy)
    arms = _arms(wish, mode, bandit=bandit)
    unit = wish.unit or _usual_unit(mode, strategy)
    shares = wish.steps or (list(RAMP_SHARES) if mode is Mode.RAMP else [])
    return Design(
        name=wish.name,
        model=model,
        mode=mode,
        strategy=strategy,
        hash=wish.hash,
        salt=wish.salt or f"{wish.name}-{token_hex(4)}",
        arms=arms,
        weights=_weights(wish, strategy, len(arms)),
        unit=unit,
        block_s=3600 if wish.block_h is None else round(wish.block_h * 3600),
        holdout=wish.holdout,
        namespace=None if wish.namespace is None else _namespace(wish, wish.namespace),
        targeting=tuple(_condition(wish, text) for text in wish.only),
        metric=metric,
        higher_is_better=not lower,
        secondary=tuple(wish.also),
        guardrails=tuple(_guardrail(wish, text, mode) for text in _guardrails(wish, mode)),
        alpha=wish.alpha,
        margin=wish.margin,
        planned_n=wish.planned_n,
        ends_after_s=None if wish.days is None else round(wish.days * 86_400),
        floor=wish.floor if wish.floor is not None else 0.05 * bandit,
        batch_s=round((wish.batch_hours if wish.batch_hours is not None else 24.0 * bandit) * 3600),
        window_s=1800 if wish.window_minutes is None else round(wish.window_minutes * 60),
        steps=tuple(_step(wish, share) for share in shares),
        depends_on_action=depends_on_action,
        task=task,
        hypothesis=wish.hypothesis.strip(),
        cap=None if wish.cap is None else Cap(wish.cap),
        template=wish.template,
        horizon_days=wish.horizon_days or 0,
        period_s=round((wish.period_h or 0.0) * 3600),
        costs=_costs(wish),
    )


def filled(wish: Wish) -> Wish:
    """Give a wish with what its template says of the rest.

    Raises
    ------
    InvalidDesign
        If there is no such template, or it is of another mode.
    """
    if not wish.template:
        return wish
    template = TEMPLATES.get(wish.template)
    if template is None:
        raise _unusable(wish, "template", wish.template[:64], ", ".join(TEMPLATES))
    if wish.mode == Mode.SHADOW and template.paired:
        metric = wish.metric or (COST if _costs(wish) else None)
        rest = [one for one in ((COST,) if _costs(wish) else ()) if one != metric]
        return replace(
            wish,
            metric=metric,
            also=wish.also or [*rest, *((STOCKOUT,) if metric != STOCKOUT else ())],
            unit=wish.unit or "unit",
            period_h=template.paired / 3600 if wish.period_h is None else wish.period_h,
        )
    if wish.mode not in ("split", Mode.OUTSIDE):  # split is what a wish says that says nothing
        raise _unusable(wish, "mode", wish.mode[:64], str(Mode.OUTSIDE))
    metric, told = wish.metric or template.metric, wish.lower_is_better
    rest = [one for one in (template.metric, *template.also) if one != metric]
    return replace(
        wish,
        mode=str(Mode.OUTSIDE),
        metric=metric,
        also=wish.also or rest,
        lower_is_better=metric in template.lower if told is None else told,
        guardrails=wish.guardrails or list(template.guardrails),
        cap=template.cap if wish.cap is None else wish.cap,
        horizon_days=wish.horizon_days or (template.horizons or (None,))[0],
    )


def _refuse_schedule(wish: Wish, word: str) -> None:
    """Refuse a strategy that names times instead of chance, such as day against night."""
    if word.upper() in set(Strategy) or not _OF_THE_CLOCK.search(word.upper()):
        return
    why = Phrase(
        "day and night, like hours and weekdays, differ in more than the version that answers",
        "el día y la noche, como las horas y los días de la semana, difieren en más que la "
        "versión que responde",
    )
    raise NotRandomised(experiment=wish.name[:64], found=word[:64], why=why, least=LEAST_BLOCKS)


def _refuse_idle(wish: Wish, mode: Mode, strategy: Strategy) -> None:
    """Refuse what was said and would be ignored."""
    alone = mode in (Mode.RAMP, Mode.SHADOW) and wish.share != Wish(name="").share
    for field, found, idle, expected in (
        ("block", wish.block_h, strategy is not Strategy.TIME_BASED, Strategy.TIME_BASED),
        ("step_hours", wish.step_hours, mode is not Mode.RAMP, Mode.RAMP),
        ("step_units", wish.step_units, mode is not Mode.RAMP, Mode.RAMP),
        ("window", wish.window_minutes, mode is not Mode.INTERLEAVE, Mode.INTERLEAVE),
        ("share", wish.share if alone else None, True, f"{Mode.SPLIT}, {Mode.OUTSIDE}"),
    ):
        if found is not None and idle:
            needs = Phrase("none but with {kind}", "nada, salvo con {kind}", kind=str(expected))
            raise _unusable(wish, field, f"{found:g}", needs)


def _costs(wish: Wish) -> Costs | None:
    """Give the costs of a piece; half of them is refused."""
    if wish.holding is None and wish.shortage is None:
        return None
    for field, value in (("holding", wish.holding), ("shortage", wish.shortage)):
        if value is None:
            expected = Phrase("a cost of one piece, too", "también un costo de una pieza")
            raise _unusable(wish, field, "-", expected)
    return Costs(wish.holding or 0.0, wish.shortage or 0.0)


def _unusable(wish: Wish, field: str, found: str, expected: str) -> InvalidDesign:
    return InvalidDesign(
        experiment=wish.name[:64], field=field, found=found[:64] or "-", expected=expected
    )


def _arms(wish: Wish, mode: Mode, *, bandit: bool) -> tuple[Arm, ...]:
    if wish.arms and not bandit:
        expected = Phrase("the strategy THOMPSON", "la estrategia THOMPSON")
        found = ", ".join(wish.arms)[:64]
        raise InvalidDesign(experiment=wish.name[:64], field="arms", found=found, expected=expected)
    two = (_arm(wish, "control", mode), _arm(wish, "treatment", mode))
    return (*two, *(Arm(name, Answers.EXTERNAL) for name in wish.arms))


def _weights(wish: Wish, strategy: Strategy, n_arms: int) -> tuple[float, ...]:
    if strategy is Strategy.THOMPSON and wish.share == Wish(name="").share:
        return (1.0 / n_arms,) * n_arms
    return (1.0 - wish.share, wish.share, *(0.0,) * (n_arms - 2))  # a share set is refused


def usual_goal(task: str) -> str:
    """Name the goal of experiments on a model of this task."""
    return _GOALS.get(task, "correct")


def more_is_better(metric: str) -> bool:
    """Say whether more of a metric is better, unless one is told otherwise."""
    return metric not in _LESS_IS_BETTER


def _usual_unit(mode: Mode, strategy: Strategy) -> str:
    if strategy is Strategy.TIME_BASED:
        return "block"
    return "unit"


def _step(wish: Wish, share: float) -> Step:
    times = next((times for below, times in _STEP_UNITS if share < below - 1e-9), 1)
    least_s = 3600 if wish.step_hours is None else round(wish.step_hours * 3600)
    return Step(share, least_s, (wish.step_units or 100) * times)


def _guardrails(wish: Wish, mode: Mode) -> Sequence[str]:
    return wish.guardrails or (["fallback"] if mode is Mode.RAMP else [])


def _arm(wish: Wish, name: str, mode: Mode) -> Arm:
    reference = getattr(wish, name) or (Answers.EXTERNAL if mode.elsewhere else "")
    if not reference:
        expected = Phrase("a version such as 1.0.0, or rules", "una versión como 1.0.0, o rules")
        raise InvalidDesign(experiment=wish.name[:64], field=name, found="-", expected=expected)
    if reference in (Answers.RULES, Answers.EXTERNAL):
        return Arm(name, Answers(reference))
    return Arm(name, Answers.VERSION, reference)


def _word(wish: Wish, field: str, found: str, kind: Any) -> Any:
    try:
        return kind(found)
    except ValueError:
        known = ", ".join(kind)
        raise InvalidDesign(
            experiment=wish.name[:64], field=field, found=found[:64], expected=known
        ) from None


def _namespace(wish: Wish, text: str) -> Namespace:
    name, _, part = text.partition(":")
    low, _, high = (part or "0-1").partition("-")
    try:
        return Namespace(name, float(low), float(high))
    except ValueError:
        raise InvalidDesign(
            experiment=wish.name[:64], field="namespace", found=text[:64], expected="NAME:0-0.5"
        ) from None


def _guardrail(wish: Wish, text: str, mode: Mode) -> Guardrail:
    """Read ``NAME:WHAT@NUMBER``, of which the name alone may do."""
    name, _, number = text.partition("@")
    name, _, what = name.partition(":")
    try:
        if what in ("lower", "higher"):
            margin = float(number or 0.0)
            return Guardrail(name, higher_is_better=what == "higher", margin=margin)
        tolerated = float(number or 1.1)
        if what == "bad":
            return Guardrail(name, tolerated, recorded=True)
        if what and name != SLOW:
            raise ValueError
        return Guardrail(name, tolerated, float(what) if what else None)
    except ValueError:
        raise _unusable(wish, "guardrails", text, known_guardrails(mode)) from None


def _condition(wish: Wish, text: str) -> Condition:
    feature, _, rest = text.strip().partition(" ")
    op, _, value = rest.strip().partition(" ")
    if not value.strip():
        expected = Phrase("FEATURE OP VALUE: 'age >= 18'", "ENTRADA OP VALOR: 'edad >= 18'")
        raise InvalidDesign(
            experiment=wish.name[:64], field="only", found=text[:64], expected=expected
        )
    return Condition(feature, op, _value(value.strip()))


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
