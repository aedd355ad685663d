"""The composition root: a project folder and settings become an ``App``.

The only place where parts are chosen and joined, together with ``timonel.host``, its serving half.
Opening reads ``timonel.toml`` alone; the project's Python is imported at the first use of
``App.project``, so that a broken ``model.py`` never stands in the way of a rollback.
"""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from timonel.alerts.book import AlertBook
from timonel.alerts.channels import Channels
from timonel.alerts.outbox import DeliveryReport, deliver_due, remove_channel, try_channel
from timonel.errors import Phrase
from timonel.events.errors import UnknownOutcome
from timonel.events.outcomes import OutcomeStatus, outcome_status
from timonel.experiments.outside.enlisting import UnitLists
from timonel.experiments.outside.units import OutsideUnits
from timonel.experiments.rows import Experiment
from timonel.experiments.wishes import Wish, design_of
from timonel.host import Host
from timonel.host import host_name as host_name
from timonel.jobs.queue import JobQueue
from timonel.jobs.schedule import Scheduler
from timonel.jobs.steps import JobKind
from timonel.project.config import read_settings
from timonel.project.errors import NoModel, UndeclaredModel
from timonel.project.incoming import Manner
from timonel.project.model import Model
from timonel.project.project import Project, load_project
from timonel.registry.manifest import decode_manifest
from timonel.registry.registry import ModelVersion
from timonel.retraining.parts import Parts
from timonel.stats.profiles.profile import Profile
from timonel.store.engine import reading
from timonel.wire.ids import parse_uuid

if TYPE_CHECKING:
    # scipy and the trainers take a second: parts that need them are imported when they are made
    from timonel.events.importing.pulls import Pulls
    from timonel.events.importing.service import Imports
    from timonel.experiments.outside.files import UnitFile
    from timonel.experiments.outside.members import Member
    from timonel.experiments.outside.recording import RecordReport
    from timonel.experiments.planning.service import Planning
    from timonel.experiments.replaying.jobs import AaJobs
    from timonel.experiments.service import Experiments
    from timonel.monitoring.checks import Checks
    from timonel.monitoring.drift.looks import RowLooks
    from timonel.monitoring.drift.simulation import DriftSimulation
    from timonel.retraining.service import Retraining
    from timonel.serving.versions.explaining import Explanations
    from timonel.training.bring.bring import Bring
    from timonel.training.services.wrap import Wrap
    from timonel.training.train import TrainedVersion

Progress = Callable[[str, float], None]


class Published(NamedTuple):
    """A trained version in the registry, and whether it went into production."""

    trained: "TrainedVersion"
    version: ModelVersion
    promoted: bool
    reason: Phrase


class App(Host):
    """A project, its settings, and the parts they chose: a host that also trains and watches.

    Parameters
    ----------
    folder : Path
        The project's folder (it holds ``timonel.toml``).
    config : ProjectConfig
        What ``timonel.toml`` says.
    settings : Settings
    """

    @cached_property
    def project(self) -> Project:
        """The declarations: imports the project's modules at first use."""
        return load_project(self.folder)

    @cached_property
    def alerts(self) -> AlertBook:
        """The alerts, and what people made of them."""
        url = self.settings.public_url
        return AlertBook(self.engine, self.name, self.clock, public_url=url)

    @cached_property
    def channels(self) -> Channels:
        """Where alerts are sent."""
        return Channels(self.engine, self.name, self.clock)

    @cached_property
    def checks(self) -> "Checks":
        """What is watched; what is found is told to the alerts."""
        from timonel.monitoring.checks import Checks

        return Checks(self.engine, self.name, self.clock, self.registry, self.alerts.hear)

    @cached_property
    def experiments(self) -> "Experiments":
        """The comparisons: who is assigned to what, and what was found."""
        from timonel.experiments.service import Experiments

        hear = self.alerts.hear
        return Experiments(self.engine, self.name, self.clock, self.registry, hear)

    @cached_property
    def planning(self) -> "Planning":
        """Sizes and durations of experiments to come, by the log."""
        from timonel.experiments.planning.service import Planning

        return Planning(self.engine, self.name, self.clock, self.registry)

    @cached_property
    def aa_jobs(self) -> "AaJobs":
        """Experiments without a difference, played on the log by jobs."""
        from timonel.experiments.replaying.jobs import AaJobs

        return AaJobs(self.jobs, self.planning, self.clock)

    @cached_property
    def outside_units(self) -> OutsideUnits:
        """Units of experiments in which someone else acts."""
        return OutsideUnits(self.engine, self.name, self.clock)

    @cached_property
    def unit_lists(self) -> UnitLists:
        """Units that are assigned as one list, before their experiment starts."""
        return UnitLists(self.engine, self.name, self.clock)

    def create_experiment(
        self,
        model: str,
        wish: Wish,
        *,
        who: str,
        units: "UnitFile | None" = None,
        units_follow: bool = False,
    ) -> Experiment:
        """Make a draft of what a person asked for, with the defaults of the model.

        Parameters
        ----------
        units : UnitFile or None
            Units to assign at once, where someone else acts; None: each when it is first seen.
        units_follow : bool
            They come with ``unit_lists.assign``, before the start: what needs a list may wait.

        Raises
        ------
        InvalidDesign, UnusableUnits, ExperimentExists, UnknownModel, UnknownVersion
        """
        declaration = self.registry.declaration(model)
        task = decode_manifest(declaration.manifest).task
        design = design_of(
            wish,
            model=declaration.model,
            task=task,
            depends_on_action=self.model(declaration.model).outcome_depends_on_action,
        )
        members: list[Member] = []
        if units is not None:
            from timonel.experiments.outside.drawing import draw_list

            design, members = draw_list(design, units)
        return self.experiments.create(design, who=who, members=members, units_follow=units_follow)

    def record_outcomes(
        self,
        name: str,
        file: Path,
        *,
        key: str | None = None,
        manner: Manner | None = None,
        rejected: Path,
        lang: str = "en",
    ) -> "RecordReport":
        """Record what a file says came of an experiment's units; see ``record_file``."""
        from timonel.experiments.outside.recording import record_file

        return record_file(
            self.outside_units, name, file, key=key, manner=manner, rejected=rejected, lang=lang
        )

    @cached_property
    def jobs(self) -> JobQueue:
        """The durable queue of work."""
        return JobQueue(self.engine, self.name, self.clock)

    @cached_property
    def scheduler(self) -> Scheduler:
        """What comes due by the project's local time."""
        return Scheduler(self.engine, self.name, self.config.timezone, self.clock)

    @cached_property
    def retraining(self) -> "Retraining":
        """Starting retrainings, and saying why not."""
        from timonel.retraining.service import Retraining

        parts = Parts(
            engine=self.engine,
            name=self.name,
            timezone=self.config.timezone,
            folder=self.folder.resolve(),
            registry=self.registry,
            artifacts=self.artifacts,
            model=lambda name: self.model(name),
            models=lambda: self.project.models,
            now_us=lambda: self.clock.now_us(),
            raise_signal=self.alerts.hear,
            await_generation=self.await_generation,
            timeout_s=self.settings.training_timeout_s,
        )
        return Retraining(parts, self.jobs, self.scheduler)

    @cached_property
    def row_looks(self) -> "RowLooks":
        """Looks at all columns of logged rows together: at once, or by jobs."""
        from timonel.monitoring.drift.looks import RowLooks

        parts = (self.engine, self.name, self.registry, self.jobs)
        return RowLooks(*parts, model=lambda name: self.model(name), timezone=self.config.timezone)

    @cached_property
    def explanations(self) -> "Explanations":
        """Why versions answer what they answer."""
        from timonel.serving.versions.explaining import Explanations

        return Explanations(self.registry, self.artifacts.get)

    def job_kinds(self) -> dict[str, JobKind]:
        """Give the kinds of jobs that a worker of this project can do, by name."""
        from timonel.experiments.replaying.jobs import aa_kind
        from timonel.retraining.pipeline import retrain_kind

        kinds = [
            retrain_kind(self.retraining.parts),
            aa_kind(),
            self.pulls.kind(),
            self.row_looks.kind(),
        ]
        return {kind.name: kind for kind in kinds}

    def deliver_alerts(self) -> DeliveryReport:
        """Carry the messages that are due to their channels; may take long, so not where it hurts.

        What nobody took in time goes to the next step first. Variables that channels name are
        looked up in this process's environment.
        """
        self.alerts.escalate()
        return deliver_due(
            self.engine,
            self.name,
            self.clock,
            environment=os.environ,
            raise_signal=self.alerts.hear,
            folder=self.folder.resolve(),
        )

    def try_channel(self, name: str) -> int:
        """Send a test message now; give how many messages wait for the channel."""
        return try_channel(
            self.engine,
            self.name,
            self.clock,
            name,
            environment=os.environ,
            raise_signal=self.alerts.hear,
            folder=self.folder.resolve(),
        )

    def remove_channel(self, name: str) -> int:
        """Remove a channel; give how many messages are given up with it."""
        raise_signal = self.alerts.hear
        return remove_channel(self.engine, self.name, self.clock, name, raise_signal=raise_signal)

    def declare(self) -> list[str]:
        """Publish what the project declares; give the names of models whose declaration changed."""
        from timonel.training.publish import declaration_manifest, first_baseline

        project = self.project
        project.check()
        changed = []
        trained = {version.model for version in self.registry.versions()}
        for model in project.models.values():
            rules = project.rules_source(model)
            zone = self.config.timezone
            untrained = model.name not in trained
            manifest = declaration_manifest(
                model,
                project=self.name,
                timezone=zone,
                rules=rules,
                baseline=first_baseline(model, timezone=zone) if untrained else None,
            )
            if self.registry.declare(manifest):
                changed.append(model.name)
        self.retraining.schedule()
        return changed

    def model(self, name: str) -> Model:
        """Give a declared model; an unknown name lists the known ones."""
        return self.project.model(name)

    def train(
        self,
        name: str,
        *,
        who: str,
        promote: bool = True,
        seed: int | None = None,
        progress: Progress | None = None,
    ) -> Published:
        """Train a version, register it and, if it may, put it into production.

        A first version is promoted when it beats the baseline. A later one is promoted only under
        ``approval="automatic"`` or by hand, until the paired gates of retraining decide it.
        """
        from timonel.training.publish import may_promote, publish
        from timonel.training.train import train

        model = self.model(name)
        trained = train(
            model,
            project=self.name,
            timezone=self.config.timezone,
            rules=self.project.rules_source(model),
            seed=seed,
            progress=progress,
            champion=self.champion_profile(model),
        )
        version = publish(trained, self.registry, self.artifacts, who=who)
        allowed, reason = may_promote(trained, version, self.registry.champion(name))
        if promote and allowed:
            version = self.registry.promote(name, version.version, who=who, reason=str(reason))
        return Published(trained, version, promote and allowed, reason)

    def bring(
        self, name: str, given: "Bring", *, who: str
    ) -> "tuple[TrainedVersion, ModelVersion]":
        """Enter a model that was fitted elsewhere as a version; it is in stage validation.

        Raises
        ------
        NotDeclaredYet
            If the project does not declare the model, with the declaration that it needs.
        """
        from timonel.training.bring.bring import bring, declaration_for
        from timonel.training.publish import publish

        try:
            model = self.model(name)
        except (UndeclaredModel, NoModel) as error:
            known = error.context.get("known", "-")
            raise declaration_for(name, given, known=known, folder=self.folder) from error
        self.declare()
        trained = bring(
            model,
            given,
            project=self.name,
            folder=self.folder.resolve(),
            timezone=self.config.timezone,
            rules=self.project.rules_source(model),
            champion=self.champion_profile(model),
        )
        version = publish(trained, self.registry, self.artifacts, who=who, reason="brought fitted")
        return trained, version

    def wrap(self, name: str, given: "Wrap", *, who: str) -> "tuple[TrainedVersion, ModelVersion]":
        """Enter a model that runs elsewhere, as a service, as a version in stage validation."""
        from timonel.training.publish import publish
        from timonel.training.services.wrap import wrap

        model = self.model(name)
        self.declare()
        wrapped = wrap(
            model,
            given,
            project=self.name,
            timezone=self.config.timezone,
            rules=self.project.rules_source(model),
            champion=self.champion_profile(model),
        )
        reason = "a service"
        return wrapped, publish(wrapped, self.registry, self.artifacts, who=who, reason=reason)

    def champion_profile(self, model: Model) -> Profile | None:
        """Give the champion's reference profile, if it has the declared schema."""
        champion = self.registry.champion(model.name)
        if champion is None or champion.schema_digest != model.schema.digest():
            return None
        profile_id = self.registry.manifest(model.name, champion.version).profile
        return None if profile_id is None else self.registry.profile(profile_id)

    def drift_simulation(self, name: str, version: ModelVersion) -> "DriftSimulation":
        """Make the simulation of drift for a version, on rows that its source holds back."""
        manifest = self.registry.manifest(name, version.version)
        profile = None if manifest.profile is None else self.registry.profile(manifest.profile)
        from timonel.monitoring.drift.simulation import DriftSimulation

        return DriftSimulation(
            self.model(name),
            version,
            manifest,
            profile,
            artifacts=self.artifacts,
            timezone=self.config.timezone,
        )

    @cached_property
    def imports(self) -> "Imports":
        """Truths out of files, and out of the sources that models declare."""
        from timonel.events.importing.service import Imports

        return Imports(
            engine=self.engine,
            project=self.name,
            timezone=self.config.timezone,
            state=self.state,
            clock=self.clock,
            registry=self.registry,
            learned=self.learned,
            accumulators=self._accumulators,
        )

    @cached_property
    def pulls(self) -> "Pulls":
        """The scheduled fetching of truths."""
        from timonel.events.importing.pulls import Pulls

        return Pulls(
            self.jobs,
            self.scheduler,
            lambda: self.project.models,
            self.folder.resolve(),
            self.alerts.hear,
            timeout_s=self.settings.training_timeout_s,
        )

    def outcome_status(self, outcome_id: str) -> OutcomeStatus:
        """Say what became of an outcome; raises ``UnknownOutcome``."""
        given = parse_uuid(outcome_id)
        if given is None:
            raise UnknownOutcome(outcome_id=outcome_id)
        with reading(self.engine) as connection:
            found = outcome_status(connection, self.name, given)
        if found is None:
            raise UnknownOutcome(outcome_id=outcome_id)
        return found


def open_app(folder: Path, **overrides: Any) -> App:
    """Open a project folder.

    Parameters
    ----------
    folder : Path
        Where ``timonel.toml`` lies.
    **overrides
        Settings from the command line; None means "not given".

    Raises
    ------
    ProjectFault
        If there is no readable ``timonel.toml``, or a setting is not usable.
    """
    config, settings = read_settings(folder, overrides)
    return App(folder, config, settings)
