"""The serving manifest: all that a process needs to answer for a model, without its project.

Publishing writes it, predict workers read it; it is immutable and named by its sha256. A model
without a version has one too (its declaration: schema, rules, policy), so that rules answer.
"""

from hashlib import sha256
from typing import Any

import msgspec

from timonel.wire.answer import Label
from timonel.wire.lookup import LookupPlan as LookupPlan
from timonel.wire.rules import RulesSource as RulesSource

FORMAT = 1


class ArtifactRef(msgspec.Struct, frozen=True):
    """Bytes in the artifact store."""

    sha256: str
    size: int


class Baseline(msgspec.Struct, frozen=True):
    """What is answered without model and rules: base rate or median of the training data."""

    prediction: Label
    score: float | None = None
    probabilities: dict[str, float] | None = None


class ServingPolicy(msgspec.Struct, frozen=True):
    """The part of the policy that the hot path needs."""

    deadline_ms: float = 1000.0
    low_confidence: float | None = None
    batch_rows: int = 0  # rows of several requests that are asked together; 0: each alone
    batch_wait_ms: float = 0.0
    overload: str = "refuse"  # or "rules"


class BatchWay(msgspec.Struct, frozen=True):
    """How the native pool answers large batches of a compiled model faster than its graph does.

    ``rows``: from how many on; ``difference``: the largest that the parity gate found.
    """

    artifact: str
    link: str
    rows: int
    difference: float


class OutcomePlan(msgspec.Struct, frozen=True):
    """How outcomes find their predictions."""

    key: str | None = None
    horizon_s: int = 30 * 86_400
    absent: Label | None = None


class WatchPlan(msgspec.Struct, frozen=True):
    """How the model's traffic is watched; fields as in ``timonel.project.model.Watch``."""

    window_h: int | None = None  # None: the smallest of 1, 24, 168 expected to hold enough rows
    season: bool = True
    floor: float = 0.03
    floors: dict[str, float] = {}
    accuracy_loss: float = 0.05
    error_rise: float = 0.10
    losses: dict[str, float] = {}
    min_labels: int = 200
    fallback_rate: float = 0.05
    refused_rate: float = 0.05
    outliers: float | None = None
    rule: str = "default"
    rules: dict[str, str] = {}
    detector: str = "adwin"
    anomalies: str = "seasonal"
    latency_ms: float = 5000.0


class SelfTest(msgspec.Struct, frozen=True):
    """Stored rows and the outputs they must give after loading (at most 32)."""

    rows: list[list[Any]] = []
    predictions: list[Label] = []
    scores: list[float | None] = []


class ServingManifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one version (or one declaration) that serving reads.

    ``predictor`` is "linear" or "clusters" (closed forms, all of it in ``plan``), "onnx",
    "native", "http" (a service; ``plan["http"]`` says where) or "none"; ``plan`` is the
    featuriser plan (``timonel.runtime.featuriser``) or None.
    """

    format: int = FORMAT
    project: str
    model: str
    version: str  # "" for a declaration
    task: str
    target: str
    schema: list[dict[str, Any]]
    timezone: str
    classes: list[Label] | None = None
    positive: Label | None = None
    target_range: tuple[float | None, float | None] | None = None  # of a regression; inclusive
    predictor: str = "none"
    plan: dict[str, Any] | None = None
    artifacts: dict[str, ArtifactRef] = {}
    baseline: Baseline | None = None
    rules: RulesSource | None = None
    policy: ServingPolicy = ServingPolicy()
    outcome: OutcomePlan = OutcomePlan()
    watch: WatchPlan = WatchPlan()
    lookup: LookupPlan | None = None  # of a declaration alone
    profile: str | None = None  # id of the reference profile its traffic is counted on
    labelled: dict[str, Any] | None = None  # timonel.stats.calibration.reference
    outliers: dict[str, Any] | None = None  # timonel.stats.multivariate.row_outliers
    self_test: SelfTest = SelfTest()
    parity: dict[str, Any] | None = None
    batch: BatchWay | None = None  # of a compiled model, where the native pool answers many rows

    def encode(self) -> bytes:
        """Give the canonical JSON bytes: the same manifest, the same bytes."""
        return msgspec.json.encode(self, order="deterministic")

    def digest(self) -> str:
        """Give the sha256 (hex) of the canonical bytes."""
        return sha256(self.encode()).hexdigest()


_decoder = msgspec.json.Decoder(ServingManifest)


def decode_manifest(document: bytes | str) -> ServingManifest:
    """Read a manifest back; raises ``msgspec.ValidationError`` on another form."""
    return _decoder.decode(document)
