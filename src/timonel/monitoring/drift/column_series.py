"""One column over time: what each judged window said of it, with the versions that came between."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from timonel.monitoring.drift.errors import ColumnNotJudged
from timonel.monitoring.drift.telling import ANSWERS, FEATURES
from timonel.monitoring.history import iso, verdict_document
from timonel.monitoring.verdicts import Verdict, read_verdicts
from timonel.registry.history import Deployment
from timonel.registry.registry import Registry
from timonel.stats.profiles.reference import PREDICTION, SCORE
from timonel.store.engine import reading


@dataclass(frozen=True, slots=True)
class ColumnSeries:
    """Verdicts on a column, the oldest window first.

    Parameters
    ----------
    points : tuple of Verdict
    deployments : tuple of Deployment
        Those since the first window began, and the one that was in production then; by time.
    """

    model: str
    column: str
    points: tuple[Verdict, ...]
    deployments: tuple[Deployment, ...]

    def document(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {
            "model": self.model,
            "column": self.column,
            "windows": [verdict_document(point) for point in self.points],
            "deployments": [
                {"at": iso(one.at_us), "version": one.version} for one in self.deployments
            ],
        }


def column_series(
    engine: Engine, project: str, registry: Registry, model: str, column: str, *, limit: int
) -> ColumnSeries:
    """Read the last verdicts on a column.

    Raises
    ------
    ColumnNotJudged
        If windows were judged, and none of them has such a column.
    """
    versions = [version.version for version in registry.versions(model)]
    monitor = ANSWERS if column in (SCORE, PREDICTION) else FEATURES
    with reading(engine) as connection:
        found = read_verdicts(
            connection,
            project,
            model,
            monitor,
            since_us=0,
            versions=versions,
            subject=column,
            limit=limit,
        )
        newest = () if found else read_verdicts(connection, project, model, FEATURES, since_us=0)
    known = sorted({verdict.subject for verdict in newest if verdict.subject})
    if known:
        raise ColumnNotJudged(
            model=model, column=column, known=", ".join([*known, SCORE, PREDICTION])
        )
    points = tuple(reversed(found))
    since_us = points[0].start_us if points else 0
    return ColumnSeries(model, column, points, _since(registry.deployments(model), since_us))


def _since(found: Sequence[Deployment], since_us: int) -> tuple[Deployment, ...]:
    before = [one for one in found if one.at_us <= since_us]
    return (*before[-1:], *(one for one in found if one.at_us > since_us))
