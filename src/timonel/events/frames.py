"""The closed list of events, and their bytes.

A frame is a msgpack array whose first element is its kind; ``v`` is the format version. Times are
integers, microseconds since the epoch in UTC, of the event clock. Ids are UUIDs as 16 bytes.
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from timonel.wire.answer import Label

FORMAT = 1
UNKNOWN_FIELDS = "@unknown"
"""Stands for fields that no schema names: what clients make up is not kept."""
NO_INPUTS = b"{}"
"""The features of a recorded prediction that came without its row (a schema is never empty)."""


class ShadowAnswer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a version that nobody hears would have answered."""

    variant: str
    version: str
    prediction: Label
    score: float | None
    latency_us: int


class PredictionFrame(
    msgspec.Struct, array_like=True, frozen=True, gc=False, tag="prediction", kw_only=True
):
    """One answer, as it was given."""

    v: int = FORMAT
    id: bytes
    at: int
    model: str
    version: str  # "" where no version answered
    variant: str  # "" outside experiments
    source: str
    reason: str
    key: str | None
    unit: str | None
    generation: int
    prediction: Label
    score: float | None
    probabilities: dict[str, float] | None
    explanation: str | None
    latency_us: int  # 0: not known (a prediction recorded from outside)
    features: bytes  # the validated row as a JSON object
    data_age_ms: int | None = None  # of a row that was looked up
    shadow: ShadowAnswer | None = None
    # whether a version is asked after this answer was given, whose own frame follows; False: too
    # many were being asked. None: no such version
    shadow_asked: bool | None = None


class Fate(StrEnum):
    """What came of asking a version that nobody hears."""

    ANSWERED = "answered"
    LATE = "late"  # not within the deadline of its own policy
    INVALID = "invalid"  # what it gave is no answer of the model
    FAILED = "failed"


class ShadowFrame(
    msgspec.Struct, array_like=True, frozen=True, gc=False, tag="shadow", kw_only=True
):
    """What a version said that was asked after the answer was given, unheard.

    A release that does not know this kind sets it aside as a dead letter, and says why.
    """

    v: int = FORMAT
    id: bytes
    at: int  # of the request, as its prediction has it
    model: str
    prediction: bytes
    variant: str
    version: str
    generation: int
    fate: str
    answer: Label | None  # None but where the fate is "answered"
    score: float | None
    latency_us: int  # from its asking on


class OutcomeFrame(
    msgspec.Struct, array_like=True, frozen=True, gc=False, tag="outcome", kw_only=True
):
    """One truth, naming a prediction by its id or by the user's key and a time."""

    v: int = FORMAT
    id: bytes
    at: int  # when it arrived
    model: str
    prediction: bytes | None
    key: str | None
    observed_at: int | None  # the last prediction of the key before this moment; None: `at`
    value: Label | None
    origin: str  # "api", "file" or "absence"


class RefusalFrame(
    msgspec.Struct, array_like=True, frozen=True, gc=False, tag="refusal", kw_only=True
):
    """A request that was not answered, for the error counts of monitoring."""

    v: int = FORMAT
    id: bytes
    at: int
    model: str
    code: str
    fields: list[str]  # the declared ones at fault, and UNKNOWN_FIELDS
    n: int = 1  # rows at fault; what could not be read at all is one
    rows: list[int] = []  # of them, by field, in the order of `fields`


class MetricFrame(
    msgspec.Struct, array_like=True, frozen=True, gc=False, tag="metric", kw_only=True
):
    """What a process recorded of one of the project's own metrics, within one minute.

    A release that does not know this kind sets it aside as a dead letter, and says why.
    """

    v: int = FORMAT
    id: bytes
    at: int  # of the first value
    name: str
    labels: dict[str, str]
    n: int
    sum_q: str  # steps of 1e-6; sums may have more than 64 bits
    sum_q2: str
    low: int
    high: int
    counts: dict[int, int]  # by the upper edge of ``timonel.stats.series.sketch``


Frame = PredictionFrame | OutcomeFrame | RefusalFrame | MetricFrame | ShadowFrame
"""Kinds reserved by ADR 0009 and not written: exposure, unit_outcome (ADR 0032)."""

KINDS = ("prediction", "outcome", "refusal", "metric", "shadow")

_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


encode: Callable[[Frame], bytes] = msgspec.msgpack.Encoder().encode
"""Gives the payload bytes of a frame (without the spool's length and checksum)."""


def decode(payload: bytes | memoryview) -> Frame:
    """Read a payload back.

    Raises
    ------
    msgspec.ValidationError, msgspec.DecodeError
        If the bytes are no frame of this list.
    """
    return _decoder.decode(payload)
