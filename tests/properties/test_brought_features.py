"""Fitted transformers, translated: the same columns as scikit-learn's, bit for bit in float64."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from timonel.runtime.featuriser import Featuriser
from timonel.runtime.native import frame_of
from timonel.schema.features import Category, Number
from timonel.schema.schema import Schema
from timonel.training.bring.inputs import Inputs
from timonel.training.bring.translate import plan_of, translate

pytest.importorskip("pandas")

WORDS = ["rojo", "azul", "verde", "añil"]
SCHEMA = Schema(
    Number("x", required=False),
    Number("y", required=False),
    Category("w", WORDS, required=False, unseen="accept"),
)
INPUTS = Inputs(["x", "y", "w"], [0, 1, 2], ["number", "number", "word"], True, [])

numbers = st.one_of(
    st.none(),
    st.floats(-1e12, 1e12, allow_subnormal=False),
    st.integers(-50, 50).map(float),
)
rows = st.lists(
    st.tuples(numbers, numbers, st.one_of(st.none(), st.sampled_from(WORDS))).map(list),
    min_size=4,
    max_size=25,
)
asked = st.lists(
    st.tuples(numbers, numbers, st.one_of(st.none(), st.sampled_from([*WORDS, "~otro~"]))).map(
        list
    ),
    min_size=1,
    max_size=12,
)
scalers = st.sampled_from(
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        RobustScaler(),
        RobustScaler(with_centering=False),
        MinMaxScaler(),
        MinMaxScaler((-1, 2), clip=True),
        MaxAbsScaler(),
        FunctionTransformer(),
        make_pipeline(MinMaxScaler(), FunctionTransformer(np.log1p), StandardScaler()),
    ]
)
imputers = st.sampled_from(
    [
        SimpleImputer(),
        SimpleImputer(strategy="median", add_indicator=True),
        SimpleImputer(strategy="constant", fill_value=-3.5),
        SimpleImputer(keep_empty_features=True),
    ]
)
encoders = st.sampled_from(
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="ignore", drop="first"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=2),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
        ),
        make_pipeline(
            SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
        ),
        make_pipeline(
            SimpleImputer(strategy="constant", fill_value="nada"),
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
            SimpleImputer(strategy="constant", fill_value=9),
        ),
    ]
)


@settings(deadline=None, max_examples=60)
@given(rows, asked, imputers, scalers, encoders, st.booleans())
def test_translated_columns_are_the_transformers_own(
    learned: list[list[Any]],
    table: list[list[Any]],
    imputer: Any,
    scaler: Any,
    encoder: Any,
    scale_first: bool,
) -> None:
    if all(row[2] is None for row in learned):
        learned[0][2] = "rojo"
    parts = [scaler, imputer] if scale_first else [imputer, scaler]
    prepare = ColumnTransformer(
        [("n", make_pipeline(*parts), ["y", "x"]), ("w", encoder, ["w"])],
        remainder="drop",
        sparse_threshold=0,
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        document = INPUTS.document()
        try:
            prepare.fit(frame_of(document, learned))
        except ValueError:  # a column without a value: there is no such model to bring
            reject()
        pipeline = make_pipeline(prepare, FunctionTransformer())
        truth = np.asarray(prepare.transform(frame_of(document, table)), dtype=np.float64)
        steps = translate(pipeline, INPUTS, SCHEMA).steps
        featuriser = Featuriser.from_plan(plan_of(steps, SCHEMA, timezone="UTC"))
        np.testing.assert_array_equal(featuriser.rows(table), truth)
        for row, expected in zip(table, truth, strict=True):
            np.testing.assert_array_equal(np.array(featuriser.row(row)), expected)
