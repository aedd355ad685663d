"""How large an experiment must be and how long it takes, from what the log says and one is told.

Pure. Each number says where it comes from: measured, given, or unknown with the reason.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil, isfinite

from timonel.errors import Phrase
from timonel.experiments.planning.measuring import HISTORY_DAYS, LEAST_LABELLED, Measured, days_of
from timonel.stats.plan import Engine, power, sample_size_per_arm

RATE_EFFECTS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08)
RELATIVE_EFFECTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
MATURE_DAYS = 3.0  # a promotion waits until three days agree on how long labels take
_WEEK = 7


class Basis(StrEnum):
    """Where a number comes from."""

    MEASURED = "measured"
    GIVEN = "given"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and where it comes from; None is unknown, and ``note`` says why."""

    value: float | None
    basis: Basis
    note: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asks of a plan; None: as the log says.

    Parameters
    ----------
    control : str
        Version number, or ``rules``.
    metric : str
        ``correct`` (a share; more is better) or ``absolute_error`` (less is better).
    by_unit : bool
        Whether units that come again count once; else each request is one.
    effects : tuple of float
        The smallest improvements that should be found, absolute; empty: a usual ladder.
    share : float
        The treatment's, in (0, 1).
    days : float or None
        With an end: group-sequential bounds; None: a confidence sequence.
    baseline, sd, per_day, delay_days : float or None
        Given in the place of what would be measured.
    """

    model: str
    control: str
    metric: str = "correct"
    by_unit: bool = False
    effects: tuple[float, ...] = ()
    share: float = 0.5
    days: float | None = None
    alpha: float = 0.05
    power: float = 0.8
    baseline: float | None = None
    sd: float | None = None
    per_day: float | None = None
    delay_days: float | None = None

    @property
    def engine(self) -> Engine:
        """The engine by which such an experiment is looked at."""
        return Engine.CONFIDENCE_SEQUENCE if self.days is None else Engine.GROUP_SEQUENTIAL


@dataclass(frozen=True, slots=True)
class Size:
    """What one effect asks for; ``reason`` says why a number is None.

    Parameters
    ----------
    days : float or None
        Of traffic; ``extrapolated`` where the log has not so many days or units.
    until_decided : float or None
        Those (at least ``MATURE_DAYS``), and the label delay.
    """

    effect: float
    n: int | None = None
    n_control: int | None = None
    n_treatment: int | None = None
    days: float | None = None
    extrapolated: bool = False
    until_decided: float | None = None
    reason: Phrase | None = None


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """A plan: figures, a size for each effect, and the power of one size over effects.

    Parameters
    ----------
    power_n : int or None
        The units of the power curve: those that come in the time given, else those of the effect
        in the middle.
    power : list of (effect, power)
    """

    asked: Asked
    rate: Figure
    baseline: Figure
    sd: Figure
    delay: Figure
    sizes: list[Size] = field(default_factory=list)
    power_n: int | None = None
    power: list[tuple[float, float]] = field(default_factory=list)


def make_plan(asked: Asked, measured: Measured) -> ExperimentPlan:
    """Plan an experiment.

    Notes
    -----
    Units in all are those of ``sample_size_per_arm`` for the engine; at unequal shares those whose
    effect has the same variance. Away from the asked power the curve takes the engine's factor,
    which was measured at 80 %, as it is.
    """
    baseline, sd = _baseline(asked, measured)
    rate, delay = _rate(asked, measured), _delay(asked, measured)
    effects = asked.effects or _ladder(asked, baseline.value)
    sizes = [_size(asked, measured, effect, baseline, sd, rate, delay) for effect in effects]
    n = _power_n(asked, measured, sizes, rate, delay)
    curve = []
    if n is not None:
        for size in sizes:
            variances = _variances(asked, size.effect, baseline.value, sd.value)
            if size.n and variances is not None:
                n_b = n * asked.share
                found = power(
                    *variances, size.effect, n - n_b, n_b, alpha=asked.alpha, engine=asked.engine
                )
                curve.append((size.effect, found))
    return ExperimentPlan(asked, rate, baseline, sd, delay, sizes, n, curve)


def _ladder(asked: Asked, baseline: float | None) -> tuple[float, ...]:
    if asked.metric == "correct":
        return RATE_EFFECTS
    return () if not baseline else tuple(share * baseline for share in RELATIVE_EFFECTS)


# -- figures ---------------------------------------------------------------------------------


_GIVEN = Phrase("given", "dado")


def _baseline(asked: Asked, measured: Measured) -> tuple[Figure, Figure]:
    """Give mean and standard deviation a unit; of a given share per request both follow."""
    note = Phrase(
        "{n} labelled units of {control} in the newest {days} days",
        "{n} unidades de {control} con resultado en los últimos {days} días",
        n=measured.n_labelled,
        control=asked.control,
        days=HISTORY_DAYS,
    )
    few = Phrase(
        "{n} labelled units of {control}, at least {least} are needed",
        "{n} unidades de {control} con resultado, hacen falta al menos {least}",
        n=measured.n_labelled,
        control=asked.control,
        least=LEAST_LABELLED,
    )
    unknown = Figure(None, Basis.UNKNOWN, few)
    mean, sd = unknown, unknown
    if measured.mean is not None and measured.variance is not None:
        mean = Figure(measured.mean, Basis.MEASURED, note)
        sd = Figure(measured.variance**0.5, Basis.MEASURED, note)
    if asked.baseline is not None:
        mean = Figure(asked.baseline, Basis.GIVEN, _GIVEN)
        if asked.metric == "correct" and (not asked.by_unit or sd.value is None):
            follows = Phrase(
                "of one answer, from the baseline given",
                "de una respuesta, según la línea base dada",
            )
            sd = Figure((asked.baseline * (1 - asked.baseline)) ** 0.5, Basis.GIVEN, follows)
    if asked.sd is not None:
        sd = Figure(asked.sd, Basis.GIVEN, _GIVEN)
    return mean, sd


def _rate(asked: Asked, measured: Measured) -> Figure:
    if asked.per_day is not None:
        return Figure(asked.per_day, Basis.GIVEN, _GIVEN)
    if measured.days < 1.0:
        return Figure(
            None,
            Basis.UNKNOWN,
            Phrase(
                "the log holds {n} that could take part, within less than a day",
                "el registro tiene {n} que podrían participar, en menos de un día",
                n=measured.n_answers,
            ),
        )
    note = Phrase(
        "{n} requests in {days} days",
        "{n} peticiones en {days} días",
        n=measured.n_answers,
        days=f"{measured.days:.1f}",
    )
    if not asked.by_unit:
        return Figure(measured.n_answers / measured.days, Basis.MEASURED, note)
    units = sum(measured.new_by_day)
    note = Phrase(
        "{units} different units in {days} whole days; new ones a day of the last week",
        "{units} unidades distintas en {days} días enteros; nuevas al día en la última semana",
        units=units,
        days=len(measured.new_by_day),
    )
    return Figure(_last_week(measured), Basis.MEASURED, note)


def _last_week(measured: Measured) -> float:
    week = measured.new_by_day[-_WEEK:]
    return sum(week) / len(week)


def _delay(asked: Asked, measured: Measured) -> Figure:
    if asked.delay_days is not None:
        return Figure(asked.delay_days, Basis.GIVEN, _GIVEN)
    if measured.delay_h is None:
        reason = Phrase(
            "no three days of the log agree on how long labels take",
            "no hay tres días del registro que coincidan en cuánto tardan los resultados",
        )
        return Figure(None, Basis.UNKNOWN, reason)
    note = Phrase("until 95 % of labels are there", "hasta tener el 95 % de los resultados")
    return Figure(days_of(measured.delay_h), Basis.MEASURED, note)


# -- sizes -----------------------------------------------------------------------------------


def _variances(
    asked: Asked, effect: float, baseline: float | None, sd: float | None
) -> tuple[float, float] | None:
    """Give the variance a unit in control and treatment; None where it is not known."""
    if baseline is None or sd is None:
        return None
    if asked.metric != "correct" or asked.by_unit:
        return sd * sd, sd * sd
    better = baseline + effect
    return sd * sd, better * (1.0 - better)


_OUT_OF_REACH = Phrase("beyond what the metric can be", "más allá de lo que la métrica permite")
_NO_BASELINE = Phrase(
    "the baseline is unknown: --baseline (and --sd where it is no share)",
    "la línea base es desconocida: --baseline (y --sd si no es una proporción)",
)
_NO_RATE = Phrase("the rate is unknown: --per-day", "el ritmo es desconocido: --per-day")
_NO_NEW = Phrase(
    "no new units come: too few are there", "no llegan unidades nuevas: no hay suficientes"
)
_NO_DELAY = Phrase(
    "the label delay is unknown: --delay-days", "la demora es desconocida: --delay-days"
)


def _size(
    asked: Asked,
    measured: Measured,
    effect: float,
    baseline: Figure,
    sd: Figure,
    rate: Figure,
    delay: Figure,
) -> Size:
    if baseline.value is None or sd.value is None:
        return Size(effect, reason=_NO_BASELINE)
    better = baseline.value + (effect if asked.metric == "correct" else -effect)
    if better < 0.0 or (asked.metric == "correct" and better > 1.0):
        return Size(effect, reason=_OUT_OF_REACH)
    variances = _variances(asked, effect, baseline.value, sd.value)
    assert variances is not None  # noqa: S101 - both figures are known
    a, b = variances
    s = asked.share
    n = 2 * sample_size_per_arm(
        a / (2.0 * (1.0 - s)),
        b / (2.0 * s),
        effect,
        alpha=asked.alpha,
        power=asked.power,
        engine=asked.engine,
    )
    arms = ceil(n * (1.0 - s)), ceil(n * s)
    if rate.value is None:
        return Size(effect, n, *arms, reason=_NO_RATE)
    days, extrapolated = _days(asked, measured, n, rate.value)
    if days is None:
        return Size(effect, n, *arms, reason=_NO_NEW)
    if delay.value is None:
        return Size(effect, n, *arms, days, extrapolated, reason=_NO_DELAY)
    until_decided = max(days, MATURE_DAYS) + delay.value
    return Size(effect, n, *arms, days, extrapolated, until_decided)


def _days(asked: Asked, measured: Measured, n: int, rate: float) -> tuple[float | None, bool]:
    """Give the days in which so many come, and whether the log has that many days behind it."""
    if not asked.by_unit or asked.per_day is not None:
        return (n / rate if rate > 0.0 else None), False
    seen = 0
    for day, new in enumerate(measured.new_by_day):
        if seen + new >= n:
            return day + (n - seen) / new, False
        seen += new
    if rate <= 0.0:
        return None, True
    return len(measured.new_by_day) + (n - seen) / rate, True


def _power_n(
    asked: Asked, measured: Measured, sizes: list[Size], rate: Figure, delay: Figure
) -> int | None:
    if asked.days is None:
        known = [size.n for size in sizes if size.n]
        return known[len(known) // 2] if known else None
    if rate.value is None or delay.value is None:
        return None
    time = asked.days - delay.value
    if time <= 0.0:
        return None
    found = _units_in(asked, measured, time, rate.value)
    return int(found) if isfinite(found) and found >= 2 else None


def _units_in(asked: Asked, measured: Measured, days: float, rate: float) -> float:
    if not asked.by_unit or asked.per_day is not None:
        return days * rate
    whole = int(min(days, len(measured.new_by_day)))
    seen = sum(measured.new_by_day[:whole])
    if whole < len(measured.new_by_day):
        return seen + (days - whole) * measured.new_by_day[whole]
    return seen + (days - whole) * rate
