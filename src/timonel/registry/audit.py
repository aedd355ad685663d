"""Verifying the history as it lies in the database, page by page."""

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, and_, func, or_, select

from timonel.registry import catalogue
from timonel.registry.history import Damage, Fault, Head, HistoryCheck, Transition, verify_chain
from timonel.registry.versions import CHAMPION, Stage
from timonel.store.engine import reading
from timonel.store.tables import aliases, model_versions, transitions


def check_history(engine: Engine, project: str) -> HistoryCheck:
    """Verify the chain up to its head, and that stages and champions are where it put them.

    Transitions that others make meanwhile are left for the next time.
    """
    with reading(engine) as connection:
        head = catalogue.chain_head(connection, project)
    check = verify_chain(_up_to(engine, project, head), head)
    with reading(engine) as connection:
        misplaced = _misplaced(connection, project) + _crownless(connection, project)
    return HistoryCheck(check.n, check.faults + tuple(misplaced))


def _up_to(engine: Engine, project: str, head: Head) -> Iterator[Transition]:
    after = 0
    while True:
        with reading(engine) as connection:
            page = catalogue.transition_page(connection, project, None, after)
        yield from (row for row in page if row.seq <= head.seq)
        if not page or page[-1].seq >= head.seq:
            return
        after = page[-1].seq


def _misplaced(connection: Connection, project: str) -> list[Fault]:
    """Find versions whose stage is not the one of their last transition (one statement)."""
    row, version = transitions.c, model_versions.c
    last = (
        select(row.model, row.version, func.max(row.seq).label("seq"))
        .where(row.project == project)
        .group_by(row.model, row.version)
        .subquery()
    )
    said = (
        select(last.c.model, last.c.version, last.c.seq, row.to_stage)
        .join(transitions, and_(row.project == project, row.seq == last.c.seq))
        .subquery()
    )
    query = (
        select(version.model, version.version, said.c.seq)
        .outerjoin(said, and_(said.c.model == version.model, said.c.version == version.version))
        .where(
            version.project == project,
            or_(said.c.to_stage.is_(None), said.c.to_stage != version.stage),
        )
    )
    return [
        Fault(found.seq or 0, Damage.STAGE, f"{found.model}@{found.version}")
        for found in connection.execute(query)
    ]


def _crownless(connection: Connection, project: str) -> list[Fault]:
    """Find versions in production that are not the champion, and champions that are not in it."""
    row, version = aliases.c, model_versions.c
    query = (
        select(version.model, version.version)
        .outerjoin(
            aliases,
            and_(
                row.project == version.project,
                row.model == version.model,
                row.version == version.version,
                row.alias == CHAMPION,
            ),
        )
        .where(
            version.project == project,
            or_(
                and_(version.stage == str(Stage.PRODUCTION), row.alias.is_(None)),
                and_(version.stage != str(Stage.PRODUCTION), row.alias.is_not(None)),
            ),
        )
    )
    return [
        Fault(0, Damage.STAGE, f"{found.model}@{found.version}")
        for found in connection.execute(query)
    ]
