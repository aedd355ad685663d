"""How much worse answers get when a feature's values are dealt out anew among the rows.

On a sample of the holdout: the loss of each row with its own value, against its loss with the
value of another row. Their mean difference is the feature's importance to this model on these
rows; its interval is that of a mean of paired differences. A feature that another one stands in
for looks less important than it is.

Source: Breiman (2001), Random forests, Machine Learning 45, section 10.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timonel.runtime.errors import InvalidOutput
from timonel.runtime.featuriser import Value
from timonel.runtime.predictors import Predictor
from timonel.wire.answer import Answer

N_ROWS = 200
_FEWEST = 20
_Z95 = 1.959964
Losses = Callable[[Sequence[Answer], NDArray[np.int64]], NDArray[np.float64]]


def permutation_importance(
    predictor: Predictor,
    names: Sequence[str],
    rows: Sequence[Sequence[Value]],
    losses: Losses,
    *,
    loss: str,
    seed: int,
) -> dict[str, Any]:
    """Measure every feature's importance.

    Parameters
    ----------
    predictor : Predictor
        What serves.
    names : sequence of str
        Of the features, in the order of a row's values.
    rows : sequence of rows
        Of the holdout; at most 200 are drawn.
    losses : callable
        From answers, and which of ``rows`` they are of, to their losses.
    loss : str
        Its name.
    seed : int

    Returns
    -------
    dict
        ``loss``, ``n``, ``reason`` (why there are no figures), and ``features``: ``feature``,
        ``value`` (rise of the mean loss), ``lower`` and ``upper`` at 95 %, greatest value first.
    """
    rng = np.random.default_rng(seed)
    at = np.sort(rng.permutation(len(rows))[:N_ROWS])
    found: dict[str, Any] = {"loss": loss, "n": len(at), "reason": None, "features": []}
    if len(at) < _FEWEST:
        return found | {"reason": f"fewer than {_FEWEST} rows in the holdout"}
    chosen = [list(rows[i]) for i in at]
    try:
        found["features"] = _rises(predictor, names, chosen, at, losses, rng)
    except InvalidOutput as error:  # of a mixed row: no figure is better than a part of them
        return found | {"reason": error.message()}
    return found


def _rises(
    predictor: Predictor,
    names: Sequence[str],
    chosen: list[list[Value]],
    at: NDArray[np.int64],
    losses: Losses,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    usual = losses(predictor.predict_rows(chosen), at)
    for place, name in enumerate(names):
        dealt = rng.permutation(len(chosen))
        mixed = [
            [*row[:place], chosen[other][place], *row[place + 1 :]]
            for row, other in zip(chosen, dealt, strict=True)
        ]
        rise = losses(predictor.predict_rows(mixed), at) - usual
        mean = float(rise.mean())
        half = _Z95 * float(rise.std(ddof=1)) / float(np.sqrt(len(rise)))
        found.append({"feature": name, "value": mean, "lower": mean - half, "upper": mean + half})
    return sorted(found, key=lambda entry: -float(entry["value"]))
