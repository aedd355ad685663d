"""The registry: declared models, their versions, who answers now, and how it came to that.

A transition is one transaction: history row, stages, aliases, and the generation by which all
processes learn of it. Transitions of a project happen one after another (``raise_generation``
locks), so of two promotions decided against the same champion only one wins.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from timonel.clock import Clock
from timonel.registry import catalogue, moves
from timonel.registry.audit import check_history
from timonel.registry.catalogue import Declaration, ModelVersion
from timonel.registry.comparison import (
    Comparison,
    compare_documents,
    compare_metrics,
    compare_schemas,
)
from timonel.registry.errors import (
    AmbiguousModel,
    HistoryDamaged,
    NothingToRollBackTo,
    OtherProject,
    RegistryBusy,
    UnknownModel,
    UnknownStage,
    UnknownVersion,
)
from timonel.registry.history import Deployment, HistoryCheck, Transition
from timonel.registry.ledger import Ledger, document, storable
from timonel.registry.manifest import ServingManifest, decode_manifest
from timonel.registry.profiles import keep_profile, read_profile
from timonel.registry.versions import (
    ALIASES,
    CHAMPION,
    PREVIOUS,
    Stage,
    Step,
    parse_reference,
)
from timonel.stats.profiles.profile import Profile
from timonel.store.control import raise_generation
from timonel.store.engine import reading
from timonel.store.tables import declarations, model_versions

__all__ = ["Declaration", "ModelVersion", "Registry"]

_ATTEMPTS = 5
PRESENT = "*"  # no version is named so
_log = logging.getLogger("timonel.registry")


class Registry:
    """The versions of one project's models; safe to use from several threads and processes.

    Parameters
    ----------
    engine : Engine
        Of a database that ``upgrade`` and ``ensure_project`` have prepared.
    project : str
    clock : Clock
        Event time, for the moments of the history.
    """

    def __init__(self, engine: Engine, project: str, clock: Clock) -> None:
        self._engine = engine
        self._project = project
        self._clock = clock

    def declare(self, manifest: ServingManifest) -> bool:
        """Publish a model's declaration, so that its rules answer without a version.

        Returns
        -------
        bool
            Whether it differs from the published one; only then the generation rises.
        """
        self._require_project(manifest)
        digest, text = manifest.digest(), manifest.encode().decode()
        row = declarations.c
        mine = (row.project == self._project, row.model == manifest.model)
        published = select(row.digest).where(*mine)
        with reading(self._engine) as connection:
            if connection.scalar(published) == digest:
                return False
        values = {"digest": digest, "manifest": text, "declared_at": self._clock.now_us()}
        with self._engine.begin() as connection:
            raise_generation(connection, self._project)
            changed = connection.execute(update(declarations).where(*mine).values(values))
            if changed.rowcount == 0:
                place = {"project": self._project, "model": manifest.model}
                connection.execute(insert(declarations), place | values)
        return True

    def declarations(self) -> list[Declaration]:
        """List the published declarations by name."""
        with reading(self._engine) as connection:
            return catalogue.declared(connection, self._project)

    def declaration(self, model: str | None = None) -> Declaration:
        """Give the published declaration of a model; None means the only one.

        Raises
        ------
        UnknownModel, AmbiguousModel
            With the known names.
        """
        found = self.declarations()
        if model is None and len(found) != 1:
            raise AmbiguousModel(known=", ".join(row.model for row in found) or "none")
        for row in found:
            if model in (None, row.model):
                return row
        raise UnknownModel(model=str(model), known=[row.model for row in found])

    def register(
        self,
        manifest: ServingManifest,
        *,
        schema_digest: str,
        recipe_digest: str,
        data_digest: str,
        version_hash: str,
        metrics: Mapping[str, Any],
        lineage: Mapping[str, Any],
        who: str,
        reason: str = "trained",
        gates: object = None,
        tags: Mapping[str, str] | None = None,
        at_least: Step = Step.PATCH,
        stage: Stage = Stage.VALIDATION,
    ) -> ModelVersion:
        """Enter a trained version under the next number.

        Parameters
        ----------
        manifest : ServingManifest
            With version ""; its number is written into it. Its artifacts are stored already.
        schema_digest, recipe_digest, data_digest : str
            What it was made of; the step from the latest version follows from them.
        version_hash : str
            Same data, code, recipe and seed: same hash.
        metrics, lineage : mapping
            JSON documents.
        gates : JSON value
            Which gates it passed or not; kept in the history.
        at_least : Step
            Makes the step bigger than what follows from the hashes; never smaller.
        stage : Stage
            VALIDATION, FAILED (a gate said no), or TRAINING.

        Returns
        -------
        ModelVersion
            With ``already_registered`` where the same training with the same rules, policy and
            outcome plan is there; nothing is written then.
        """
        self._require_project(manifest)
        with reading(self._engine) as connection:
            same = moves.same_training(connection, manifest, version_hash)
        if same is not None:
            return same
        values = {
            "model": manifest.model,
            "stage": str(stage),
            "schema_digest": schema_digest,
            "recipe_digest": recipe_digest,
            "data_digest": data_digest,
            "version_hash": version_hash,
            "metrics": document(metrics),
            "lineage": document(lineage),
            "tags": document(tags or {}),
        }
        for _ in range(_ATTEMPTS):
            try:
                with self._transition(who, reason) as ledger:
                    return moves.enter(ledger, manifest, values, at_least, gates)
            except IntegrityError:  # the number was taken meanwhile: count again
                continue
        raise RegistryBusy(model=manifest.model, attempts=_ATTEMPTS)

    def keep_profile(self, model: str, profile: Profile) -> str:
        """Store a reference profile under its id, which is given back; again changes nothing."""
        with self._engine.begin() as connection:
            return keep_profile(connection, self._project, model, profile, self._clock.now_us())

    def profile(self, profile_id: str) -> Profile | None:
        """Read a reference profile by its id."""
        with reading(self._engine) as connection:
            return read_profile(connection, self._project, profile_id)

    def validate(
        self, model: str, version: str, *, who: str, reason: str, gates: object = None
    ) -> ModelVersion:
        """Move a version to validation: its training ended, or a failed gate is overridden."""
        wanted = self.get(model, version)
        with self._transition(who, reason) as ledger:
            return moves.move(ledger, wanted, Stage.VALIDATION, gates)

    def promote(
        self,
        model: str,
        version: str,
        *,
        who: str,
        reason: str,
        gates: object = None,
        expected_champion: str | None = PRESENT,
    ) -> ModelVersion:
        """Put a version into production; the champion is archived and becomes ``previous``.

        Promoting the champion again changes nothing.

        Parameters
        ----------
        expected_champion : str or None
            The champion this was decided against (None: there was none); default the one at the
            time of the call.

        Raises
        ------
        ChampionChanged
            If another transition was first.
        IllegalTransition
            If the version is not in validation.
        """
        wanted = self.get(model, version)
        expected = self._expected(model, expected_champion)
        if expected == wanted.version:
            return wanted
        with self._transition(who, reason) as ledger:
            return moves.install(ledger, wanted, expected, gates)

    def roll_back(
        self, model: str, *, who: str, reason: str, to: str | None = None
    ) -> ModelVersion:
        """Return to the previous version, or to another that has been in production.

        Rolling back twice goes two versions back; it never returns to the one just left.

        Raises
        ------
        NothingToRollBackTo
            If there is no previous version.
        NeverInProduction
            If ``to`` has not answered before.
        """
        self._require_model(model)
        with reading(self._engine) as connection:
            expected = catalogue.aliased(connection, self._project, model, CHAMPION)
            target = to or catalogue.aliased(connection, self._project, model, PREVIOUS)
        if target is None:
            raise NothingToRollBackTo(model=model)
        wanted = self.get(model, target)
        with self._transition(who, reason) as ledger:
            return moves.install(ledger, wanted, expected, rollback=True)

    def archive(self, model: str, version: str, *, who: str, reason: str) -> ModelVersion:
        """Put a version away; without a champion the rules answer."""
        wanted = self.get(model, version)
        with self._transition(who, reason) as ledger:
            return moves.move(ledger, wanted, Stage.ARCHIVED)

    def fail(
        self, model: str, version: str, *, who: str, reason: str, gates: object = None
    ) -> ModelVersion:
        """Mark a version as unfit; it no longer answers, and no rollback goes to it."""
        wanted = self.get(model, version)
        with self._transition(who, reason) as ledger:
            return moves.move(ledger, wanted, Stage.FAILED, gates)

    def challenge(self, model: str, version: str, *, who: str, reason: str) -> ModelVersion:
        """Make a version in validation the challenger: all processes load it beside the champion.

        Raises
        ------
        IllegalTransition
            If it is in another stage.
        """
        wanted = self.get(model, version)
        with self._transition(who, reason) as ledger:
            return moves.challenge(ledger, wanted)

    def tag(self, model: str, version: str, changes: Mapping[str, str | None]) -> ModelVersion:
        """Set tags of a version; None takes one away. Tags change nothing that answers."""
        number = self.get(model, version).version
        row = model_versions.c
        with self._engine.begin() as connection:
            mine = (row.project == self._project, row.model == model, row.version == number)
            # the lock comes first, so that two taggers do not overwrite each other
            connection.execute(update(model_versions).where(*mine).values(tags=row.tags))
            tags = {**moves.present(connection, self._project, model, number).tags, **changes}
            kept = {name: value for name, value in tags.items() if value is not None}
            connection.execute(update(model_versions).where(*mine).values(tags=document(kept)))
            return moves.present(connection, self._project, model, number)

    def models(self) -> list[str]:
        """List the models that are declared or have a version."""
        with reading(self._engine) as connection:
            return catalogue.model_names(connection, self._project)

    def get(self, model: str, version: str) -> ModelVersion:
        """Read a version by its number or by an alias.

        Raises
        ------
        UnknownModel, UnknownVersion
            With the known names, closest first.
        """
        model, version = storable(model), storable(version)
        with reading(self._engine) as connection:
            number = (
                catalogue.aliased(connection, self._project, model, version)
                if version in ALIASES
                else version
            )
            if number is not None:
                found = catalogue.one_version(connection, self._project, model, number)
                if found is not None:
                    return found
        self._require_model(model)
        known = [name for v in self.versions(model) for name in (v.version, *v.aliases)]
        raise UnknownVersion(model=model, version=version, known=known)

    def resolve(self, reference: str) -> ModelVersion:
        """Read a version by ``name@1.2.0``, ``models:/name@champion``, or ``name`` (champion)."""
        model, version = parse_reference(reference)
        if version is None or version == Stage.PRODUCTION:
            version = CHAMPION
        return self.get(model, version)

    def champion(self, model: str) -> ModelVersion | None:
        """Read the version that answers, if any."""
        model = storable(model)
        with reading(self._engine) as connection:
            number = catalogue.aliased(connection, self._project, model, CHAMPION)
            if number is None:
                return None
            return catalogue.one_version(connection, self._project, model, number)

    def aliases_of(self, model: str, version: str) -> list[str]:
        """List the aliases that name a version."""
        return list(self.get(model, version).aliases)

    def manifest(self, model: str, version: str) -> ServingManifest:
        """Read a version's serving manifest; raises as :meth:`get` does."""
        number = self.get(model, version).version
        with reading(self._engine) as connection:
            text = catalogue.manifest_text(connection, self._project, model, number)
        if text is None:
            raise UnknownVersion(model=model, version=number, known=[])
        return decode_manifest(text)

    def versions(
        self,
        model: str | None = None,
        stage: str | None = None,
        *,
        after: ModelVersion | None = None,
        limit: int | None = None,
    ) -> list[ModelVersion]:
        """List versions by model, the newest first.

        Parameters
        ----------
        model, stage : str or None
            Only those of it.
        after : ModelVersion or None
            The last one of the page before.
        limit : int or None
            Size of a page; None: all (read in pages, so that no read holds the database long).

        Raises
        ------
        UnknownModel, UnknownStage
            With the known names; a declared model without versions gives an empty list.
        """
        where: list[ColumnElement[bool]] = []
        if model is not None:
            where.append(model_versions.c.model == storable(model))
        if stage is not None:
            if stage not in set(Stage):
                raise UnknownStage(stage=stage, known=list(map(str, Stage)))
            where.append(model_versions.c.stage == str(stage))
        found: list[ModelVersion] = []
        while limit is None or len(found) < limit:
            size = catalogue.PAGE if limit is None else min(catalogue.PAGE, limit - len(found))
            with reading(self._engine) as connection:
                page = catalogue.version_page(connection, self._project, where, after, size)
            found += page
            if len(page) < size:
                break
            after = page[-1]
        if model is not None and not found:
            self._require_model(model)
        return found

    def history(
        self, model: str | None = None, *, after: int = 0, limit: int | None = None
    ) -> list[Transition]:
        """List transitions in the order they happened, from the one after ``after`` (a seq)."""
        model = None if model is None else storable(model)
        found: list[Transition] = []
        while limit is None or len(found) < limit:
            size = catalogue.PAGE if limit is None else min(catalogue.PAGE, limit - len(found))
            with reading(self._engine) as connection:
                page = catalogue.transition_page(connection, self._project, model, after, size)
            found += page
            if len(page) < size:
                break
            after = page[-1].seq
        if model is not None and not found:
            self._require_model(model)
        return found

    def deployments(self, model: str) -> tuple[Deployment, ...]:
        """List when which version of a model came into production, by time."""
        return tuple(
            Deployment(row.at, row.version)
            for row in self.history(model)
            if row.to_stage == Stage.PRODUCTION
        )

    def compare(self, model: str, a: str, b: str) -> Comparison:
        """Set two versions (or aliases) side by side: figures, lineage, schema."""
        left, right = self.get(model, a), self.get(model, b)
        return Comparison(
            model=model,
            a=left.version,
            b=right.version,
            metrics=compare_metrics(left.metrics, right.metrics),
            lineage=compare_documents(left.lineage, right.lineage),
            schema=compare_schemas(
                self.manifest(model, left.version).schema,
                self.manifest(model, right.version).schema,
            ),
        )

    def verify_history(self) -> HistoryCheck:
        """Verify that no transition was edited, removed or reordered.

        Raises
        ------
        HistoryDamaged
            With the damaged places (all of them in its context).
        """
        check = check_history(self._engine, self._project)
        if not check.intact:
            shown = [f"{f.seq} {f.subject} {f.damage}".replace("  ", " ") for f in check.faults]
            raise HistoryDamaged(
                project=self._project,
                n=check.n,
                n_faults=len(check.faults),
                summary="; ".join(shown[:5]),
                faults=shown,
            )
        return check

    @contextmanager
    def _transition(self, who: str, reason: str) -> Iterator[Ledger]:
        with self._engine.begin() as connection:
            raise_generation(connection, self._project)
            at = self._clock.now_us()
            ledger = Ledger(connection, self._project, who=who, reason=reason, at=at)
            yield ledger
        for row in ledger.recorded:  # what is committed
            _log.info(
                "%s@%s: %s -> %s by %s: %s",
                *(row.model, row.version, row.from_stage, row.to_stage, row.who, row.reason),
                extra={"model": row.model, "version": row.version},
            )

    def _expected(self, model: str, given: str | None) -> str | None:
        if given != PRESENT:
            return given
        with reading(self._engine) as connection:
            return catalogue.aliased(connection, self._project, model, CHAMPION)

    def _require_model(self, model: str) -> None:
        known = self.models()
        if model not in known:
            raise UnknownModel(model=model, known=known)

    def _require_project(self, manifest: ServingManifest) -> None:
        if manifest.project != self._project:
            raise OtherProject(model=manifest.model, project=self._project, found=manifest.project)
