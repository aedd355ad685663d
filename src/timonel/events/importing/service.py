"""Imports of truths: a file that a person hands in, or the source that the model declares."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from timonel.clock import Clock
from timonel.events.accumulators import Accumulator
from timonel.events.errors import NoOutcomeSource
from timonel.events.importing.files import ImportReport, import_outcomes
from timonel.events.importing.reading import Columns
from timonel.project.incoming import Incoming, Manner, read_truths
from timonel.project.model import Model
from timonel.project.scaffold import source_for
from timonel.project.tables import Table
from timonel.registry.manifest import ServingManifest, decode_manifest
from timonel.registry.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Imports:
    """What a project's imports work with.

    Parameters
    ----------
    state : Path
        The project's state: ``spool`` lies in it, and ``outcomes`` with what a source had that
        could not be used.
    learned : callable
        From a model to how its training data were read, for what a file leaves open.
    accumulators : callable
        Gives the sums that every drainer of the project keeps.
    """

    engine: Engine
    project: str
    timezone: str
    state: Path
    clock: Clock
    registry: Registry
    learned: Callable[[str], dict[str, Any]]
    accumulators: Callable[[], Sequence[Accumulator]]

    def from_file(
        self,
        file: Path,
        columns: Columns,
        *,
        model: str | None,
        rejected: Path,
        manner: Manner | None = None,
        lang: str = "en",
    ) -> ImportReport:
        """Tell the truths of a file; ``model`` None means the only one, ``value`` "" its target.

        Raises
        ------
        ProjectFault
            If the file cannot be read, a column is missing, or the model has to be named.
        UnusableMapping, UndatedTruths
            As ``import_outcomes``.
        """
        manifest = self._manifest(model)
        if not columns.value:
            columns = replace(columns, value=manifest.target)
        table = self._read(source_for(file), columns, manifest, manner or Manner())
        return self._import(table, columns, manifest, rejected, lang)

    def from_source(self, model: Model, *, lang: str = "en") -> ImportReport:
        """Tell the truths that stand in the source that a model declares; those known stay.

        Raises
        ------
        NoOutcomeSource
            If it declares none.
        ProjectFault
            If the source cannot be read.
        UnusableMapping
            If a column is not in it.
        """
        declared = model.outcome
        if declared.source is None:
            raise NoOutcomeSource(model=model.name)
        manifest = self._manifest(model.name)
        by_id = declared.prediction_id is not None
        columns = Columns(
            value=declared.value or manifest.target,
            key=None if by_id else declared.key,
            prediction_id=declared.prediction_id,
            time=declared.time,
        )
        source = declared.source
        manner = Manner(decimal=source.decimal, dates=source.dates)
        table = self._read(source, columns, manifest, manner)
        # what else the rows say may change every night, and would make known truths look new
        named = [columns.key, columns.prediction_id, columns.time, columns.value]
        there = [name for name in table.frame.columns if name in named]
        table = table._replace(frame=table.frame.select(there))
        folder = self.state / "outcomes"
        folder.mkdir(exist_ok=True)
        rejected = folder / f"{model.name}-rejected.csv"
        rejected.unlink(missing_ok=True)
        return self._import(table, columns, manifest, rejected, lang)

    def _manifest(self, model: str | None) -> ServingManifest:
        return decode_manifest(self.registry.declaration(model).manifest)

    def _read(
        self, source: Table, columns: Columns, manifest: ServingManifest, manner: Manner
    ) -> Incoming:
        kind = "number" if manifest.task == "regression" else "label"
        manner = replace(manner, learned=self.learned(manifest.model))
        return read_truths(source, columns.value, kind, columns.time, manner)

    def _import(
        self,
        table: Incoming,
        columns: Columns,
        manifest: ServingManifest,
        rejected: Path,
        lang: str,
    ) -> ImportReport:
        return import_outcomes(
            self.engine,
            table.frame.to_dicts(),
            columns,
            project=self.project,
            model=manifest.model,
            timezone=self.timezone,
            spool=self.state / "spool",
            clock=self.clock,
            rejected=rejected,
            separator=table.separator,
            accumulators=self.accumulators(),
            lang=lang,
        )
