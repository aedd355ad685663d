"""Reading versions: rows become :class:`ModelVersion`, what can grow is read in pages."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, or_, select, true, union

from timonel.registry.history import Head, Transition
from timonel.registry.versions import Origin, SemVer, Stage
from timonel.store.tables import aliases, chain_heads, declarations, model_versions, transitions

CHAIN = "transitions"
PAGE = 500


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """An immutable trained version and where it stands. Its text is ``churn@1.4.0``.

    ``digest`` names its serving manifest, which ``Registry.manifest`` reads. Times are
    microseconds since the epoch, UTC, of the event clock.
    """

    model: str
    version: str
    stage: Stage
    aliases: tuple[str, ...]
    parent: str | None
    digest: str
    schema_digest: str
    recipe_digest: str
    data_digest: str
    version_hash: str
    created_by: str
    created_at: int
    deployed_at: int | None
    metrics: dict[str, Any] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    already_registered: bool = False

    @property
    def semver(self) -> SemVer:
        """The version as three numbers."""
        return SemVer.parse(self.version)

    @property
    def origin(self) -> Origin:
        """What it was made of."""
        return Origin(self.schema_digest, self.recipe_digest, self.data_digest)

    def document(self) -> dict[str, Any]:
        """Give it for JSON, times in ISO 8601."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        del values["already_registered"]
        return values | {
            "name": str(self),
            "stage": str(self.stage),
            "aliases": list(self.aliases),
            "created_at": _iso(self.created_at),
            "deployed_at": None if self.deployed_at is None else _iso(self.deployed_at),
        }

    def __str__(self) -> str:
        return f"{self.model}@{self.version}"


class Declaration(NamedTuple):
    """A declared model as published; ``manifest`` is its JSON."""

    model: str
    digest: str
    manifest: str
    declared_at: int


_COLUMNS = [column for column in model_versions.c if column.name != "manifest"]


def model_names(connection: Connection, project: str) -> list[str]:
    """List the models that are declared or have a version."""
    declared = select(declarations.c.model).where(declarations.c.project == project)
    registered = select(model_versions.c.model).where(model_versions.c.project == project)
    return sorted(connection.scalars(union(declared, registered)))


def declared(connection: Connection, project: str) -> list[Declaration]:
    """List the declarations by name."""
    row = declarations.c
    query = select(row.model, row.digest, row.manifest, row.declared_at)
    found = connection.execute(query.where(row.project == project).order_by(row.model))
    return [Declaration(*values) for values in found]


def version_page(
    connection: Connection,
    project: str,
    where: Sequence[ColumnElement[bool]],
    after: ModelVersion | None = None,
    limit: int = PAGE,
) -> list[ModelVersion]:
    """Read one page of versions, by model, the newest version first."""
    row = model_versions.c
    query = (
        select(*_COLUMNS)
        .where(row.project == project, *where, _after(after))
        .order_by(row.model, row.major.desc(), row.minor.desc(), row.patch.desc())
        .limit(limit)
    )
    found = [_version(values) for values in connection.execute(query)]
    named = _aliases(connection, project, {version.model for version in found})
    return [replace(v, aliases=named.get((v.model, v.version), ())) for v in found]


def one_version(
    connection: Connection, project: str, model: str, version: str
) -> ModelVersion | None:
    """Read a version by its number."""
    row = model_versions.c
    page = version_page(connection, project, [row.model == model, row.version == version], limit=1)
    return page[0] if page else None


def latest_version(connection: Connection, project: str, model: str) -> ModelVersion | None:
    """Read the greatest version of a model."""
    page = version_page(connection, project, [model_versions.c.model == model], limit=1)
    return page[0] if page else None


def aliased(connection: Connection, project: str, model: str, alias: str) -> str | None:
    """Read which version an alias names."""
    row = aliases.c
    query = select(row.version).where(
        row.project == project, row.model == model, row.alias == alias
    )
    version: str | None = connection.scalar(query)
    return version


def manifest_text(connection: Connection, project: str, model: str, version: str) -> str | None:
    """Read a version's serving manifest."""
    row = model_versions.c
    text: str | None = connection.scalar(
        select(row.manifest).where(
            row.project == project, row.model == model, row.version == version
        )
    )
    return text


def transition_page(
    connection: Connection, project: str, model: str | None, after: int, limit: int = PAGE
) -> list[Transition]:
    """Read one page of the history in the order it happened."""
    row = transitions.c
    query = select(transitions).where(row.project == project, row.seq > after)
    if model is not None:
        query = query.where(row.model == model)
    found = connection.execute(query.order_by(row.seq).limit(limit)).mappings()
    return [Transition(**values) for values in found]


def chain_head(connection: Connection, project: str) -> Head:
    """Read the last link's number and hash."""
    row = chain_heads.c
    query = select(row.seq, row.hash).where(row.project == project, row.chain == CHAIN)
    found = connection.execute(query).first()
    return Head() if found is None else Head(found.seq, found.hash)


def _after(version: ModelVersion | None) -> ColumnElement[bool]:
    if version is None:
        return true()
    row = model_versions.c
    major, minor, patch = version.semver
    # spelled out: SQL Server has no comparison of rows
    smaller = or_(
        row.major < major,
        and_(row.major == major, row.minor < minor),
        and_(row.major == major, row.minor == minor, row.patch < patch),
    )
    return or_(row.model > version.model, and_(row.model == version.model, smaller))


def _aliases(
    connection: Connection, project: str, models: set[str]
) -> dict[tuple[str, str], tuple[str, ...]]:
    row = aliases.c
    query = select(row.model, row.version, row.alias).where(
        row.project == project, row.model.in_(models)
    )
    named: dict[tuple[str, str], tuple[str, ...]] = {}
    for model, version, alias in connection.execute(query.order_by(row.alias)):
        named[model, version] = (*named.get((model, version), ()), alias)
    return named


def _version(row: Any) -> ModelVersion:
    return ModelVersion(
        model=row.model,
        version=row.version,
        stage=Stage(row.stage),
        aliases=(),
        parent=row.parent,
        digest=row.digest,
        schema_digest=row.schema_digest,
        recipe_digest=row.recipe_digest,
        data_digest=row.data_digest,
        version_hash=row.version_hash,
        created_by=row.created_by,
        created_at=row.created_at,
        deployed_at=row.deployed_at,
        metrics=msgspec.json.decode(row.metrics),
        lineage=msgspec.json.decode(row.lineage),
        tags=msgspec.json.decode(row.tags),
    )


def _iso(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat()
