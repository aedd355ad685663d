"""What a worker serves at a moment: immutable, swapped as one reference.

A request keeps the snapshot it began with. A version is loaded once, however many snapshots and
aliases name it; the previous champion stays loaded, so a rollback is the swap of a pointer.
"""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from timonel.access.ring import KeyRing, ring_of
from timonel.clock import AffineClock
from timonel.errors import TimonelError
from timonel.registry.manifest import ServingManifest, decode_manifest
from timonel.runtime.predictors import Predictor, load_predictor, self_test
from timonel.runtime.services.service import ModelService
from timonel.schema.schema import Schema
from timonel.schema.validation import RowDecoder, Values
from timonel.serving.routes.requests import RequestReader
from timonel.serving.rules import OutputCheck, Rules
from timonel.serving.versions.breaker import Breaker
from timonel.store.lean import KeyRow, ServingRow
from timonel.wire.answer import Answer

DECLARATION, CHAMPION = "declaration", "champion"
CHALLENGER, PREVIOUS = "challenger", "previous"
ARM = "arm:"
WARM_ROWS = 32
INLINE_ROW_MS = 1.0  # a model that takes longer for one row is asked in a thread
_TIMES = 3
_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class Fault:
    """A version that is not served as it should be, and why."""

    model: str
    alias: str
    version: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class ServedVersion:
    """One manifest, loaded.

    Parameters
    ----------
    manifest : ServingManifest
    digest : str
        The manifest's sha256; the native pool knows a model by it.
    decoder : RowDecoder
    predictor : Predictor or None
        None: native (``native`` is true), a declaration, or one that could not be loaded.
    native : bool
        Answered by the host's pool.
    service : ModelService or None
        Answers over HTTP.
    inline : bool
        The event loop itself may ask for a row: nothing has to be waited for, and the slowest
        stored row took at most 1 ms in this process when the model was loaded.
    rules : Rules or None
    faults : tuple of (code, text)
        What could not be loaded; the rest serves.
    """

    manifest: ServingManifest
    digest: str
    decoder: RowDecoder
    requests: RequestReader
    outputs: OutputCheck
    predictor: Predictor | None
    native: bool
    rules: Rules | None
    baseline: Answer | None
    faults: tuple[tuple[str, str], ...]
    breaker: Breaker = field(default_factory=Breaker)
    told: dict[str, float] = field(default_factory=dict)  # when what was logged last
    service: ModelService | None = None
    inline: bool = True

    @property
    def version(self) -> str:
        """The version's number; "" for a declaration."""
        return self.manifest.version

    @property
    def has_predictor(self) -> bool:
        """Whether there is a model to ask."""
        return self.predictor is not None or self.elsewhere

    @property
    def elsewhere(self) -> bool:
        """Whether another process is asked: answers have to be waited for."""
        return self.native or self.service is not None

    def limit_s(self, n_rows: int) -> float:
        """How long rows may take: the deadline is one row's, a thousand more take it again."""
        return self.manifest.policy.deadline_ms / 1000.0 * (1.0 + (n_rows - 1) / 1000.0)

    @property
    def is_whole(self) -> bool:
        """Whether there is a model to ask, or none is meant to be."""
        return self.has_predictor or self.manifest.predictor == "none"


class Choice(msgspec.Struct, frozen=True, gc=False):
    """Who answers a row, and for which experiment.

    Parameters
    ----------
    version : ServedVersion
    variant : str
        Experiment and arm; "" outside of experiments.
    unit : str or None
        Whom the experiment counts the row for, where the request did not say.
    by_rules : bool
        The rules are what is tried, not what stands in.
    shadow : ServedVersion or None
        Answers too, unheard.
    shadow_variant : str
    turn : Turn or None
        The arm is still to be asked for; this choice is that of the hash, and names no arm.
    """

    version: ServedVersion
    variant: str = ""
    unit: str | None = None
    by_rules: bool = False
    shadow: ServedVersion | None = None
    shadow_variant: str = ""
    turn: "Turn | None" = None


class Turn(NamedTuple):
    """A unit that gets the arm it had, else the one whose turn it is.

    Parameters
    ----------
    unit : str
        "": each request by itself, within this process.
    arms : tuple of str
        The control and the treatment.
    share : int
        Millionths for the treatment.
    choices : dict of str to Choice
        By arm.
    """

    experiment: str
    unit: str
    arms: tuple[str, str]
    share: int
    choices: dict[str, Choice]


class Assigning(Protocol):
    """An experiment that takes rows of a model. Pure: the same row, the same choice."""

    def choose(self, unit: str | None, identifier: bytes, values: Values, at: int) -> Choice | None:
        """Give who answers a row; None where the row is not in the experiment."""
        ...

    def asks(self) -> Iterable[tuple[ServedVersion, bool]]:
        """Give the versions that it asks, and whether nobody hears them."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """The versions of one model that are kept loaded."""

    name: str
    declaration: ServedVersion | None = None
    champion: ServedVersion | None = None
    challenger: ServedVersion | None = None
    previous: ServedVersion | None = None
    arms: dict[str, ServedVersion] = field(default_factory=dict)  # by version number
    experiments: tuple[Assigning, ...] = ()
    outside: frozenset[str] = frozenset()  # arms of experiments in which someone else acts

    @property
    def shown(self) -> ServedVersion | None:
        """The version whose schema requests must fit: the champion, else the declaration."""
        return self.champion or self.declaration

    def named(self) -> Iterable[tuple[str, ServedVersion]]:
        """Give what is loaded for the model's own sake, by alias."""
        for alias in (DECLARATION, CHAMPION, CHALLENGER, PREVIOUS):
            version = getattr(self, alias)
            if version is not None:
                yield alias, version

    def versions(self) -> Iterable[tuple[str, ServedVersion]]:
        """Give what is loaded, by alias."""
        yield from self.named()
        for number, version in self.arms.items():
            yield ARM + number, version


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that answers need, of one generation."""

    generation: int
    models: dict[str, ServedModel]
    clock: AffineClock
    faults: tuple[Fault, ...] = ()
    keys: KeyRing = field(default_factory=dict)

    def natives(self) -> set[tuple[str, bool]]:
        """Give the digests that the native pool is asked for, and whether nobody hears them."""
        asked: set[tuple[ServedVersion, bool]] = set()
        for model in self.models.values():
            asked |= {(version, False) for _, version in model.named()}
            asked.update(*(experiment.asks() for experiment in model.experiments))
        return {(version.digest, unheard) for version, unheard in asked if version.native}


ArtifactGetter = Callable[[str], bytes]


class Loader:
    """Makes snapshots; keeps what is loaded from one to the next. Used from one thread.

    Parameters
    ----------
    artifact : callable
        From sha256 (hex) to verified bytes.
    native : bool
        Whether this host has a pool for models that are not compiled.
    """

    def __init__(self, artifact: ArtifactGetter, *, native: bool) -> None:
        self._artifact = artifact
        self._native = native
        self._loaded: dict[str, ServedVersion] = {}

    def build(
        self,
        generation: int,
        rows: Iterable[ServingRow],
        clock: AffineClock,
        before: Snapshot | None,
        keys: Iterable[KeyRow] = (),
    ) -> Snapshot:
        """Load what is new, keep what is known, and say what could not be loaded.

        A champion that cannot be loaded leaves the one before it in service; where there is none
        its rules answer, if they can be read. Never raises for the fault of a version.
        """
        faults: list[Fault] = []
        found: dict[str, dict[str, ServedVersion]] = {}
        used: dict[str, ServedVersion] = {}
        named: dict[str, set[str]] = {}
        for row in rows:
            served = found.setdefault(row.model, {})
            named.setdefault(row.model, set()).add(row.alias)
            version = self._version(row, faults)
            if version is not None:
                used[version.digest] = version
                served[row.alias] = version
        models = {
            name: _model(name, served, named[name], before, used) for name, served in found.items()
        }
        # a model that failed to load is not kept: it is tried again with the next snapshot
        self._loaded = {digest: one for digest, one in used.items() if one.is_whole}
        return Snapshot(generation, models, clock, tuple(faults), ring_of(keys))

    def _version(self, row: ServingRow, faults: list[Fault]) -> ServedVersion | None:
        version = self._loaded.get(row.digest)
        if version is None:
            try:
                version = load_version(row, self._artifact, native=self._native)
            except Exception as error:  # noqa: BLE001 - a bad manifest must not stop the others
                faults.append(_fault(row, *_told(error)))
                return None
        faults += [_fault(row, code, text) for code, text in version.faults]
        return version


def _model(
    name: str,
    served: dict[str, ServedVersion],
    named: set[str],
    before: Snapshot | None,
    used: dict[str, ServedVersion],
) -> ServedModel:
    if CHAMPION in named and not (CHAMPION in served and served[CHAMPION].is_whole):
        kept = before.models.get(name) if before is not None else None
        stays = kept.champion if kept is not None else None
        if stays is None or not stays.has_predictor:
            stays = served.get(PREVIOUS)
        if stays is not None and stays.has_predictor:
            served[CHAMPION] = stays
            used[stays.digest] = stays
    arms = {alias.removeprefix(ARM): served.pop(alias) for alias in list(served) if ARM in alias}
    return ServedModel(
        name,
        served.get(DECLARATION),
        served.get(CHAMPION),
        served.get(CHALLENGER),
        served.get(PREVIOUS),
        arms,
    )


def load_version(row: ServingRow, artifact: ArtifactGetter, *, native: bool) -> ServedVersion:
    """Read a manifest, load what it names, test it on its own rows and warm it.

    Raises
    ------
    msgspec.DecodeError, TimonelError
        If the manifest cannot be read; faults of its parts are kept in the version instead.
    """
    manifest = decode_manifest(row.manifest)
    outputs = OutputCheck.of(manifest)
    decoder = RowDecoder(
        Schema.from_json(manifest.schema),
        model=manifest.model,
        key=manifest.outcome.key,
        timezone=manifest.timezone,
    )
    faults: list[tuple[str, str]] = []
    predictor, service, slow = None, None, False
    is_native = manifest.predictor == "native"
    if manifest.predictor == "http":
        service = _part(faults, lambda: ModelService(manifest, decoder.plain, os.environ))
    elif not is_native and manifest.predictor != "none":
        predictor, slow = _part(faults, lambda: _tested(manifest, artifact)) or (None, False)
    elif is_native and not native:
        # loading says which setting brings the pool
        _part(faults, lambda: load_predictor(manifest, artifact))
    rules = None
    source = manifest.rules
    if source is not None:
        rules = _part(faults, lambda: Rules(source, model=manifest.model, outputs=outputs))
    return ServedVersion(
        manifest=manifest,
        digest=row.digest,
        decoder=decoder,
        requests=RequestReader(decoder),
        outputs=outputs,
        predictor=predictor,
        native=is_native and native,
        rules=rules,
        baseline=_baseline(manifest),
        faults=tuple(faults),
        service=service,
        inline=not (slow or service or (is_native and native)),
    )


def _tested(manifest: ServingManifest, artifact: ArtifactGetter) -> tuple[Predictor, bool]:
    """Load a compiled model; say whether it is too slow to be asked in the event loop."""
    predictor = load_predictor(manifest, artifact)
    self_test(manifest, predictor)
    slow = _slowest_ms(manifest, predictor) > INLINE_ROW_MS
    return predictor, slow or manifest.policy.batch_rows > 0  # one that wants batches is slow too


def _slowest_ms(manifest: ServingManifest, predictor: Predictor) -> float:
    """Warm the way of a row alone (it is not that of many), and time its slowest stored row.

    Of each row the best of three counts: others of this machine are not the model's doing.
    """
    slowest = 0.0
    for values in manifest.self_test.rows[:WARM_ROWS]:
        took = []
        for _ in range(_TIMES):
            began = time.perf_counter()
            predictor.predict_row(values)
            took.append(time.perf_counter() - began)
        slowest = max(slowest, min(took))
    return slowest * 1000.0


def _part(faults: list[tuple[str, str]], load: Callable[[], _Part]) -> _Part | None:
    try:
        return load()
    except Exception as error:  # noqa: BLE001 - whatever fails there, the rest is to serve
        faults.append(_told(error))
        return None


def _told(error: Exception) -> tuple[str, str]:
    if isinstance(error, TimonelError):
        return error.code, str(error)
    return "unreadable_version", f"{type(error).__name__}: {error}"[:500]


def _fault(row: ServingRow, code: str, text: str) -> Fault:
    return Fault(row.model, row.alias, row.version, code, text)


def _baseline(manifest: ServingManifest) -> Answer | None:
    baseline = manifest.baseline
    if baseline is None:
        return None
    return Answer(baseline.prediction, baseline.score, baseline.probabilities)
