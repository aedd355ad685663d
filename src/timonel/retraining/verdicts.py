"""What monitoring said of the champion's performance, as far as retraining needs it."""

from typing import NamedTuple

from sqlalchemy import Engine, select

from timonel.registry.catalogue import ModelVersion
from timonel.store.engine import reading
from timonel.store.tables_loop import verdicts

PERFORMANCE = "performance"
ALERT, OK = "alert", "ok"
_SILENT = ("not_enough", "unknown")
_PAGE = 500


class Loss(NamedTuple):
    """A confirmed loss of performance: since when, and the newest window that shows it."""

    since_us: int
    until_us: int
    n: int
    effect: float | None
    subject: str


def confirmed_loss(engine: Engine, project: str, champion: ModelVersion) -> Loss | None:
    """Find the loss that the champion is in now, if it is confirmed.

    It lasts while the newest window that could be judged is an alert, and began with the first
    window that was not well before it.
    """
    row = verdicts.c
    query = (
        select(row.state, row.window_start, row.window_end, row.n, row.effect, row.subject)
        .where(
            row.project == project,
            row.model == champion.model,
            row.version == champion.version,
            row.monitor == PERFORMANCE,
            row.window_end > (champion.deployed_at or 0),
            row.state.not_in(_SILENT),
        )
        .order_by(row.window_start.desc())
        .limit(_PAGE)
    )
    with reading(engine) as connection:
        found = connection.execute(query).all()
    if not found or found[0].state != ALERT:
        return None
    newest = found[0]
    since = newest.window_start
    for verdict in found:
        if verdict.state == OK:
            break
        since = verdict.window_start
    return Loss(since, newest.window_end, newest.n, newest.effect, newest.subject)


def loss_onset(engine: Engine, project: str, champion: ModelVersion) -> int | None:
    """Give when the confirmed loss began, event time; None where there is none."""
    loss = confirmed_loss(engine, project, champion)
    return None if loss is None else loss.since_us
