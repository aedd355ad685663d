"""What a model answers with, as tensors of the Open Inference Protocol."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from timonel.errors import Phrase, closest
from timonel.registry.manifest import ServingManifest
from timonel.serving.protocols.errors import InvalidTensor
from timonel.serving.protocols.tensors import BOOL, BYTES, FP64, INT64, to_bytes
from timonel.wire.replies import PredictionReply, encode_reply

_REGRESSION = "regression"
Replies = Sequence[PredictionReply]


class Wanted(NamedTuple):
    """One output that was asked for, and whether as bytes."""

    name: str
    binary: bool


class Output(NamedTuple):
    """One output tensor: how it is described and where its values come from."""

    name: str
    datatype: str
    width: int
    values: Callable[[Replies], list[Any]]
    parameters: dict[str, str] = {}


def described(name: str, datatype: str, width: int = 1, n: int = -1) -> dict[str, Any]:
    """Describe a tensor; -1 rows is any number of them."""
    return {"name": name, "datatype": datatype, "shape": [n, width]}


def outputs_of(manifest: ServingManifest) -> list[Output]:
    """List the outputs of a model's answers, in the order in which they are answered.

    A regression has no score; probabilities are there where the classes are known, in the order
    of the parameter ``classes`` (a JSON text).
    """
    regression = manifest.task == _REGRESSION
    outputs = [_prediction(manifest)]
    if not regression:
        outputs.append(Output("score", FP64, 1, lambda replies: [one.score for one in replies]))
    if not regression and manifest.classes:
        outputs.append(_probabilities([str(label) for label in manifest.classes]))
    return [
        *outputs,
        Output("source", BYTES, 1, lambda replies: [one.source for one in replies]),
        Output("reason", BYTES, 1, lambda replies: [one.reason for one in replies]),
        Output("version", BYTES, 1, lambda replies: [one.version for one in replies]),
        Output("prediction_id", BYTES, 1, lambda replies: [one.prediction_id for one in replies]),
    ]


def chosen(
    outputs: list[Output], wanted: list[Wanted] | None, *, binary: bool
) -> list[tuple[Output, bool]]:
    """Give the outputs that were asked for, in that order, and which of them as bytes.

    Raises
    ------
    InvalidTensor
        If one of them is none of the model's.
    """
    if wanted is None:
        return [(output, binary) for output in outputs]
    by_name = {output.name: output for output in outputs}
    for one in wanted:
        if one.name not in by_name:
            known = closest(one.name[:64], list(by_name))
            raise InvalidTensor(
                tensor=one.name[:64],
                found=Phrase("no output of this name", "ninguna salida de este nombre"),
                expected=Phrase("one of {known}", "una de {known}", known=known),
            )
    return [(by_name[one.name], one.binary) for one in wanted]


def rendered(
    head: dict[str, Any], outputs: list[tuple[Output, bool]], replies: Replies
) -> tuple[bytes, int | None]:
    """Write an answer: its body, and the size of its JSON where bytes follow it."""
    tensors: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for output, binary in outputs:
        values = output.values(replies)
        tensor = described(output.name, output.datatype, output.width, n=len(replies))
        parameters: dict[str, Any] = dict(output.parameters)
        if binary:
            parts.append(to_bytes(output.datatype, values))
            parameters["binary_data_size"] = len(parts[-1])
        else:
            tensor["data"] = values
        if parameters:
            tensor["parameters"] = parameters
        tensors.append(tensor)
    text = encode_reply({**head, "outputs": tensors})
    return b"".join((text, *parts)), len(text) if parts else None


def _prediction(manifest: ServingManifest) -> Output:
    datatype, made = _label(manifest)
    return Output(
        "prediction", datatype, 1, lambda replies: [made(one.prediction) for one in replies]
    )


def _label(manifest: ServingManifest) -> tuple[str, Callable[[Any], Any]]:
    if manifest.task == _REGRESSION:
        return FP64, float
    classes = manifest.classes or ()
    kinds = {type(label) for label in classes}
    if kinds == {bool}:
        return BOOL, bool
    if kinds == {int} and all(int(label).bit_length() < 64 for label in classes):
        return INT64, int
    if kinds and kinds <= {int, float}:
        return FP64, float
    return BYTES, str  # as probabilities name their classes


def _probabilities(names: list[str]) -> Output:
    none: list[None] = [None] * len(names)

    def values(replies: Replies) -> list[Any]:
        flat: list[Any] = []
        for one in replies:
            given = one.probabilities
            flat += none if given is None else [given.get(name, 0.0) for name in names]
        return flat

    parameters = {"classes": msgspec.json.encode(names).decode()}
    return Output("probabilities", FP64, len(names), values, parameters)
