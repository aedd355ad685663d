"""The looks at candidates so far: each spends some alpha, and each row judges once."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select

from timonel.registry.catalogue import ModelVersion
from timonel.registry.history import Transition
from timonel.registry.versions import Stage
from timonel.stats.gates import alpha_for_look
from timonel.store.tables_loop import comparisons

DECIDED_BY = "retraining"


@dataclass(frozen=True, slots=True)
class Look:
    """The j-th candidate since the last promotion, and the alpha it may spend."""

    number: int
    alpha: float


def next_look(connection: Connection, project: str, champion: ModelVersion) -> Look:
    """Count the candidates that were held against this champion since it was deployed."""
    row = comparisons.c
    query = select(func.count()).where(
        row.project == project,
        row.model == champion.model,
        row.champion == champion.version,
        row.at >= (champion.deployed_at or 0),
    )
    number = int(connection.scalar(query) or 0) + 1
    return Look(number, alpha_for_look(number))


def newest_compared(connection: Connection, project: str, model: str) -> int | None:
    """Give the answer time of the newest row that has judged a candidate."""
    row = comparisons.c
    query = select(func.max(row.newest_row_at)).where(row.project == project, row.model == model)
    found = connection.scalar(query)
    return None if found is None else int(found)


def record(
    connection: Connection,
    project: str,
    model: str,
    *,
    candidate: str,
    champion: str,
    look: Look,
    verdict: str,
    newest_row_at: int,
    facts: dict[str, Any],
    at: int,
) -> None:
    """Write a look; the same one again changes nothing."""
    key = {"project": project, "model": model, "candidate": candidate, "champion": champion}
    row = comparisons.c
    known = select(row.look).where(*(row[name] == value for name, value in key.items()))
    if connection.execute(known).first() is not None:
        return
    values = {
        "look": look.number,
        "alpha": look.alpha,
        "verdict": verdict,
        "newest_row_at": newest_row_at,
        "facts": json.dumps(facts),
        "at": at,
    }
    connection.execute(insert(comparisons), key | values)


def anchor_of(history: list[Transition]) -> str | None:
    """Find the anchor: the last version that a person approved, or that was shown to be better.

    A chain of versions each only as good as the one before may not drift away from it.
    """
    anchor = None
    for link in history:
        if link.to_stage != Stage.PRODUCTION:
            continue
        gates = json.loads(link.gates)
        of_ours = isinstance(gates, dict) and gates.get("decided_by") == DECIDED_BY
        if not of_ours or gates["better"] or anchor is None:
            anchor = link.version
    return anchor
