"""The labelled reference of a version: made at training, kept in its manifest, read by checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timonel.stats.calibration.expectations import METRICS
from timonel.stats.calibration.labelled import LabelledScores, threshold_between
from timonel.stats.calibration.losses import LossGroups
from timonel.stats.estimation import Cbpe, Estimate
from timonel.stats.profiles.cells import NumberCells, ValueCells
from timonel.stats.profiles.profile import Profile
from timonel.stats.profiles.reference import PREDICTION, SCORE
from timonel.wire.answer import Answer, Label


def labelled_reference(
    profile: Profile,
    answers: Sequence[Answer],
    target: Sequence[Any],
    *,
    classes: Sequence[Label] | None,
    positive: Label | None,
    seed: int = 0,
    order: Sequence[int] = (),
) -> dict[str, Any] | None:
    """Describe labelled rows that the model did not learn from.

    Parameters
    ----------
    profile : Profile
        The version's reference profile, in whose cells its traffic will be counted.
    answers : sequence of Answer
        Of the model, for those rows.
    target : sequence
        Their truths.
    classes, positive
        As of the version's manifest; None: a regression, and several classes.
    order : sequence of int
        The rows by time; empty where that is not known.

    Returns
    -------
    dict or None
        For ``Estimator.of``; None where nothing can be estimated from it: no score, or answers that
        do not follow from the score.
    """
    if classes is None:
        said = [float(answer.prediction) for answer in answers]
        return LossGroups.of(said, [float(truth) for truth in target], order).to_json()
    column = profile.columns.get(SCORE)
    scores = [answer.score for answer in answers]
    if column is None or not isinstance(column.cells, NumberCells | ValueCells):
        return None
    if not scores or any(score is None for score in scores):
        return None
    threshold: float | None = 0.0
    if positive is None:
        hits = [str(a.prediction) == str(truth) for a, truth in zip(answers, target, strict=True)]
    else:
        hits = [str(truth) == str(positive) for truth in target]
        chosen = [str(answer.prediction) == str(positive) for answer in answers]
        threshold = threshold_between(np.array(scores, np.float64), chosen)
    if threshold is None:
        return None
    found = LabelledScores.of(
        column.cells,
        np.array(scores, np.float64),
        hits,
        threshold=threshold,
        seed=seed,
        order=order,
    )
    return found.to_json()


@dataclass(frozen=True, slots=True)
class Estimator:
    """Estimates a version's performance from the counts of a window.

    Parameters
    ----------
    scores : LabelledScores or None
    cbpe : Cbpe or None
        Fitted on ``scores``; both for a classification.
    losses : LossGroups or None
        For a regression.
    several : bool
        More than two classes: accuracy alone.
    """

    scores: LabelledScores | None
    cbpe: Cbpe | None
    losses: LossGroups | None
    several: bool = False

    @classmethod
    def of(cls, document: Mapping[str, Any], *, several: bool = False) -> "Estimator":
        """Fit what ``labelled_reference`` described: some tenths of a second, so keep it."""
        if document["kind"] == "losses":
            return cls(None, None, LossGroups.from_json(document))
        scores = LabelledScores.from_json(document)
        return cls(scores, scores.fit(), None, several)

    def estimates(self, window: Profile) -> dict[str, Estimate]:
        """Estimate every metric of a window, the main one first.

        Parameters
        ----------
        window : Profile
            In the cells of the version's profile; only its answer is read.
        """
        if self.losses is not None:
            found = self.losses.window(window.columns[PREDICTION])
            said = self.losses.estimate(found.value, count=found.count)
            return {said.metric: said}
        assert self.scores is not None  # noqa: S101 - one of the two
        assert self.cbpe is not None  # noqa: S101 - comes with the scores
        seen = self.scores.window(window.columns[SCORE])
        wanted = METRICS[:1] if self.several else METRICS
        return self.cbpe.estimates(seen.value, wanted, count=seen.count)
