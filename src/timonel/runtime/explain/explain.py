"""Explaining a version's answers: by closed form, by its trees, or by sampled orders."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timonel.registry.manifest import ServingManifest
from timonel.runtime.errors import NoExplanation
from timonel.runtime.explain.columns import columns_of, condition
from timonel.runtime.explain.explanation import (
    Contribution,
    Explanation,
    ordered,
    require_additive,
)
from timonel.runtime.explain.forest import Forest
from timonel.runtime.explain.sampled import sample
from timonel.runtime.explain.stored import ARTIFACT, Stored, decode, matrix_row
from timonel.runtime.featuriser import Featuriser, Value
from timonel.runtime.linear import apply_link
from timonel.runtime.predictors import ArtifactGetter, Predictor, read_artifact, read_plan
from timonel.schema.features import Text
from timonel.schema.schema import Schema
from timonel.wire.answer import Answer

Floats = NDArray[np.float64]
MOST_WORDS = 5
_SCALES = {"sigmoid": "log_odds", "softmax": "margin", "exp": "log"}


class Explainer:
    """Explains one version. Immutable; safe to share between threads.

    Parameters
    ----------
    manifest : ServingManifest
    artifact : callable
        From sha256 (hex) to bytes.
    predictor : Predictor
        What serves; explanations are held against its answers.

    Raises
    ------
    NoExplanation
        If the version was made before explanations were stored with it.
    """

    def __init__(
        self, manifest: ServingManifest, artifact: ArtifactGetter, predictor: Predictor
    ) -> None:
        if ARTIFACT not in manifest.artifacts:
            raise NoExplanation(model=manifest.model, version=manifest.version)
        plan = read_plan(manifest, artifact)
        self._manifest = manifest
        self._predictor = predictor
        self._stored: Stored = decode(read_artifact(manifest, ARTIFACT, artifact))
        self._features = list(Schema.from_json(manifest.schema))
        self._columns = columns_of(plan)
        self._featuriser = Featuriser.from_plan(plan)
        self._linear: dict[str, Any] | None = plan.get("linear")
        packed = self._stored.forest
        self._forest = None if packed is None else Forest(packed)
        # the declared features of all columns, to add columns up
        self._owner = np.array([column.input for column in self._columns], dtype=np.int64)

    @property
    def method(self) -> str:
        """How answers are explained: "linear", "trees" or "sampled"."""
        if self._linear is not None:
            return "linear"
        return "trees" if self._forest is not None else "sampled"

    def explain(self, values: Sequence[Value], answer: Answer) -> Explanation:
        """Explain an answer of this version.

        Parameters
        ----------
        values : sequence
            The row, validated, in schema order.
        answer : Answer
            What the predictor says of it.

        Raises
        ------
        NotAdditive
            If what was found does not add up to the answer.
        """
        at = self._class_of(answer)
        if self._linear is not None:
            return self._by_coefficients(self._linear, values, answer, at)
        if self._forest is not None:
            return self._by_trees(self._forest, values, answer, at)
        return self._by_sampling(values, at)

    def _class_of(self, answer: Answer) -> int:
        """Give the class that is explained: the positive one of two, else the predicted one."""
        manifest = self._manifest
        if manifest.classes is None:
            return 0
        label = answer.prediction
        if manifest.task == "binary":
            label = manifest.classes[-1] if manifest.positive is None else manifest.positive
        return [str(one) for one in manifest.classes].index(str(label))

    def _of(self, at: int) -> Any:
        return None if self._manifest.classes is None else self._manifest.classes[at]

    def _by_coefficients(
        self, form: dict[str, Any], values: Sequence[Value], answer: Answer, at: int
    ) -> Explanation:
        row = matrix_row(self._featuriser, values)
        coef, intercept = np.array(form["coef"]), np.array(form["intercept"])
        output, sign = _output(form["link"], at)
        means = np.array(self._stored.means)
        amounts = sign * coef[output] * (row - means)
        base = sign * float(intercept[output] + coef[output] @ means)
        margins = intercept + coef @ row
        return self._finished(form["link"], values, answer, at, base, amounts, margins)

    def _by_trees(
        self, forest: Forest, values: Sequence[Value], answer: Answer, at: int
    ) -> Explanation:
        row = matrix_row(self._featuriser, values)
        output, sign = _output(forest.link, at)
        base, amounts = forest.explain(row, output)
        path: tuple[str, ...] = ()
        if forest.n_trees == 1:
            path = tuple(self._said(row, *step) for step in forest.path(row))
        return self._finished(
            forest.link,
            values,
            answer,
            at,
            sign * base,
            sign * amounts,
            forest.margins(row),
            path=path,
        )

    def _said(self, row: Floats, column: int, threshold: float, left: bool, strict: bool) -> str:
        named = self._columns[column]
        return condition(
            named,
            self._features[named.input].name,
            threshold,
            left=left,
            strict=strict,
            missing=bool(np.isnan(row[column])),
        )

    def _finished(
        self,
        link: str,
        values: Sequence[Value],
        answer: Answer,
        at: int,
        base: float,
        amounts: Floats,
        margins: Floats,
        path: tuple[str, ...] = (),
    ) -> Explanation:
        """Add columns up to features, and hold the sum against the answer."""
        output, sign = _output(link, at)
        outputs = apply_link(link, margins.tolist())
        served = self._number(answer, at)
        regression = self._manifest.classes is None
        require_additive(
            base + float(amounts.sum()),
            sign * float(margins[output]),
            said=outputs[at],
            served=served,
            model=self._manifest.model,
            size=max(abs(served), abs(base), float(np.abs(amounts).sum())) if regression else 1.0,
        )
        scale = _SCALES.get(link, "value" if regression else "probability")
        totals = np.bincount(self._owner, amounts, minlength=len(self._features))
        contributions = [
            Contribution(
                feature.name,
                value,
                float(total),
                words=self._words(place, amounts) if isinstance(feature, Text) else (),
            )
            for place, (feature, value, total) in enumerate(
                zip(self._features, values, totals, strict=True)
            )
        ]
        total = base + float(amounts.sum())
        n_rows = self._stored.n_rows
        return Explanation(
            self.method, scale, self._of(at), base, total, ordered(contributions), n_rows, path
        )

    def _words(self, place: int, amounts: Floats) -> tuple[tuple[str, float], ...]:
        own = np.flatnonzero(self._owner == place)
        greatest = own[np.argsort(-np.abs(amounts[own]), kind="stable")][:MOST_WORDS]
        return tuple(
            (self._columns[at].word, float(amounts[at])) for at in greatest if amounts[at] != 0.0
        )

    def _by_sampling(self, values: Sequence[Value], at: int) -> Explanation:
        def scores(rows: Sequence[Sequence[Value]]) -> Floats:
            return np.array([self._number(a, at) for a in self._predictor.predict_rows(rows)])

        background = self._stored.rows
        found = sample(values, background, scores)
        total = found.base + float(found.amounts.sum())
        served = float(scores([values])[0])
        regression = self._manifest.classes is None
        size = max(abs(served), abs(found.base), float(np.abs(found.amounts).sum()))
        size = size if regression else 1.0
        require_additive(
            total, total, said=total, served=served, model=self._manifest.model, size=size
        )
        contributions = [
            Contribution(
                feature.name, value, float(amount), None if np.isnan(error) else float(error)
            )
            for feature, value, amount, error in zip(
                self._features, values, found.amounts, found.errors, strict=True
            )
        ]
        return Explanation(
            "sampled",
            "value" if regression else "probability",
            self._of(at),
            found.base,
            total,
            ordered(contributions),
            len(background),
        )

    def _number(self, answer: Answer, at: int) -> float:
        if self._manifest.classes is None:
            return float(answer.prediction)
        return (answer.probabilities or {})[str(self._manifest.classes[at])]


def _output(link: str, at: int) -> tuple[int, float]:
    """Give the margin that speaks for a class, and its sign: two classes share one margin."""
    return (0, 1.0 if at else -1.0) if link == "sigmoid" else (at, 1.0)
