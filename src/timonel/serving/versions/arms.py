"""Experiments as a worker runs them: a design joined with the versions that answer for its arms."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from timonel.errors import TimonelError
from timonel.experiments.choosing import RunningExperiment
from timonel.experiments.design import (
    HOLDOUT,
    UNPLACED,
    Answers,
    Arm,
    Mode,
    Strategy,
    decode_design,
    variant_of,
)
from timonel.experiments.turns import MILLION
from timonel.schema.validation import Values
from timonel.serving.errors import ArmNotLoaded
from timonel.serving.versions.snapshot import (
    Choice,
    Fault,
    ServedModel,
    ServedVersion,
    Snapshot,
    Turn,
)
from timonel.store.lean import ExperimentRow

_weights = msgspec.json.Decoder(tuple[float, ...])


@dataclass(frozen=True, slots=True, eq=False)
class ServedExperiment:
    """One active experiment with the versions of its arms; see ``Assigning``."""

    running: RunningExperiment
    choices: dict[str, Choice]
    share: int | None = None  # millionths for the treatment, where arms are given in turn

    def choose(self, unit: str | None, identifier: bytes, values: Values, at: int) -> Choice | None:
        """Give who answers a row; None where the row is not in the experiment."""
        assigned = self.running.assign(unit, identifier, values, at)
        if assigned is None:
            return None
        choice = self.choices[assigned.arm]
        if unit is None:
            choice = msgspec.structs.replace(choice, unit=assigned.unit)
        if self.share is not None and assigned.arm != HOLDOUT and not self.running.lists(unit):
            return self._in_turn(choice, unit)
        return choice

    def asks(self) -> Iterable[tuple[ServedVersion, bool]]:
        """Give the versions that it asks, and whether nobody hears them."""
        for choice in self.choices.values():
            yield choice.version, False
            if choice.shadow is not None:
                yield choice.shadow, True

    def _in_turn(self, by_hash: Choice, unit: str | None) -> Choice:
        design = self.running.design
        control, treatment = design.names
        asked = "" if design.unit == "request" else unit or ""
        turn = Turn(design.name, asked, (control, treatment), self.share or 0, self.choices)
        return msgspec.structs.replace(
            by_hash, variant=variant_of(design.name, UNPLACED), turn=turn
        )


def with_experiments(snapshot: Snapshot, rows: Iterable[ExperimentRow]) -> Snapshot:
    """Let experiments assign a snapshot's traffic.

    One that cannot be run here (its design cannot be read, a version of it was not loaded) is a
    fault: the champion answers outside of it, and no unit is counted for it.
    """
    models = dict(snapshot.models)
    faults = list(snapshot.faults)
    for row in rows:
        model = models.get(row.model)
        if model is None or model.shown is None:
            continue
        try:
            design = decode_design(row.design)
            if design.mode is Mode.INTERLEAVE:
                continue  # lists are mixed by the control process
            if design.mode is Mode.OUTSIDE:
                # it assigns nothing here; answers given elsewhere may name its arms
                named = {variant_of(design.name, arm) for arm in design.names}
                models[row.model] = replace(model, outside=model.outside | named)
                continue
            served = serve_experiment(row, model, model.shown)
        except Exception as error:  # noqa: BLE001 - one experiment never stops the others
            code = error.code if isinstance(error, TimonelError) else "unreadable_experiment"
            faults.append(Fault(row.model, f"experiment:{row.name}", "", code, str(error)[:500]))
            continue
        models[row.model] = replace(model, experiments=(*model.experiments, served))
    return replace(snapshot, models=models, faults=tuple(faults))


def serve_experiment(
    row: ExperimentRow, model: ServedModel, shown: ServedVersion
) -> ServedExperiment:
    """Join a design with loaded versions.

    Raises
    ------
    ArmNotLoaded
        If the version of an arm is not there.
    """
    design = decode_design(row.design)
    places = {name: place for place, name in enumerate(shown.decoder.names)}
    running = RunningExperiment(design, _weights.decode(row.weights), places, row.members)
    choices = {arm.name: _choice(design.name, arm, model, shown) for arm in design.arms}
    if design.mode is Mode.SHADOW:
        control, treatment = (choices[name] for name in design.names[:2])
        heard = msgspec.structs.replace(
            control, shadow=treatment.version, shadow_variant=treatment.variant
        )
        choices = dict.fromkeys(design.names, heard)
    if design.holdout:
        kept = Arm(HOLDOUT, design.holdout_answers)
        choices[HOLDOUT] = _choice(design.name, kept, model, model.previous or shown)
    share = None
    if design.strategy is Strategy.ROUND_ROBIN:
        share = round(_weights.decode(row.weights)[1] * MILLION)
    return ServedExperiment(running, choices, share)


def _choice(experiment: str, arm: Arm, model: ServedModel, otherwise: ServedVersion) -> Choice:
    variant = variant_of(experiment, arm.name)
    if arm.answers is Answers.RULES:
        return Choice(otherwise, variant, by_rules=True)
    if not arm.version:
        return Choice(otherwise, variant)
    version = model.arms.get(arm.version)
    if version is None:
        raise ArmNotLoaded(experiment=experiment, arm=arm.name, version=arm.version)
    return Choice(version, variant)
