"""One row and many rows give the same bits, whatever the values."""

import string

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from timonel.runtime.featuriser import Featuriser, Value
from timonel.runtime.linear import LinearForm
from timonel.runtime.text import TfIdf, terms

WORDS = ["Sí", "no", "A veces", "Straße"]
STEPS = [
    {"kind": "number", "input": 0, "fill": None},
    {"kind": "number", "input": 1, "fill": 3.5, "mean": 1.1, "scale": 0.3},
    {"kind": "missing", "input": 1},
    {"kind": "flag", "input": 2, "fill": 1.0},
    {"kind": "onehot", "input": 3, "values": WORDS, "fold": True, "missing": True, "unseen": True},
    {"kind": "onehot", "input": 3, "values": WORDS, "fold": False, "missing": False,
     "unseen": False},
    {"kind": "ordinal", "input": 3, "values": WORDS, "fold": True, "other": None},
    {"kind": "calendar", "input": 4, "parts": ["month", "weekday", "hour"], "onehot": False,
     "fill": None},
    {"kind": "calendar", "input": 4, "parts": ["month", "weekday", "hour"], "onehot": True,
     "fill": None},
    {"kind": "tfidf", "input": 5, "vocabulary": ["ab", "ab cd", "cd", "ñandú"],
     "idf": [1.2, 2.1, 1.7, 3.3], "n_max": 2, "sublinear": True},
]  # fmt: skip


def plan(precision: str) -> dict[str, object]:
    return {
        "format": 1,
        "timezone": "America/Santiago",
        "n_inputs": 6,
        "precision": precision,
        "steps": STEPS,
    }


numbers = (
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
)
words = st.none() | st.sampled_from([*WORDS, "SÍ", "NO", "strasse", "~", ""])
moments = st.none() | st.integers(-2_000_000_000_000_000, 9_000_000_000_000_000)
texts = st.none() | st.text(alphabet="abcdñúAB .,", max_size=20)
Row = tuple[Value, ...]
rows = st.tuples(numbers, numbers, st.none() | st.booleans(), words, moments, texts)


@settings(max_examples=150, deadline=None)
@given(st.lists(rows, min_size=1, max_size=8), st.sampled_from(["float32", "float64"]))
def test_a_row_alone_has_the_bits_of_a_row_among_many(table: list[Row], precision: str) -> None:
    featuriser = Featuriser.from_plan(plan(precision))
    alone = np.array([featuriser.row(values) for values in table])
    among = featuriser.rows(table)
    assert among.shape == (len(table), featuriser.n_columns)
    assert alone.tobytes() == among.tobytes() or np.array_equal(alone, among, equal_nan=True)
    if precision == "float32":
        with np.errstate(over="ignore"):
            assert np.array_equal(among, among.astype(np.float32), equal_nan=True)
        buffers = np.array([np.frombuffer(featuriser.row32(v), np.float32) for v in table])
        assert np.array_equal(buffers, among, equal_nan=True)


@settings(max_examples=100, deadline=None)
@given(st.lists(rows, min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_a_linear_model_answers_a_row_as_it_answers_it_among_many(
    table: list[Row], seed: int
) -> None:
    steps = [s for s in STEPS if s.get("fill", 0.0) is not None and s["kind"] != "ordinal"]
    featuriser = Featuriser.from_plan({**plan("float64"), "steps": steps})
    rng = np.random.default_rng(seed)
    coef = rng.normal(scale=1e-3, size=(3, featuriser.n_columns))
    form = LinearForm(coef.tolist(), rng.normal(size=3).tolist(), "softmax")
    alone = [form.row(featuriser, values) for values in table]
    assert np.array_equal(form.rows(featuriser, table), alone, equal_nan=True)


ALPHABET = string.ascii_letters + string.digits + " .,;'_-áéÑüßİΣς\t\n"
corpora = st.lists(st.text(ALPHABET, max_size=60), min_size=2, max_size=10)


@settings(max_examples=150, deadline=None)
@given(corpora, st.sampled_from([1, 2]), st.booleans())
def test_text_is_weighted_as_scikit_learn_weighs_it(
    corpus: list[str], n_max: int, sublinear: bool
) -> None:
    oracle = TfidfVectorizer(ngram_range=(1, n_max), sublinear_tf=sublinear)
    analyse = oracle.build_analyzer()
    assert [terms(text, n_max) for text in corpus] == [analyse(text) for text in corpus]
    if not any(terms(text) for text in corpus):
        return
    expected = oracle.fit_transform(corpus).toarray()
    vocabulary = list(oracle.get_feature_names_out())
    mine = TfIdf(vocabulary, oracle.idf_.tolist(), n_max, sublinear=sublinear)
    for text, weights in zip(corpus, expected, strict=True):
        row = np.zeros(mine.width)
        for column, weight in mine.weights(text):
            row[column] = weight
        np.testing.assert_allclose(row, weights, rtol=1e-13, atol=0)
