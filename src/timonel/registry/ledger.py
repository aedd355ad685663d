"""Writing a transition: history, stage, aliases and generation, all in the caller's transaction.

Every function is called after ``raise_generation``, which lets one transition of a project in at
a time; the updates are guarded all the same, so that a row changed behind our back stops them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from timonel.registry import catalogue
from timonel.registry.errors import RegistryBusy
from timonel.registry.history import Transition, link
from timonel.registry.versions import CHALLENGER, CHAMPION, PREVIOUS, Stage, deployment_stack
from timonel.store.tables import aliases, chain_heads, model_versions, transitions


class Ledger:
    """The writes of one transition.

    Parameters
    ----------
    connection : Connection
        In a transaction that has raised the generation.
    project, who, reason : str
    at : int
        The moment, in microseconds of the event clock.
    """

    def __init__(
        self, connection: Connection, project: str, *, who: str, reason: str, at: int
    ) -> None:
        self.connection = connection
        self.project = project
        self.who = storable(who)[:128]
        self.reason = storable(reason)
        self.at = at
        self.recorded: list[Transition] = []

    def add(self, values: Mapping[str, Any]) -> None:
        """Insert a version row; raises ``IntegrityError`` where its number is taken."""
        self.connection.execute(insert(model_versions), {"project": self.project, **values})

    def record(
        self, model: str, version: str, from_stage: str, to_stage: str, gates: object = None
    ) -> Transition:
        """Append to the history, as the link after its head."""
        head = catalogue.chain_head(self.connection, self.project)
        row = link(
            head,
            project=self.project,
            model=model,
            version=version,
            from_stage=str(from_stage),
            to_stage=str(to_stage),
            who=self.who,
            reason=self.reason,
            gates=document({} if gates is None else gates),
            at=self.at,
        )
        place = {"project": self.project, "chain": catalogue.CHAIN}
        after = {"seq": row.seq, "hash": row.hash}
        if head.seq == 0:
            self.connection.execute(insert(chain_heads), place | after)
        else:
            mine = chain_heads.c
            moved = self.connection.execute(
                update(chain_heads)
                .where(
                    mine.project == self.project,
                    mine.chain == catalogue.CHAIN,
                    mine.seq == head.seq,
                    mine.hash == head.hash,
                )
                .values(after)
            )
            self._require(moved.rowcount, model)
        values = {column.name: getattr(row, column.name) for column in transitions.columns}
        self.connection.execute(insert(transitions), values)
        self.recorded.append(row)
        return row

    def move(
        self, model: str, version: str, from_stage: Stage, to_stage: Stage, gates: object = None
    ) -> None:
        """Change a version's stage, and record it."""
        row = model_versions.c
        values: dict[str, object] = {"stage": str(to_stage)}
        if to_stage is Stage.PRODUCTION:
            values["deployed_at"] = self.at
        moved = self.connection.execute(
            update(model_versions)
            .where(
                row.project == self.project,
                row.model == model,
                row.version == version,
                row.stage == str(from_stage),
            )
            .values(values)
        )
        self._require(moved.rowcount, model)
        self.record(model, version, from_stage, to_stage, gates)

    def point(self, model: str, alias: str, version: str | None) -> None:
        """Let an alias name a version, or none."""
        row = aliases.c
        mine = (row.project == self.project, row.model == model, row.alias == alias)
        if version is None:
            self.connection.execute(delete(aliases).where(*mine))
            return
        changed = self.connection.execute(update(aliases).where(*mine).values(version=version))
        if changed.rowcount == 0:
            values = {"project": self.project, "model": model, "alias": alias, "version": version}
            self.connection.execute(insert(aliases), values)

    def crown(self, model: str, version: str | None) -> None:
        """Make a version (or none) the champion, and set what a rollback would go back to."""
        self.point(model, CHAMPION, version)
        challenger = catalogue.aliased(self.connection, self.project, model, CHALLENGER)
        if version is not None and challenger == version:
            self.point(model, CHALLENGER, None)
        self.point(model, PREVIOUS, self._previous(model))

    def drop_aliases(self, model: str, version: str) -> None:
        """Let no alias name a version that is no longer to answer."""
        for alias in (CHAMPION, CHALLENGER):
            if catalogue.aliased(self.connection, self.project, model, alias) == version:
                self.point(model, alias, None)
        self.point(model, PREVIOUS, self._previous(model))

    def deployments(self, model: str) -> list[str]:
        """List the versions put into production, oldest first."""
        row = transitions.c
        query = select(row.version).where(
            row.project == self.project,
            row.model == model,
            row.to_stage == str(Stage.PRODUCTION),
        )
        return list(self.connection.scalars(query.order_by(row.seq)))

    def _previous(self, model: str) -> str | None:
        row = model_versions.c
        query = select(row.version).where(
            row.project == self.project, row.model == model, row.stage == str(Stage.ARCHIVED)
        )
        usable = set(self.connection.scalars(query))
        earlier = deployment_stack(self.deployments(model))[:-1]
        return next((version for version in reversed(earlier) if version in usable), None)

    def _require(self, rowcount: int, model: str) -> None:
        if rowcount != 1:
            raise RegistryBusy(model=model, attempts=1)


def document(value: object) -> str:
    """Give canonical JSON text: the same value, the same text."""
    return msgspec.json.encode(value, order="deterministic").decode()


def storable(text: str) -> str:
    """Give text as both databases can hold it."""
    # PostgreSQL has no NUL, and UTF-8 no lone surrogates (a terminal may send either)
    return text.replace("\0", "?").encode("utf-8", "replace").decode()
