"""Cut points and counts in few bytes, for documents that a database keeps by the thousand.

A cut point needs no more than 16 significant bits, as long as whoever counts uses the rounded one;
so 256 of them and their counts fit into 2 KB of JSON.
"""

from base64 import b64decode, b64encode

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def round24(values: FloatArray) -> FloatArray:
    """Round to floats of 24 bits: 1 sign, 8 exponent, 15 fraction; what overflows is infinite."""
    return unpack24(pack24(values))


def pack24(values: FloatArray) -> str:
    """Encode floats as base64 of 3 bytes each, big-endian.

    Parameters
    ----------
    values : ndarray of float64
        Finite; rounded to nearest. Beyond 3.4e38 they become infinite.
    """
    with np.errstate(over="ignore", under="ignore"):
        bits = values.astype(np.float32).view(np.uint32)
    top = ((bits.astype(np.uint64) + 0x80) >> 8).astype(">u4")
    return b64encode(top.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()).decode()


def unpack24(text: str) -> FloatArray:
    """Decode what ``pack24`` made."""
    triples = np.frombuffer(b64decode(text), np.uint8).reshape(-1, 3)
    bits = np.zeros((len(triples), 4), np.uint8)
    bits[:, :3] = triples
    return bits.view(">u4").astype(np.uint32).reshape(-1).view(np.float32).astype(np.float64)


def pack64(values: FloatArray) -> str:
    """Encode floats exactly, as base64 of 8 bytes each, big-endian."""
    return b64encode(values.astype(">f8").tobytes()).decode()


def unpack64(text: str) -> FloatArray:
    """Decode what ``pack64`` made."""
    return np.frombuffer(b64decode(text), ">f8").astype(np.float64)


def pack16(whole: FloatArray) -> str:
    """Encode whole numbers within 16 bits as base64, big-endian."""
    return b64encode(whole.astype(">i2").tobytes()).decode()


def unpack16(text: str) -> FloatArray:
    """Decode what ``pack16`` made."""
    return np.frombuffer(b64decode(text), ">i2").astype(np.float64)


def pack_counts(counts: IntArray) -> str:
    """Encode counts as base64 of LEB128: 7 bits a byte, low first; most counts take 1 or 2 bytes.

    Examples
    --------
    >>> unpack_counts(pack_counts(np.array([0, 127, 300]))).tolist()
    [0, 127, 300]
    """
    packed = bytearray()
    for whole in counts.tolist():
        rest = whole
        while rest > 0x7F:
            packed.append(rest & 0x7F | 0x80)
            rest >>= 7
        packed.append(rest)
    return b64encode(bytes(packed)).decode()


def unpack_counts(text: str) -> IntArray:
    """Decode what ``pack_counts`` made."""
    counts, value, shift = [], 0, 0
    for byte in b64decode(text):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            counts.append(value)
            value, shift = 0, 0
    return np.array(counts, np.int64)
