"""How many rows of a window are an exact repeat of another, beside what its version learned from.

The same unit is asked about again, and simple rows are alike by chance: it is shown, and never an
alert.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from timonel.stats.multivariate.repeats import (
    N_BITS,
    decode_bits,
    expected_share,
    repeated_share,
)
from timonel.store.reads_series import MarkedRows


def repeated_rows(marked: Sequence[MarkedRows], lineage: Mapping[str, Any]) -> dict[str, Any]:
    """Say how many rows repeat another one.

    Parameters
    ----------
    marked : sequence of MarkedRows
        Of the window's hours.
    lineage : mapping
        Of the version; empty where it is not known.

    Returns
    -------
    dict
        ``n`` rows; ``share`` with ``low`` and ``high`` (95 %), None with a ``reason``; and
        ``share_reference``, as many rows of the training part would have, None with
        ``reason_reference``.
    """
    n = sum(one.n for one in marked)
    unknown = {"share": None, "low": None, "high": None}
    if not n:
        return {"n": 0, **unknown, "reason": "no_rows", **_usual(lineage, 0)}
    bits = np.zeros(N_BITS, np.bool_)
    for one in marked:
        bits |= decode_bits(one.bits)
    found = repeated_share(bits, n)
    if found is None:
        return {"n": n, **unknown, "reason": "too_many_rows", **_usual(lineage, n)}
    share, low, high = (round(bound, 6) for bound in found[:3])
    return {"n": n, "share": share, "low": low, "high": high, **_usual(lineage, n)}


def _usual(lineage: Mapping[str, Any], n: int) -> dict[str, Any]:
    counted = (lineage.get("split") or {}).get("repeats")
    if not counted or not n:
        return {"share_reference": None, "reason_reference": "not_counted"}
    share = expected_share({int(times): int(rows) for times, rows in counted.items()}, n)
    if share is None:
        return {"share_reference": None, "reason_reference": "fewer_rows_learned"}
    return {"share_reference": round(share, 6)}
