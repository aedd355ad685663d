"""Requests of the Open Inference Protocol, read by a model's schema."""

from collections.abc import Mapping
from typing import Any

from timonel.errors import Phrase, closest
from timonel.schema.features import Category, Feature, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.schema.validation import NOTHING, ONCE, TWICE, RowDecoder, read_key
from timonel.schema.validation_fields import Fault
from timonel.serving.protocols.errors import InvalidTensor
from timonel.serving.protocols.outputs import Output, Wanted, chosen, described, outputs_of
from timonel.serving.protocols.tables import records_of, request_of
from timonel.serving.protocols.tensors import (
    BOOL,
    BYTES,
    DATATYPES,
    FLOATS,
    FP64,
    INT64,
    INTEGERS,
    TensorHead,
    from_bytes,
    from_json,
)
from timonel.serving.routes.requests import PredictRequest
from timonel.serving.versions.snapshot import ServedVersion
from timonel.wire.errors import InvalidRequest, TooManyRows
from timonel.wire.strict_json import JsonObject, describe, read_json

EXAMPLE = '{"inputs": [{"name": NAME, "shape": [1, 1], "datatype": "FP64", "data": [VALUE]}, ...]}'
_MEANINGS = ("np", "str", "pd", "datetime")  # content types that change nothing in a value
_UNIT = "unit_id"
_A_COUNT = Phrase("a whole number of bytes", "un número entero de bytes")
_SHAPE = Phrase("[rows, 1] or [rows]", "[filas, 1] o [filas]")
_NO_SUCH = Phrase("an input of this name", "una entrada de este nombre")


class InferBody:
    """The body of one infer request. ``read`` once; then ``id`` and the outputs are known.

    Parameters
    ----------
    body : bytes
    head_size : int or None
        Bytes of its JSON; None: all of it.
    route : str
        Named in errors.
    """

    __slots__ = ("_binary", "_body", "_head_size", "_route", "id", "outputs", "size")

    def __init__(self, body: bytes, head_size: int | None, route: str) -> None:
        self._body = body
        self._head_size = len(body) if head_size is None else head_size
        self._route = route
        self.size = len(body)
        self.id: str | None = None
        self.outputs: list[tuple[Output, bool]] = []  # and whether as bytes
        self._binary = False

    def read(self, version: ServedVersion, max_rows: int) -> PredictRequest:
        """Read the request by a version's schema.

        Raises
        ------
        MalformedBody, InvalidRequest, InvalidTensor, TooManyRows
            Errors of rows are in the result.
        """
        if self._head_size > len(self._body):
            raise self._invalid(
                "Inference-Header-Content-Length",
                str(self._head_size),
                Phrase(
                    "at most the body's {n} bytes",
                    "a lo más los {n} bytes del cuerpo",
                    n=len(self._body),
                ),
            )
        document = read_json(self._body[: self._head_size])
        if not isinstance(document, JsonObject):
            expected = Phrase("an object with the field inputs", "un objeto con el campo inputs")
            raise self._invalid("body", describe(document), expected)
        if document.duplicates:
            raise self._invalid(document.duplicates[0], TWICE, ONCE)
        unit = self._frame(document)
        wanted = self._wanted(document.get("outputs"))
        self.outputs = chosen(outputs_of(version.manifest), wanted, binary=self._binary)
        names, columns = self._inputs(document, version.decoder, max_rows)
        records = records_of(version.decoder, names, columns)
        return request_of(version.decoder, records, unit)

    # --- the frame

    def _frame(self, document: JsonObject) -> str | None:
        """Read id and parameters; gives the unit id."""
        sent = document.get("id")
        if not (sent is None or isinstance(sent, str)):
            raise self._invalid("id", describe(sent), Phrase("a text", "un texto"))
        self.id = sent
        parameters = self._parameters(document)
        self._binary = self._flag(parameters, "binary_data_output", default=False)
        try:
            unit = read_key(parameters.get(_UNIT))
        except Fault as fault:
            raise self._invalid(f"parameters.{_UNIT}", fault.found, fault.expected) from None
        return unit

    def _wanted(self, outputs: Any) -> list[Wanted] | None:
        if outputs is None:
            return None
        if not isinstance(outputs, list):
            expected = Phrase("a list of outputs", "una lista de salidas")
            raise self._invalid("outputs", describe(outputs), expected)
        wanted: dict[str, Wanted] = {}
        for one in outputs:
            name = one.get("name") if isinstance(one, JsonObject) else None
            if not isinstance(name, str):
                expected = Phrase("an object with a name", "un objeto con un nombre")
                raise self._invalid("outputs", describe(one), expected)
            if name in wanted:
                raise InvalidTensor(tensor=name[:64], found=TWICE, expected=ONCE)
            parameters = self._parameters(one)
            for unknown in parameters:
                if unknown.startswith("shared_memory") or unknown == "classification":
                    raise InvalidTensor(
                        tensor=name[:64],
                        found=Phrase("the parameter {name}", "el parámetro {name}", name=unknown),
                        expected=Phrase("data in the answer", "datos en la respuesta"),
                    )
            binary = self._flag(parameters, "binary_data", default=self._binary)
            wanted[name] = Wanted(name, binary)
        return list(wanted.values()) or None

    def _parameters(self, holder: JsonObject) -> Mapping[str, Any]:
        sent = holder.get("parameters")
        if sent is None:
            return {}
        if not isinstance(sent, JsonObject) or sent.duplicates:
            expected = Phrase("an object, each name once", "un objeto, cada nombre una vez")
            raise self._invalid("parameters", describe(sent), expected)
        return sent

    def _flag(self, parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
        sent = parameters.get(name, default)
        if not isinstance(sent, bool):
            expected = Phrase("true or false", "true o false")
            raise self._invalid(f"parameters.{name}", describe(sent), expected)
        return sent

    # --- the tensors

    def _inputs(
        self, document: JsonObject, decoder: RowDecoder, max_rows: int
    ) -> tuple[list[str], list[list[Any]]]:
        inputs = document.get("inputs")
        if not isinstance(inputs, list) or not inputs:
            expected = Phrase("a list of input tensors", "una lista de tensores de entrada")
            found = NOTHING if inputs is None else describe(inputs)
            raise self._invalid("inputs", found, expected)
        rest = _Rest(memoryview(self._body)[self._head_size :])
        names: list[str] = []
        columns: list[list[Any]] = []
        n: int | None = None
        for sent in inputs:
            head = self._head(sent, decoder, max_rows)
            if head.name in names:
                raise head.refusal(TWICE, ONCE)
            if n is not None and head.n != n:
                first = Phrase(
                    "{n} rows, as in {name}", "{n} filas, como en {name}", n=n, name=names[0][:64]
                )
                raise head.refusal(_n_rows(head.n), first)
            n = head.n
            names.append(head.name)
            columns.append(self._values(head, sent, rest))
        rest.check_end()
        return names, columns

    def _head(self, sent: Any, decoder: RowDecoder, max_rows: int) -> TensorHead:
        name = sent.get("name") if isinstance(sent, JsonObject) else None
        if not isinstance(name, str):
            expected = Phrase("an object with a name", "un objeto con un nombre")
            raise self._invalid("inputs", describe(sent), expected)
        shown = name[:64]
        if sent.duplicates:
            found = Phrase(
                "{name} more than once", "{name} más de una vez", name=sent.duplicates[0]
            )
            raise InvalidTensor(tensor=shown, found=found, expected=ONCE)
        allowed = fitting(decoder, name)
        datatype = sent.get("datatype")
        if datatype not in DATATYPES or not isinstance(datatype, str) or datatype not in allowed:
            raise InvalidTensor(
                tensor=shown,
                found=Phrase(
                    "the datatype {datatype}", "el tipo {datatype}", datatype=describe(datatype)
                ),
                expected=Phrase("one of {known}", "uno de {known}", known=", ".join(allowed)),
            )
        shape = sent.get("shape")
        n = _n_of(shape)
        if n is None:
            raise InvalidTensor(tensor=shown, found=_shown(shape), expected=_SHAPE)
        if n > max_rows:
            raise TooManyRows(found=n, limit=max_rows)
        if n == 0:
            raise InvalidTensor(tensor=shown, found=_n_rows(0), expected=_n_rows(1))
        return TensorHead(name, datatype, n, len(shape) == 2)

    def _values(self, head: TensorHead, sent: JsonObject, rest: "_Rest") -> list[Any]:
        parameters = self._parameters(sent)
        for name in parameters:
            if name.startswith("shared_memory"):
                found = Phrase("shared memory", "memoria compartida")
                raise head.refusal(found, Phrase("data in the request", "datos en la petición"))
        meaning = parameters.get("content_type", "np")
        if meaning not in _MEANINGS:
            found = Phrase(
                "the content type {name}", "el tipo de contenido {name}", name=describe(meaning)
            )
            raise head.refusal(
                found, Phrase("one of {known}", "uno de {known}", known=", ".join(_MEANINGS))
            )
        size = parameters.get("binary_data_size")
        if size is None:
            if "data" not in sent:
                expected = Phrase("data, or binary_data_size", "data, o binary_data_size")
                raise head.refusal(NOTHING, expected)
            return from_json(head, sent["data"])
        if "data" in sent:
            found = Phrase("both data and binary_data_size", "data y binary_data_size a la vez")
            raise head.refusal(found, Phrase("one of them", "uno de ellos"))
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise head.refusal(f"binary_data_size {describe(size)}", _A_COUNT)
        return from_bytes(head, rest.take(head, size))

    def _invalid(self, field: str, found: str, expected: str) -> InvalidRequest:
        return InvalidRequest(
            field=field, found=found, expected=expected, route=self._route, example=EXAMPLE
        )


class _Rest:
    """The bytes after the JSON, given out tensor by tensor."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def take(self, head: TensorHead, size: int) -> memoryview:
        """Give the next bytes; raises ``InvalidTensor`` where there are not as many."""
        if size > len(self._data):
            raise head.refusal(
                Phrase(
                    "{n} bytes left in the body",
                    "{n} bytes restantes en el cuerpo",
                    n=len(self._data),
                ),
                Phrase("the {n} of its binary_data_size", "los {n} de su binary_data_size", n=size),
            )
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def check_end(self) -> None:
        """Refuse bytes that belong to no tensor."""
        if len(self._data):
            raise InvalidTensor(
                tensor=Phrase("after the last", "tras el último"),
                found=Phrase(
                    "{n} bytes of no tensor", "{n} bytes de ningún tensor", n=len(self._data)
                ),
                expected=Phrase("the end of the body", "el fin del cuerpo"),
            )


def inputs_of(schema: Schema, key: str | None) -> list[dict[str, Any]]:
    """Describe the input tensors: one a feature, and the key where the model has one."""
    inputs = [described(feature.name, datatype_of(feature)) for feature in schema]
    return inputs if key is None else [*inputs, described(key, BYTES)]


def datatype_of(feature: Feature) -> str:
    """Give the datatype that a feature is described with."""
    match feature:
        case Number():
            return INT64 if feature.integer else FP64
        case Flag():
            return BOOL
    return BYTES


def fitting(decoder: RowDecoder, name: str) -> list[str]:
    """List the datatypes in which a feature, or the key, may be sent.

    Raises
    ------
    InvalidTensor
        If the schema has no feature of this name.
    """
    if name == decoder.key:
        return [one for one in DATATYPES if one == BYTES or one in INTEGERS]
    if name not in decoder.names:
        known = closest(name[:64], [*decoder.names, *([decoder.key] if decoder.key else [])])
        expected = Phrase("one of {known}", "una de {known}", known=known)
        raise InvalidTensor(tensor=name[:64], found=_NO_SUCH, expected=expected)
    feature = decoder.schema[name]
    match feature:
        case Number():
            return [one for one in DATATYPES if one in FLOATS or one in INTEGERS]
        case Flag():
            return [one for one in DATATYPES if one in (BOOL, BYTES) or one in INTEGERS]
        case Category() | Text() | Timestamp():
            return [BYTES]
    return []


def _n_of(shape: Any) -> int | None:
    if not isinstance(shape, list) or len(shape) not in (1, 2):
        return None
    if any(isinstance(side, bool) or not isinstance(side, int) or side < 0 for side in shape):
        return None
    if len(shape) == 2 and shape[1] != 1:
        return None
    return int(shape[0])


def _shown(shape: Any) -> str:
    if isinstance(shape, list) and len(shape) <= 8:
        sides = ", ".join(map(describe, shape))
        return Phrase("the shape [{sides}]", "la forma [{sides}]", sides=sides)
    return describe(shape)


def _n_rows(n: int) -> Phrase:
    return Phrase("{n} rows", "{n} filas", n=n)
