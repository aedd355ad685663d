"""The second model: rules combined with the first. Fits it and writes `combined.skops`.

    python combined.py && timonel register comments --artifact combined.skops

TF-IDF and logistic regression as in `model.py`; then each list of words gets columns whose weight
nobody fits: a word of the hate list adds 4 to the log-odds of hate speech, and so for offensive.
So a list works from the day it is written, in a language that no tweet is in; the model decides
the rest. All parts are scikit-learn's own, and the whole is served compiled.
"""

import numpy as np
import polars as pl
from data import HATE, HERE, OFFENSIVE, read_comments
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from skops.io import dump
from words import read_words

LIST_WEIGHT = 4.0
LISTS = {"hate": HATE, "offensive": OFFENSIVE}


def fit_combined(texts: list[str], labels: list[str]) -> Pipeline:
    """Fit the model without the lists' columns, and add the rules to it."""
    parts = [("words", TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), "text")]
    for kind in LISTS:
        vocabulary = read_words(kind)
        listed = TfidfVectorizer(vocabulary=vocabulary, ngram_range=(1, 2), use_idf=False)
        parts.append((kind, listed, "text"))
    columns = ColumnTransformer(parts)
    matrix = columns.fit_transform(pl.DataFrame({"text": texts}))
    n_words = len(columns.named_transformers_["words"].vocabulary_)
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    model.fit(matrix[:, :n_words], labels)
    weights = np.zeros((len(model.classes_), matrix.shape[1]))
    weights[:, :n_words] = model.coef_
    at = n_words
    for kind, label in LISTS.items():
        width = len(read_words(kind))
        weights[list(model.classes_).index(label), at : at + width] = LIST_WEIGHT
        at += width
    model.coef_, model.n_features_in_ = weights, matrix.shape[1]
    return Pipeline([("columns", columns), ("model", model)])


if __name__ == "__main__":
    table = read_comments()
    dump(fit_combined(table["text"].to_list(), table["label"].to_list()), HERE / "combined.skops")
    print(f"combined.skops: fitted on {table.height} comments")
