"""Can rows of a window be told from those of the reference? A classifier says so, or cannot.

It sees what no test of single columns can: columns that moved together while each stayed as it was.
A model is fitted on one half of the rows to tell which side they are of, and ranks the other half.
That half is untouched, so dealing its sides out anew gives the exact distribution of the AUC where
both sides are alike, whatever the model learned: D. Lopez-Paz and M. Oquab, 2017, "Revisiting
classifier two-sample tests", with the permutation test in place of the normal limit.

It takes rows, and seconds: it is asked for, it does not watch.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from timonel.stats.profiles.cells import Kind, is_missing
from timonel.stats.profiles.packing import FloatArray
from timonel.stats.texts.words import words_of

FEWEST_ROWS = 200
MOST_ROWS = 5_000
N_PERMUTATIONS = 1_999
LEVEL = 0.05
FLOOR = 0.55
"""An AUC that matters; .5 is chance, 1 a window of which every row is known."""
_N_SHUFFLES = 5
_MOST_CODES = 250
_MOST_WORDS = 120
_Z = 1.959963984540054

Columns = Mapping[str, Sequence[Any]]


class Separating(NamedTuple):
    """A column, and the AUC that is lost when its values are dealt out anew."""

    column: str
    auc_drop: float


@dataclass(frozen=True, slots=True)
class Separation:
    """How well rows of the window are told from those of the reference.

    Parameters
    ----------
    auc, lower, upper : float
        Of the half that the classifier did not see; 95 % interval (E. R. DeLong et al., 1988).
    p_value : float
        One-sided: chance of such an AUC if both sides are alike.
    n_reference, n : int
        Rows of each side, both halves.
    columns : tuple of Separating
        Those that the classifier needs, the most needed first. Of columns that say the same,
        each may stand in for the other, and both then count for little.
    left_out : tuple of str
        Columns that were not looked at: moments, which move on by nature.
    """

    auc: float
    lower: float
    upper: float
    p_value: float
    n_reference: int
    n: int
    columns: tuple[Separating, ...]
    left_out: tuple[str, ...] = ()

    @property
    def found(self) -> bool:
        """Whether the sides differ, surely and by more than a little."""
        return self.p_value < LEVEL and self.auc > FLOOR

    def document(self) -> dict[str, Any]:
        """Give a JSON-safe form."""
        return {
            "auc": self.auc,
            "lower": self.lower,
            "upper": self.upper,
            "p_value": self.p_value,
            "found": self.found,
            "n_reference": self.n_reference,
            "n": self.n,
            "columns": [one._asdict() for one in self.columns],
            "left_out": list(self.left_out),
        }


class _Table(NamedTuple):
    """Rows of both sides as numbers: which columns of the table are of which input."""

    values: FloatArray
    owner: list[str]
    categorical: list[bool]


def tell_apart(
    reference: Columns, current: Columns, kinds: Mapping[str, Kind], *, seed: int
) -> Separation:
    """Let a classifier tell the rows of two samples apart.

    Parameters
    ----------
    reference, current : mapping of str to sequence
        The same columns, None or NaN where a value is missing. Rows must be independent of each
        other: of several rows of one unit, pass one.
    kinds : mapping of str to str
        By column, in the order that they are told in.
    seed : int
        Of the halves, the classifier and the permutations.

    Raises
    ------
    ValueError
        If a side has fewer than 200 rows, or no column can be looked at.
    """
    names = [name for name, kind in kinds.items() if kind != "timestamp"]
    n, m = (len(side[names[0]]) if names else 0 for side in (reference, current))
    if min(n, m) < FEWEST_ROWS:
        message = f"{n} and {m} rows, at least {FEWEST_ROWS} of each are needed"
        raise ValueError(message)
    table = _encode(names, reference, current, kinds)
    rng = np.random.default_rng(seed)
    learn, held = _halves(rng, n, m)
    is_now = np.arange(n + m) >= n
    model = _fitted(table, learn, is_now, seed)
    values, side = table.values[held], is_now[held]
    scores = _scores(model, values)
    auc, lower, upper = _auc_interval(scores[~side], scores[side])
    return Separation(
        auc,
        lower,
        upper,
        permutation_p(scores, side, rng),
        n,
        m,
        _needed(model, values, side, auc, table.owner, rng),
        tuple(name for name, kind in kinds.items() if kind == "timestamp"),
    )


def auc_of(scores: FloatArray, is_now: NDArray[np.bool_]) -> float:
    """Give the chance that a row of the window scores above one of the reference, ties half."""
    m = int(is_now.sum())
    n = len(is_now) - m
    return float((rankdata(scores)[is_now].sum() - m * (m + 1) / 2) / (n * m))


def permutation_p(
    scores: FloatArray,
    is_now: NDArray[np.bool_],
    rng: np.random.Generator,
    n_permutations: int = N_PERMUTATIONS,
) -> float:
    """Give the one-sided p-value of an AUC by dealing the sides out anew.

    Notes
    -----
    ``(1 + as great or greater) / (1 + permutations)``: valid for any number of them (B. Phipson
    and G. K. Smyth, 2010). Ties keep their mean rank in every permutation, so they do not harm.
    """
    ranks = rankdata(scores)
    m = int(is_now.sum())
    seen = ranks[is_now].sum()
    sums = np.array([rng.permutation(ranks)[:m].sum() for _ in range(n_permutations)])
    # sums of halves are exact
    return float((1 + np.count_nonzero(sums >= seen)) / (1 + n_permutations))


def _halves(rng: np.random.Generator, n: int, m: int) -> tuple[NDArray[np.int64], ...]:
    """Deal each side out in two halves: to learn from and to judge on."""
    sides = rng.permutation(n), n + rng.permutation(m)
    parts = [(side[: len(side) // 2], side[len(side) // 2 :]) for side in sides]
    learn, held = (np.concatenate(part) for part in zip(*parts, strict=True))
    return learn, held


def _fitted(table: _Table, learn: NDArray[np.int64], is_now: NDArray[np.bool_], seed: int) -> Any:
    # half a second to import, and whoever compares profiles does not need it
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=80,
        max_leaf_nodes=15,
        min_samples_leaf=10,
        l2_regularization=1.0,
        early_stopping=False,
        categorical_features=table.categorical,
        random_state=seed,
    )
    return model.fit(table.values[learn], is_now[learn])


def _scores(model: Any, values: FloatArray) -> FloatArray:
    scores: FloatArray = model.predict_proba(values)[:, 1]
    return scores


def _auc_interval(before: FloatArray, now: FloatArray) -> tuple[float, float, float]:
    """Give the AUC and its 95 % interval by DeLong's variance."""
    above = _above(np.sort(before), now)
    below = 1.0 - _above(np.sort(now), before)
    auc = float(above.mean())
    reach = _Z * sqrt(above.var(ddof=1) / len(now) + below.var(ddof=1) / len(before))
    return auc, max(0.0, auc - reach), min(1.0, auc + reach)


def _above(ordered: FloatArray, scores: FloatArray) -> FloatArray:
    """Give, for each score, the share of others below it, ties half."""
    left, right = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    share: FloatArray = (left + right) / (2 * len(ordered))
    return share


def _needed(
    model: Any,
    values: FloatArray,
    side: NDArray[np.bool_],
    auc: float,
    owner: Sequence[str],
    rng: np.random.Generator,
) -> tuple[Separating, ...]:
    drops = []
    for name in dict.fromkeys(owner):
        mine = [at for at, one in enumerate(owner) if one == name]
        dealt = []
        for _ in range(_N_SHUFFLES):
            changed = values.copy()
            changed[:, mine] = values[rng.permutation(len(values))][:, mine]
            dealt.append(auc_of(_scores(model, changed), side))
        drops.append(Separating(name, auc - float(np.mean(dealt))))
    return tuple(sorted((d for d in drops if d.auc_drop > 0), key=lambda d: -d.auc_drop))


def _encode(
    names: Sequence[str], reference: Columns, current: Columns, kinds: Mapping[str, Kind]
) -> _Table:
    """Put both sides into one table. What is chosen is chosen on both, never by side."""
    parts: list[FloatArray] = []
    owner: list[str] = []
    categorical: list[bool] = []
    for name in names:
        values = [*reference[name], *current[name]]
        kind = kinds[name]
        part = _CODED.get(kind, _numbers)(values)
        parts.append(part)
        owner += [name] * part.shape[1]
        categorical += [kind == "category"] * part.shape[1]
    return _Table(np.concatenate(parts, axis=1), owner, categorical)


def _numbers(values: Sequence[Any]) -> FloatArray:
    read = np.array([np.nan if is_missing(v) else float(v) for v in values], np.float64)
    return read[:, None]


def _words(values: Sequence[Any]) -> FloatArray:
    """Give the frequent words numbers; the rest share one."""
    ranked = Counter(str(v) for v in values if not is_missing(v)).most_common(_MOST_CODES)
    code = {word: at for at, (word, _) in enumerate(sorted(ranked))}
    read = [np.nan if is_missing(v) else code.get(str(v), len(code)) for v in values]
    return np.array(read, np.float64)[:, None]


def _texts(values: Sequence[Any]) -> FloatArray:
    """Give length, number of words, and which of the frequent words a text holds."""
    read = [None if is_missing(v) else words_of(str(v)) for v in values]
    holding = Counter(word for words in read if words for word in set(words))
    ranked = sorted(holding.items(), key=lambda item: (-item[1], item[0]))[:_MOST_WORDS]
    places = {word: 2 + at for at, (word, _) in enumerate(ranked)}
    table = np.zeros((len(values), 2 + len(places)))
    for row, (value, words) in enumerate(zip(values, read, strict=True)):
        if words is None:
            table[row] = np.nan
            continue
        table[row, :2] = len(str(value)), len(words)
        table[row, [places[word] for word in set(words) if word in places]] = 1.0
    return table


_CODED = {"category": _words, "text": _texts}
