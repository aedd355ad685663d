"""Tensors of the Open Inference Protocol as lists of plain values: JSON or little-endian bytes.

Pure, and strict: a tensor whose data do not fill its shape exactly, byte by byte, is refused, and
so is a value that its datatype cannot hold.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from timonel.errors import Phrase
from timonel.serving.protocols.errors import InvalidTensor
from timonel.wire.strict_json import Unusable, describe

BYTES, BOOL, FP64, INT64, BF16 = "BYTES", "BOOL", "FP64", "INT64", "BF16"
_TYPES: dict[str, str] = {
    BOOL: "u1",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    INT64: "<i8",
    "FP16": "<f2",
    BF16: "<u2",  # the upper half of a float32; numpy has no type for it
    "FP32": "<f4",
    FP64: "<f8",
}
INTEGERS = frozenset(name for name in _TYPES if "INT" in name)
FLOATS = frozenset(("FP16", BF16, "FP32", FP64))
DATATYPES = (*_TYPES, BYTES)
_LARGEST = {
    "FP16": 65504.0,
    BF16: 3.3895313892515355e38,
    "FP32": 3.4028234663852886e38,
    FP64: math.inf,
}
_LENGTH = 4  # bytes before each element of BYTES


class TensorHead(NamedTuple):
    """What a tensor says of itself: its name, its datatype, and its number of rows."""

    name: str
    datatype: str
    n: int
    nested: bool  # a shape [n, 1], whose JSON may hold a list a row

    def refusal(self, found: str, expected: str) -> InvalidTensor:
        """Make the error of this tensor."""
        return InvalidTensor(tensor=self.name[:64], found=found, expected=expected)


def from_bytes(head: TensorHead, data: memoryview) -> list[Any]:
    """Read the bytes of a tensor of ``head.n`` elements.

    Returns
    -------
    list
        Of bool, int, float (NaN and infinities as they came) or str.

    Raises
    ------
    InvalidTensor
        If the bytes are more or fewer than the shape holds, or are no values of the datatype.
    """
    if head.datatype == BYTES:
        return _texts(head, data)
    dtype = np.dtype(_TYPES[head.datatype])
    wanted = head.n * dtype.itemsize
    if len(data) != wanted:
        raise head.refusal(_n_bytes(len(data)), _n_bytes(wanted))
    array = np.frombuffer(data, dtype)
    if head.datatype == BOOL:
        if array.size and array.max() > 1:
            raise head.refusal(
                Phrase("the byte {n}", "el byte {n}", n=int(array.max())),
                Phrase("0 or 1", "0 o 1"),
            )
        array = array.astype(bool)
    elif head.datatype == BF16:
        array = (array.astype("<u4") << 16).view("<f4")
    values: list[Any] = array.tolist()
    return values


def from_json(head: TensorHead, data: Any) -> list[Any]:
    """Read the JSON data of a tensor; null is a missing value, and so is NaN.

    Raises
    ------
    InvalidTensor
        If there are more or fewer values than the shape holds, or one is not of the datatype.
    """
    if not isinstance(data, list):
        raise head.refusal(describe(data), Phrase("a list of values", "una lista de valores"))
    if head.nested and data and all(isinstance(one, list) and len(one) == 1 for one in data):
        data = [one[0] for one in data]
    if len(data) != head.n:
        raise head.refusal(_n_values(len(data)), _n_values(head.n))
    fits = _fits(head.datatype)
    for place, value in enumerate(data):
        if value is not None and not fits(value) and not is_nan(value):
            raise head.refusal(
                Phrase(
                    "{value} in row {row}",
                    "{value} en la fila {row}",
                    value=describe(value),
                    row=place,
                ),
                Phrase("values of {datatype}", "valores de {datatype}", datatype=head.datatype),
            )
    return list(data)


def to_bytes(datatype: str, values: Sequence[Any]) -> bytes:
    """Write values as the bytes of a tensor; None is NaN in floats."""
    if datatype == BYTES:
        encoded = [str(value).encode() for value in values]
        return b"".join(len(one).to_bytes(_LENGTH, "little") + one for one in encoded)
    if datatype == FP64:
        values = [math.nan if value is None else value for value in values]
    return np.array(values, _TYPES[datatype]).tobytes()


def is_nan(value: Any) -> bool:
    """Tell whether a value is NaN, as a float or as the literal that JSON does not have."""
    if isinstance(value, Unusable):
        return value.text == "NaN"
    return isinstance(value, float) and value != value


def _texts(head: TensorHead, data: memoryview) -> list[str]:
    texts: list[str] = []
    at, end = 0, len(data)
    for row in range(head.n):
        start = at + _LENGTH
        at = start + int.from_bytes(data[at:start], "little")
        if start > end or at > end:
            raise head.refusal(
                Phrase(
                    "bytes that end within row {row}",
                    "bytes que terminan en la fila {row}",
                    row=row,
                ),
                Phrase(
                    "{n} elements, each after its length in 4 bytes",
                    "{n} elementos, cada uno tras su largo en 4 bytes",
                    n=head.n,
                ),
            )
        try:
            texts.append(str(data[start:at], "utf-8"))
        except UnicodeDecodeError:
            raise head.refusal(
                Phrase("no UTF-8 in row {row}", "algo que no es UTF-8 en la fila {row}", row=row),
                Phrase("text in UTF-8", "texto en UTF-8"),
            ) from None
    if at != end:
        raise head.refusal(_n_bytes(end), _n_bytes(at))
    return texts


def _fits(datatype: str) -> Callable[[Any], bool]:
    if datatype == BYTES:
        return lambda value: isinstance(value, str)
    if datatype == BOOL:
        return lambda value: isinstance(value, bool)
    if datatype in FLOATS:
        largest = _LARGEST[datatype]
        return lambda value: _is_number(value) and -largest <= value <= largest
    limits = np.iinfo(_TYPES[datatype])
    low, high = int(limits.min), int(limits.max)
    return lambda value: (
        isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _n_bytes(n: int) -> Phrase:
    return Phrase("{n} bytes", "{n} bytes", n=n)


def _n_values(n: int) -> Phrase:
    return Phrase("{n} values", "{n} valores", n=n)
