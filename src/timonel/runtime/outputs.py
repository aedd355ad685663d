"""From a model's numbers to an answer, with every output checked first."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from timonel.registry.manifest import ServingManifest
from timonel.runtime.errors import InvalidOutput
from timonel.wire.answer import Answer, Label

TIE = 1e-6
_SLACK = 1e-4


def winner(probabilities: Sequence[float]) -> int:
    """Find the predicted class: the first whose probability is within 1e-6 of the highest.

    A tie thus falls to the first class, as ``argmax`` of the exact numbers does, whether they
    were summed in float32 or in float64.
    """
    bar = max(probabilities) - TIE
    for at, probability in enumerate(probabilities):
        if probability >= bar:
            return at
    return 0


class AnswerMaker:
    """Checks one row's outputs and says them in the words of the model's task.

    Parameters
    ----------
    model : str
        Named in errors.
    classes : sequence of label, or None
        In the order of the outputs; None: a regression.
    positive : label or None
        The class that ``score`` is the probability of; None: the predicted one.
    """

    __slots__ = ("_classes", "_keys", "_model", "_positive")

    def __init__(
        self, model: str, classes: Sequence[Label] | None, positive: Label | None = None
    ) -> None:
        self._model = model
        self._classes = tuple(classes) if classes is not None else None
        self._keys = tuple(str(label) for label in classes or ())
        self._positive = -1 if positive is None else self._keys.index(str(positive))

    @classmethod
    def of(cls, manifest: ServingManifest) -> "AnswerMaker":
        """Make it for a manifest's task and classes; a binary model's default is the last one."""
        if manifest.task == "regression" or manifest.classes is None:
            return cls(manifest.model, None)
        positive = manifest.positive
        if manifest.task == "binary" and positive is None:
            positive = manifest.classes[-1]
        return cls(manifest.model, manifest.classes, positive)

    def __call__(self, outputs: Sequence[float]) -> Answer:
        """Turn one row's outputs into an answer.

        Raises
        ------
        InvalidOutput
            If a value is NaN or infinite, or the outputs are no distribution over the classes.
        """
        classes = self._classes
        if classes is None:
            if len(outputs) != 1 or not isfinite(outputs[0]):
                raise self._invalid(outputs, "one finite number")
            return Answer(outputs[0])
        if len(outputs) == 2 == len(classes):  # most models, and each row comes here
            first, second = outputs
            plain = 0.0 <= first <= 1.0 and 0.0 <= second <= 1.0  # so NaN is not
            if plain and abs(first + second - 1.0) < _SLACK:
                best = 0 if first >= second - TIE else 1
                at = best if self._positive < 0 else self._positive
                one, other = self._keys
                return Answer(classes[best], outputs[at], {one: first, other: second})
        if len(outputs) != len(classes):
            raise self._invalid(outputs, f"{len(classes)} probabilities")
        total = 0.0
        for probability in outputs:
            if not -_SLACK <= probability <= 1.0 + _SLACK:  # NaN fails this too
                raise self._invalid(outputs, "probabilities in [0, 1]")
            total += probability
        if not 1.0 - _SLACK <= total <= 1.0 + _SLACK:
            raise self._invalid(outputs, "probabilities that sum to 1")
        plain = min(outputs) >= 0.0 and max(outputs) <= 1.0
        clipped = outputs if plain else [min(max(p, 0.0), 1.0) for p in outputs]
        best = winner(clipped)
        return Answer(
            classes[best],
            clipped[self._positive if self._positive >= 0 else best],
            dict(zip(self._keys, clipped, strict=True)),
        )

    def many(self, table: Sequence[Sequence[float]]) -> list[Answer]:
        """Turn many rows' outputs into answers, each bit for bit as it would be alone.

        Raises
        ------
        InvalidOutput
            If any row would raise it alone.
        """
        classes = self._classes
        sizes = set(map(len, table))
        if classes is None or len(classes) < 2 or sizes != {len(classes)}:
            return [self(outputs) for outputs in table]
        matrix = np.array(table, dtype=np.float64)
        total = sum(matrix.T[1:], start=matrix.T[0])  # in the order in which a row alone is summed
        plain = (matrix.min() >= 0.0) & (matrix.max() <= 1.0)  # so NaN is not
        if not plain or abs(total - 1.0).max() >= _SLACK:
            return [self(outputs) for outputs in table]  # something is to be clipped or refused
        best = (matrix >= (matrix.max(axis=1) - TIE)[:, None]).argmax(axis=1).tolist()
        at = best if self._positive < 0 else [self._positive] * len(best)
        keys = self._keys
        if len(keys) == 2:
            no, yes = keys
            said = [{no: row[0], yes: row[1]} for row in table]
        else:
            said = [dict(zip(keys, row, strict=True)) for row in table]
        return [
            Answer(classes[one], row[score], shares)
            for row, one, score, shares in zip(table, best, at, said, strict=True)
        ]

    def _invalid(self, outputs: Sequence[float], expected: str) -> InvalidOutput:
        shown = ", ".join(f"{value:.6g}" for value in outputs[:8])
        return InvalidOutput(
            model=self._model, found=f"[{shown}] ({len(outputs)} outputs)", expected=expected
        )
