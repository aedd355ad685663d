"""The reference profile of a version: what later traffic is compared with.

Features come from the *training part*: the question is whether requests still look like what the
model learned from. Score and prediction come from the model's answers on the *holdout*: a model is
surer of the rows it learned, and compared with those its ordinary answers would look like drift.

A version with the champion's schema keeps the champion's cells and only counts its own reference
in them, so that windows before and after a promotion can be added. A column whose reference would
crowd one of those cells gets new ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from timonel.schema.features import Category, Feature, Number
from timonel.schema.schema import Schema
from timonel.stats.profiles.cells import NumberCells
from timonel.stats.profiles.profile import ColumnProfile, Profile
from timonel.stats.texts.cells import TextCells
from timonel.wire.answer import Answer

SCORE, PREDICTION = "@score", "@prediction"
"""The columns of an answer, beside those of its features."""
MOST_ROWS = 200_000
CROWDED = 0.05
"""A cell that holds more of a reference than this tells too little of it."""
_CROWDED_LENGTHS = 0.2
_KEPT_WORDS = 0.5
"""A vocabulary of which fewer of the named words are still frequent is one of other texts."""

Columns = Mapping[str, Sequence[Any]]


def profile_of(
    schema: Schema,
    rows: Sequence[Sequence[Any]],
    answers: Sequence[Answer],
    *,
    classifier: bool,
    champion: Profile | None = None,
) -> Profile:
    """Make the reference profile of a version.

    Parameters
    ----------
    schema : Schema
    rows : sequence of sequences
        The training part, validated, in schema order.
    answers : sequence of Answer
        Of the model, for rows that it did not learn from.
    champion : Profile or None
        Of a version with the same schema, whose cells are to be kept.

    Returns
    -------
    Profile
        Features in schema order, then ``@score`` (classification) and ``@prediction``.
    """
    step = -(-len(rows) // MOST_ROWS) or 1  # evenly spread, so that the newest are among them
    inputs = dict(zip(schema.names, zip(*rows[::step], strict=True), strict=True))
    said, kinds = _answers(answers[:MOST_ROWS], classifier=classifier)
    first = _fit(inputs, tuple(schema), champion)
    second = _fit(said, kinds, champion)
    return Profile([*first.columns.values(), *second.columns.values()], first.n)


def _answers(
    answers: Sequence[Answer], *, classifier: bool
) -> tuple[dict[str, list[Any]], list[Feature]]:
    if not classifier:
        return {PREDICTION: [answer.prediction for answer in answers]}, [Number(PREDICTION)]
    labels = [str(answer.prediction) for answer in answers]
    columns: dict[str, list[Any]] = {
        SCORE: [answer.score for answer in answers],
        PREDICTION: labels,
    }
    return columns, [Number(SCORE), Category(PREDICTION, ["-"])]


def _fit(columns: Columns, schema: Sequence[Feature], champion: Profile | None) -> Profile:
    fitted = Profile.fit(columns, schema=schema)
    if champion is None:
        return fitted
    known = {name: values for name, values in columns.items() if name in champion.columns}
    recounted = champion.empty_like().update(known) if known else champion
    kept = [
        _kept(column, recounted.columns[name]) if name in known else column
        for name, column in fitted.columns.items()
    ]
    return Profile(kept, fitted.n)


def _kept(fitted: ColumnProfile, recounted: ColumnProfile) -> ColumnProfile:
    """Choose the champion's cells unless they are of another kind, or one of them is crowded."""
    same = type(fitted.cells) is type(recounted.cells) and fitted.kind == recounted.kind
    if not same or _crowded(recounted) or recounted.n == 0 or _other_words(fitted, recounted):
        return fitted
    return recounted


def _other_words(fitted: ColumnProfile, recounted: ColumnProfile) -> bool:
    if not isinstance(fitted.cells, TextCells) or not isinstance(recounted.cells, TextCells):
        return False
    words, known = fitted.cells.vocabulary.words, recounted.cells.vocabulary.words
    return len(set(words) & set(known)) < _KEPT_WORDS * len(words)


def _crowded(column: ColumnProfile) -> bool:
    # the cells of a text's lengths are few, and wide by design
    most = _CROWDED_LENGTHS if isinstance(column.cells, TextCells) else CROWDED
    column = column.by_length()
    present = int(column.counts[:-1].sum())
    if present == 0:
        return False
    if isinstance(column.cells, NumberCells):
        edges, atoms = column.cells.edges, np.array(column.cells.atoms)
        wide = np.ones(len(column.counts) - 1, dtype=bool)
        wide[np.searchsorted(edges, atoms)] = False  # a value of its own may hold any share
        return bool((column.counts[:-1][wide] > most * present).any())
    return bool(column.counts[-3:-1].sum() > most * present)  # other and unseen
