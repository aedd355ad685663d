"""What the log says of a model's traffic: how much comes, how right it is, how late labels are."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select

from timonel.events.outcomes import complete_until
from timonel.events.plans import Plan, Plans, Problem
from timonel.experiments.counting.sums import DAY, DAY_US, HOUR_US, PairSums, age_of, day_of
from timonel.experiments.judging.evidence import maturity
from timonel.stats.moments import quantise
from timonel.store.tables import predictions, truths

HISTORY_DAYS = 28
MOST_LABELLED = 200_000
LEAST_LABELLED = 50


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found in the newest days of a log.

    Parameters
    ----------
    days : float
        From the first answer within the window to now.
    n_answers : int
        That could take part: by unit, those that name one.
    new_by_day : tuple of int
        By unit: on each whole day of the window, units not seen on an earlier one of them.
    n_labelled : int
        Units (by request: answers) of the control with a label; the newest.
    mean, variance : float or None
        Of the metric a unit; None under 50 of them.
    delay_h : int or None
        When 95 % of labels are there; None: not known.
    """

    days: float = 0.0
    n_answers: int = 0
    new_by_day: tuple[int, ...] = ()
    n_labelled: int = 0
    mean: float | None = None
    variance: float | None = None
    delay_h: int | None = None


def measure(
    connection: Connection,
    project: str,
    model: str,
    *,
    control: str,
    metric: str,
    by_unit: bool,
    now: int,
) -> Measured:
    """Measure what a plan needs, in the newest 28 days.

    Parameters
    ----------
    control : str
        A version's number, or ``rules``: whose labelled answers are the baseline.
    now : int
        Microseconds of the event clock.
    """
    p = predictions.c
    unit = func.coalesce(p.unit_id, p.key)
    mine = (p.project == project, p.model == model, p.at >= now - HISTORY_DAYS * DAY_US, p.at < now)
    takes_part = (*mine, unit.is_not(None)) if by_unit else mine
    n, first = connection.execute(select(func.count(), func.min(p.at)).where(*takes_part)).one()
    if not n:
        return Measured()
    plans = Plans(project)
    plans.refresh(connection)
    labels = _Labels(plans.of(model), metric, by_unit=by_unit)
    of_control = p.source == "rules" if control == "rules" else p.version == control
    labels.read(connection, mine, of_control, unit)
    until = min(complete_until(connection, project), now) // HOUR_US
    mean, variance = labels.moments()
    return Measured(
        days=(now - first) / DAY_US,
        n_answers=n,
        new_by_day=_new_by_day(connection, takes_part, unit, first, now) if by_unit else (),
        n_labelled=len(labels.units),
        mean=mean,
        variance=variance,
        delay_h=labels.delay_h(until),
    )


def _new_by_day(
    connection: Connection,
    mine: tuple[ColumnElement[bool], ...],
    unit: ColumnElement[Any],
    first: int,
    now: int,
) -> tuple[int, ...]:
    seen = select(func.min(predictions.c.at).label("at")).where(*mine).group_by(unit).subquery()
    # integers on both databases: each day's first moment is subtracted before dividing
    place = (seen.c.at - first - (seen.c.at - first) % DAY_US) / DAY_US
    counts: dict[int, int] = defaultdict(int)
    for day, n in connection.execute(select(place, func.count()).group_by(place)):
        counts[int(day)] += n
    return tuple(counts[day] for day in range((now - first) // DAY_US))


class _Row(NamedTuple):
    at: int
    arrived_at: int
    unit: str | None
    prediction: str
    truth: str
    of_control: bool


class _Labels:
    """Scores of labelled answers, added up a unit; and ages of labels."""

    def __init__(self, plan: Plan, metric: str, *, by_unit: bool) -> None:
        self._plan = plan
        self._metric = metric
        self._by_unit = by_unit
        self.units: dict[str | int, tuple[int, int]] = {}
        self._ages: dict[str, dict[int, dict[int, int]]] = {}

    def read(
        self,
        connection: Connection,
        mine: tuple[ColumnElement[bool], ...],
        of_control: ColumnElement[bool],
        unit: ColumnElement[Any],
    ) -> None:
        p, t = predictions.c, truths.c
        query = (
            select(p.at, t.arrived_at, unit, p.prediction, t.value, of_control)
            .join(truths, (t.project == p.project) & (t.prediction_id == p.prediction_id))
            .where(*mine)
            .order_by(p.at.desc())
            .limit(MOST_LABELLED)
        )
        rows = connection.execution_options(yield_per=1000).execute(query)
        self._add(_Row(*row) for row in rows)

    def _add(self, rows: Iterable[_Row]) -> None:
        for place, row in enumerate(rows):
            truth = self._plan.read(msgspec.json.decode(row.truth))
            if isinstance(truth, Problem):
                continue
            scores = self._plan.score(msgspec.json.decode(row.prediction), truth)
            if self._metric not in scores:
                continue
            self._add_age(row, scores, str(truth))
            if not row.of_control or (self._by_unit and row.unit is None):
                continue
            key = row.unit if self._by_unit and row.unit is not None else place
            x, q = self.units.get(key, (0, 0))
            self.units[key] = x + 1, q + quantise(scores[self._metric])

    def _add_age(self, row: _Row, scores: dict[str, float], truth: str) -> None:
        # as looks do: each class, and right and wrong answers, may have a delay of their own
        kind = "" if "correct" not in scores else f"{truth}:{scores['correct']}"
        day = day_of(row.at // HOUR_US)
        ages = self._ages.setdefault(kind, {}).setdefault(day, {})
        age = age_of(row.at, row.arrived_at)
        ages[age] = ages.get(age, 0) + 1

    def moments(self) -> tuple[float | None, float | None]:
        """Give mean and variance a unit, of a ratio of sums by the delta method."""
        if len(self.units) < LEAST_LABELLED:
            return None, None
        sums = PairSums()
        for x, q in self.units.values():
            sums += PairSums.pair(q, x)
        m = sums.moments()
        if m is None or m.mean_x <= 0.0:
            return None, None
        ratio = m.mean_y / m.mean_x
        spread = m.m2_y - 2.0 * ratio * m.c_yx + ratio * ratio * m.m2_x
        return ratio, max(0.0, spread) / (m.n - 1) / m.mean_x**2

    def delay_h(self, until: int) -> int | None:
        """Say when 95 % of the labels of every kind have come; None where that is not known."""
        known = [maturity(ages, until) for ages in self._ages.values()]
        if not known or None in known:
            return None
        return max(age for age in known if age is not None)


def days_of(hours: int) -> float:
    """Give hours as days."""
    return hours / DAY
