"""How sound the values of a window are, from its counts: missing, never seen, far outside.

Values are counted column by column, so how many *rows* are sound is not known. What the schema
refuses is not among them: how many rows that were stands by itself. The figures of the reference
stand beside those of the window: a column that is often empty by nature lowers both.
"""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np

from timonel.stats.profiles.cells import Ends, NumberCells, ValueCells, WordCells
from timonel.stats.profiles.packing import FloatArray
from timonel.stats.profiles.profile import ColumnProfile, Profile
from timonel.stats.profiles.reference import PREDICTION, SCORE
from timonel.stats.profiles.units import distribution
from timonel.store.reads_series import Refused

FENCE_IQR = 1.5
"""Values so many interquartile ranges beyond the quartiles are outliers: Tukey, 1977."""


class Level(StrEnum):
    """How good a batch of values is."""

    EXCELLENT = "EXCELLENT"
    GOOD = "GOOD"
    ACCEPTABLE = "ACCEPTABLE"
    POOR = "POOR"

    @classmethod
    def of(cls, sound: float) -> "Level":
        """Give the level of a share of sound values: from 95, 85 and 70 %.

        Examples
        --------
        >>> [Level.of(share).value for share in (1.0, 0.95, 0.85, 0.7, 0.69)]
        ['EXCELLENT', 'EXCELLENT', 'GOOD', 'ACCEPTABLE', 'POOR']
        """
        steps = ((0.95, cls.EXCELLENT), (0.85, cls.GOOD), (0.70, cls.ACCEPTABLE))
        return next((level for least, level in steps if sound >= least), cls.POOR)


def batch_quality(reference: Profile, current: Profile) -> dict[str, Any] | None:
    """Say how sound the inputs of a window are.

    Parameters
    ----------
    reference, current : Profile
        On the same cells; columns of answers are passed over.

    Returns
    -------
    dict or None
        ``level``; ``sound`` and ``sound_reference`` (shares of all values); ``n_values``;
        ``columns``: by column with anything in it ``missing``, ``unseen``, ``outliers`` (shares of
        its rows; outliers None where the middle half of the reference is one value), and
        ``beyond`` (whether an extreme lies outside the reference's). None without any value.
    """
    total = n_unsound = n_reference = unsound_reference = 0.0
    columns: dict[str, Any] = {}
    for name, there in reference.columns.items():
        now = current.columns.get(name)
        if name in (SCORE, PREDICTION) or now is None or not now.n or not there.n:
            continue
        there, now = there.by_length(), now.by_length()
        n, n_there = now.n, there.n
        fences, usual = _usual(there)
        found = _shares(there, fences, now)
        total += n
        n_reference += n_there
        n_unsound += n * sum(share or 0.0 for share in found.values())
        unsound_reference += n_there * sum(share or 0.0 for share in usual.values())
        beyond = _beyond(there.ends, now.ends)
        if beyond or any(found.values()):
            rounded = {k: None if v is None else round(v, 6) for k, v in found.items()}
            columns[name] = {**rounded, "beyond": beyond}
    if not total:
        return None
    sound = max(0.0, 1.0 - n_unsound / total)
    return {
        "level": str(Level.of(sound)),
        "sound": round(sound, 6),
        "sound_reference": round(max(0.0, 1.0 - unsound_reference / n_reference), 6),
        "n_values": int(total),
        "columns": columns,
    }


def refused_rows(refused: Iterable[Refused]) -> tuple[int, dict[str, int]]:
    """Add up the rows that broke the schema: in all, and by field at fault, the worst first.

    Examples
    --------
    >>> refused_rows([Refused(0, 2, {"age": 2, "plan": 1}), Refused(1, 3, {"plan": 3})])
    (5, {'plan': 4, 'age': 2})
    """
    n, fields = 0, Counter[str]()
    for minute in refused:
        n += minute.n
        fields.update(minute.fields)
    return n, dict(sorted(fields.items(), key=lambda item: (-item[1], item[0])))


@lru_cache(1024)  # a reference stays the same from window to window
def _usual(there: ColumnProfile) -> tuple[FloatArray | None, dict[str, float | None]]:
    """Give what outliers of a reference lie beyond, and its own shares."""
    fences = _fences(there)
    return fences, _shares(there, fences, there)


def _shares(
    there: ColumnProfile, fences: FloatArray | None, now: ColumnProfile
) -> dict[str, float | None]:
    unseen: float | None = 0.0
    outliers: float | None = 0.0
    n, n_missing = now.n, now.n_missing
    if isinstance(there.cells, WordCells | ValueCells):
        complete = there.cells.complete
        unseen = int(now.counts[-2]) / n if complete else None
    elif isinstance(there.cells, NumberCells):
        outliers = None if fences is None else 0.0
        if fences is not None and n > n_missing:
            # values are taken as evenly spread within a cell
            under, upto = np.interp(fences, *distribution(there.cells, now.counts[:-1], now.ends))
            outliers = float(under + 1.0 - upto) * (n - n_missing) / n
    return {"missing": n_missing / n, "unseen": unseen, "outliers": outliers}


def _fences(there: ColumnProfile) -> FloatArray | None:
    """Give what outliers lie beyond; None where the middle half of the column is one value."""
    cells = there.cells
    if not isinstance(cells, NumberCells) or len(cells.edges) < 2 or there.n == there.n_missing:
        return None
    points, upto = distribution(cells, there.counts[:-1], there.ends)
    first, third = np.interp([0.25, 0.75], upto, points)
    reach = FENCE_IQR * (third - first)
    return np.array([first - reach, third + reach]) if reach > 0.0 else None


def _beyond(there: Ends | None, now: Ends | None) -> bool:
    if there is None or now is None or there.low is None or there.high is None:
        return False
    return (now.low is not None and now.low < there.low) or (
        now.high is not None and now.high > there.high
    )
