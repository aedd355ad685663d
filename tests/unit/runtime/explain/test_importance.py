"""Importance is the rise of the loss that dealing out a feature brings, or a reason."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from timonel.runtime.errors import InvalidOutput
from timonel.runtime.explain.importance import permutation_importance
from timonel.wire.answer import Answer

ROWS = [[float(i), float(-i)] for i in range(100)]


class Line:
    """Answers the first value; refuses pairs that cannot be, where it is strict."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict

    def predict_row(self, values: Sequence[Any]) -> Answer:
        if self._strict and values[0] != -values[1]:
            raise InvalidOutput(model="line", found="NaN", expected="a number")
        return Answer(values[0])

    def predict_rows(self, table: Sequence[Sequence[Any]]) -> list[Answer]:
        return [self.predict_row(values) for values in table]


def losses(answers: Sequence[Answer], at: Any) -> Any:
    return np.array([abs(float(a.prediction) - i) for a, i in zip(answers, at, strict=True)])


def measured(model: Line, rows: list[list[float]], seed: int = 0) -> dict[str, Any]:
    names = ["used", "idle"]
    return permutation_importance(model, names, rows, losses, loss="absolute_error", seed=seed)


def test_an_idle_feature_has_none_and_a_used_one_costs_what_mixing_it_costs() -> None:
    used, idle = measured(Line(), ROWS)["features"]
    assert idle == {"feature": "idle", "value": 0.0, "lower": 0.0, "upper": 0.0}
    # the mean distance of two of 100 numbers is a third of their span
    assert used["lower"] < 100 / 3 < used["upper"]
    assert measured(Line(), ROWS) == measured(Line(), ROWS)


def test_where_there_is_no_figure_there_is_a_reason() -> None:
    few = measured(Line(), ROWS[:10])
    assert (few["features"], few["reason"]) == ([], "fewer than 20 rows in the holdout")
    broken = measured(Line(strict=True), ROWS)
    assert broken["features"] == []
    assert "line" in broken["reason"]
