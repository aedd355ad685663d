"""What the log has to learn from: answers joined with their latest truth, right ones and wrong.

A truth that comes late is not a negative. Rows answered after the *label cut-off* are left out
altogether: of those only the quick truths are known, and quick truths are not like slow ones.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, Engine, and_, func, or_, select

from timonel.registry.manifest import OutcomePlan
from timonel.store.engine import reading
from timonel.store.tables import predictions, truths

PAGE = 5_000
MOST_ROWS = 50_000
SLOWEST_SHARE = 0.95  # of the truths have come after this delay
_SECOND_US = 1_000_000


class LabelledRow(NamedTuple):
    """One answer and its latest truth; documents are JSON text as stored."""

    at: int
    prediction_id: UUID
    unit: str
    version: str
    source: str
    prediction: str
    features: str
    truth: str
    arrived_at: int


@dataclass(frozen=True, slots=True)
class CutOff:
    """Up to which answer time truths are complete enough, and why just there."""

    until_us: int
    delay_us: int
    rule: str  # "horizon" where silence means something, else "delay"

    def document(self) -> dict[str, Any]:
        """Give it for lineage."""
        return {"until": self.until_us, "delay_s": self.delay_us // _SECOND_US, "rule": self.rule}


def cut_off(now_us: int, delays_us: Sequence[int], plan: OutcomePlan) -> CutOff:
    """Find the label cut-off.

    Parameters
    ----------
    now_us : int
        Event time.
    delays_us : sequence of int
        From answer to truth, of the labelled rows at hand.
    plan : OutcomePlan
        Where absence means a label, nothing younger than the horizon is complete; else it is what
        95 % of the truths took, at most the horizon.
    """
    horizon_us = plan.horizon_s * _SECOND_US
    if plan.absent is not None:
        return CutOff(now_us - horizon_us, horizon_us, "horizon")
    if not delays_us:
        return CutOff(now_us, 0, "delay")
    usual = int(np.quantile(np.maximum(delays_us, 0), SLOWEST_SHARE, method="higher"))
    delay = min(usual, horizon_us)
    return CutOff(now_us - delay, delay, "delay")


@dataclass(frozen=True, slots=True)
class LabelledLog:
    """Labelled rows, oldest first, and those left out because truths are still to come."""

    rows: list[LabelledRow]
    cut: CutOff
    n_too_young: int

    def document(self) -> dict[str, Any]:
        """Give it for lineage."""
        wrong = sum(not _same(row) for row in self.rows)
        return {
            "rows": len(self.rows),
            "answered_otherwise": wrong,
            "too_young": self.n_too_young,
            "first_at": self.rows[0].at if self.rows else None,
            "last_at": self.rows[-1].at if self.rows else None,
            "cut_off": self.cut.document(),
        }


def read_labelled(
    engine: Engine,
    project: str,
    model: str,
    plan: OutcomePlan,
    *,
    now_us: int,
    at_most: int = MOST_ROWS,
) -> LabelledLog:
    """Read the newest labelled rows of a model, whoever answered them, right or wrong.

    Parameters
    ----------
    at_most : int
        Older ones are not read.
    """
    found: list[LabelledRow] = []
    for page in _pages(engine, project, model, now_us):
        found.extend(page)
        if len(found) >= at_most:
            break
    found = found[:at_most]
    cut = cut_off(now_us, [row.arrived_at - row.at for row in found], plan)
    kept = [row for row in reversed(found) if row.at <= cut.until_us]
    return LabelledLog(kept, cut, len(found) - len(kept))


def count_labelled(
    engine: Engine, project: str, model: str, *, since_us: int = 0, at_most: int | None = None
) -> int:
    """Count truths that arrived after a moment of event time.

    Parameters
    ----------
    at_most : int or None
        Count no further: who only asks whether there are enough need not read them all.
    """
    t = truths.c
    mine = select(t.prediction_id).where(t.project == project, t.model == model)
    if since_us:
        mine = mine.where(t.arrived_at > since_us)
    query = select(func.count()).select_from(mine.limit(at_most).subquery())
    with reading(engine) as connection:
        return int(connection.scalar(query) or 0)


def count_answers(
    engine: Engine, project: str, model: str, *, after_us: int = 0, at_most: int | None = None
) -> int:
    """Count labelled answers that were given after a moment; ``at_most`` as above."""
    p = predictions.c
    mine = (
        select(p.prediction_id)
        .select_from(_joined())
        .where(p.project == project, p.model == model, p.at > after_us)
    )
    query = select(func.count()).select_from(mine.limit(at_most).subquery())
    with reading(engine) as connection:
        return int(connection.scalar(query) or 0)


def _joined() -> Any:
    p, t = predictions.c, truths.c
    return predictions.join(
        truths, and_(t.project == p.project, t.prediction_id == p.prediction_id)
    )


def _pages(engine: Engine, project: str, model: str, now_us: int) -> Iterator[list[LabelledRow]]:
    last: tuple[int, UUID] | None = None
    while True:
        with reading(engine) as connection:
            page = _page(connection, project, model, now_us, last)
        if page:
            yield page
            last = (page[-1].at, page[-1].prediction_id)
        if len(page) < PAGE:
            return


def _page(
    connection: Connection, project: str, model: str, now_us: int, last: tuple[int, UUID] | None
) -> list[LabelledRow]:
    p, t = predictions.c, truths.c
    unit = func.coalesce(p.unit_id, p.key, "")
    query = (
        select(
            p.at,
            p.prediction_id,
            unit,
            p.version,
            p.source,
            p.prediction,
            p.features,
            t.value,
            t.arrived_at,
        )
        .select_from(_joined())
        .where(p.project == project, p.model == model, p.at <= now_us)
    )
    if last is not None:
        at, identifier = last
        query = query.where(or_(p.at < at, and_(p.at == at, p.prediction_id < identifier)))
    ordered = query.order_by(p.at.desc(), p.prediction_id.desc()).limit(PAGE)
    rows = [LabelledRow(*row) for row in connection.execute(ordered)]
    return [row if row.unit else row._replace(unit=str(row.prediction_id)) for row in rows]


def _same(row: LabelledRow) -> bool:
    prediction, truth = json.loads(row.prediction), json.loads(row.truth)
    return prediction == truth or str(prediction) == str(truth)
