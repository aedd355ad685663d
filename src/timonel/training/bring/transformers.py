"""What fitted scikit-learn transformers do to columns.

Encoders of words are not re-implemented: each is asked what it makes of every value that it knows,
of a missing one and of an unknown one, so that options such as ``drop``, rare categories or
``unknown_value`` come out as they are. Arithmetic is repeated in scikit-learn's own order.
"""

import re
from collections.abc import Callable, Sequence
from math import isnan, nan
from typing import Any

import numpy as np

from timonel.runtime.ensembles import full_name
from timonel.runtime.text import TOKEN
from timonel.training.bring.symbols import (
    Arithmetic,
    Column,
    Key,
    KindClash,
    Lookup,
    NotTranslatable,
    Raw,
    Term,
    changed,
)

UNSEEN = "~unseen~"
_PROBE_NUMBER = -7.25e17
Columns = list[Column]


def transformed(transformer: Any, columns: Columns) -> Columns:
    """Give the columns that a fitted transformer makes of others.

    Raises
    ------
    NotTranslatable
    """
    if transformer is None or isinstance(transformer, str):
        return [] if transformer == "drop" else columns
    name = type(transformer).__name__
    apply = _KNOWN.get(name)
    if apply is None or full_name(transformer).split(".")[0] != "sklearn":
        raise NotTranslatable(full_name(transformer))
    return apply(transformer, columns)


def _pipeline(pipeline: Any, columns: Columns) -> Columns:
    for _, step in pipeline.steps:
        columns = transformed(step, columns)
    return columns


def _union(union: Any, columns: Columns) -> Columns:
    if union.transformer_weights:
        raise NotTranslatable("FeatureUnion with transformer_weights")
    return [made for _, part in union.transformer_list for made in transformed(part, columns)]


def chosen(column_transformer: Any, at: Any) -> list[int]:
    """Give the positions that one entry of a ``ColumnTransformer`` works on."""
    names = list(getattr(column_transformer, "feature_names_in_", []))
    n = int(column_transformer.n_features_in_)
    if isinstance(at, str):
        at = [at]
    if isinstance(at, slice):
        if isinstance(at.start, str) or isinstance(at.stop, str):
            first = names.index(at.start) if at.start is not None else 0
            last = names.index(at.stop) + 1 if at.stop is not None else n
            return list(range(n))[first : last : at.step]
        return list(range(n))[at]
    found = np.asarray(list(at) if not np.isscalar(at) else [at])
    if found.dtype == bool:
        return [int(i) for i in np.flatnonzero(found)]
    return [names.index(one) if isinstance(one, str) else int(one) % n for one in found.tolist()]


def _column_transformer(mixed: Any, columns: Columns) -> Columns:
    if mixed.transformer_weights:
        raise NotTranslatable("ColumnTransformer with transformer_weights")
    found: Columns = []
    unknown: NotTranslatable | None = None
    for _, part, at in mixed.transformers_:
        taken = [] if isinstance(part, str) and part == "drop" else chosen(mixed, at)
        if not taken:
            continue
        try:
            found += transformed(part, [columns[i] for i in taken])
        except NotTranslatable as error:  # a clash of kinds further on is to be told first
            unknown = unknown or error
    if unknown is not None:
        raise unknown
    return found


def _identity(transformer: Any, columns: Columns) -> Columns:
    if transformer.func is None:
        return columns
    if transformer.func is np.log1p and not transformer.kw_args:
        return [changed(column, [("log1p", 0.0)], "log1p") for column in columns]
    name = getattr(transformer.func, "__name__", transformer.func)
    raise NotTranslatable(f"FunctionTransformer({name})")


# --- arithmetic


def _standard(scaler: Any, columns: Columns) -> Columns:
    return _each(
        columns,
        "StandardScaler",
        ("sub", scaler.mean_ if scaler.with_mean else None),
        ("div", scaler.scale_ if scaler.with_std else None),
    )


def _robust(scaler: Any, columns: Columns) -> Columns:
    return _each(columns, "RobustScaler", ("sub", scaler.center_), ("div", scaler.scale_))


def _min_max(scaler: Any, columns: Columns) -> Columns:
    low, high = scaler.feature_range
    limits = [np.full(len(columns), v, dtype=float) if scaler.clip else None for v in (low, high)]
    return _each(
        columns,
        "MinMaxScaler",
        ("mul", scaler.scale_),
        ("add", scaler.min_),
        ("floor", limits[0]),
        ("cap", limits[1]),
    )


def _max_abs(scaler: Any, columns: Columns) -> Columns:
    return _each(columns, "MaxAbsScaler", ("div", scaler.scale_))


def _each(columns: Columns, what: str, *operations: tuple[str, Any]) -> Columns:
    present = [(name, operands) for name, operands in operations if operands is not None]
    return [
        changed(column, [(name, float(operands[at])) for name, operands in present], what)
        for at, column in enumerate(columns)
    ]


def _selected(selector: Any, columns: Columns) -> Columns:
    return [column for column, kept in zip(columns, selector.get_support(), strict=True) if kept]


# --- missing values


def _imputer(imputer: Any, columns: Columns) -> Columns:
    if not _is_missing(imputer.missing_values):
        raise NotTranslatable(f"SimpleImputer(missing_values={imputer.missing_values!r})")
    found: Columns = []
    for column, fill in zip(columns, imputer.statistics_, strict=True):
        if _is_missing(fill) and not imputer.keep_empty_features:
            continue  # a column that was empty when it was fitted
        found.append(_filled(column, 0 if _is_missing(fill) else fill))
    if imputer.add_indicator:
        found += _indicators(imputer.indicator_, columns)
    return found


def _filled(column: Column, fill: Any) -> Column:
    if isinstance(column, Raw):
        return column if column.fill is not None else Raw(column.input, _plain(fill))
    if isinstance(fill, str):
        raise KindClash(column.input, repr(fill), words=True)
    return changed(column, [("fill", float(fill))], "SimpleImputer")


def _indicators(indicator: Any, columns: Columns) -> Columns:
    if not _is_missing(indicator.missing_values):
        raise NotTranslatable(f"MissingIndicator(missing_values={indicator.missing_values!r})")
    found: Columns = []
    for at in indicator.features_:
        column = columns[int(at)]
        if isinstance(column, Term | Lookup) or (isinstance(column, Raw) and column.fill):
            raise NotTranslatable("an indicator of what was filled before")
        filled = isinstance(column, Arithmetic) and any(name == "fill" for name, _ in column.ops)
        found.append(Lookup(column.input, {}, 0.0 if filled else 1.0, 0.0))
    return found


def _is_missing(value: Any) -> bool:
    return value is None or value != value or type(value).__name__ == "NAType"


# --- words


def _encoder(encoder: Any, columns: Columns) -> Columns:
    if not all(len(_known(categories)) for categories in encoder.categories_):
        raise NotTranslatable(f"{type(encoder).__name__} of a column that was empty")
    base = [_known(categories)[0] for categories in encoder.categories_]
    for column, categories in zip(columns, encoder.categories_, strict=True):
        _require_kind(column, _known(categories))
    found: Columns = []
    start = 0
    for at, column in enumerate(columns):
        values = _known(encoder.categories_[at])
        alone = _answers(encoder, base, at, [*values, nan, _unknown(encoder.categories_[at])])
        n_all = len(next(vector for vector in alone if vector is not None))
        width = _width(encoder, at, n_all)
        block = [None if vector is None else vector[start : start + width] for vector in alone]
        found += _lookups(column, values, block, width)
        start += width
    return found


def _require_kind(column: Column, values: Sequence[Any]) -> None:
    words = all(isinstance(value, str) for value in values)
    shown = ", ".join(repr(value) for value in values[:6])
    if isinstance(column, Raw) and not words:
        raise KindClash(column.input, shown, words=False)
    if isinstance(column, Arithmetic) and any(isinstance(value, str) for value in values):
        raise KindClash(column.input, shown, words=True)


def _width(encoder: Any, at: int, n_all: int) -> int:
    outs = getattr(encoder, "_n_features_outs", None)  # one-hot: columns of each feature
    if outs is not None:
        return int(outs[at])
    n = len(encoder.categories_)
    if n_all % n:
        raise NotTranslatable(f"{type(encoder).__name__} with {n_all} columns of {n} features")
    return 1 if n_all == n else n_all // n


def _known(categories: Any) -> list[Any]:
    return [_plain(value) for value in categories if not _is_missing(value)]


def _unknown(categories: Any) -> Any:
    return UNSEEN if np.asarray(categories).dtype.kind in "OUS" else _PROBE_NUMBER


def _answers(encoder: Any, base: Sequence[Any], at: int, values: Sequence[Any]) -> list[Any]:
    """Ask an encoder for each value of one feature; None where it refuses it."""
    kinds = {np.asarray(c).dtype.kind for c in encoder.categories_}
    dtype = object if kinds & set("OUS") else np.float64

    def ask(some: Sequence[Any]) -> Any:
        table = np.array([list(base)] * len(some), dtype=dtype)
        for row, value in enumerate(some):
            table[row, at] = value
        answer = encoder.transform(table)
        dense = answer.toarray() if hasattr(answer, "toarray") else np.asarray(answer)
        return np.asarray(dense, dtype=np.float64)

    found: list[Any] = list(ask(values[:-2]))
    for value in values[-2:]:
        try:
            found.append(ask([value])[0])
        except (ValueError, TypeError):
            found.append(None)
    return found


def _lookups(column: Column, values: list[Any], block: list[Any], width: int) -> Columns:
    if isinstance(column, Arithmetic) and not all(name == "fill" for name, _ in column.ops):
        raise NotTranslatable("an encoder of numbers that were changed before")
    if not isinstance(column, Raw | Arithmetic):
        raise NotTranslatable("an encoder of encoded columns")
    fill = column.fill if isinstance(column, Raw) else dict(column.ops).get("fill")
    known = dict(zip(values, block, strict=False))
    nothing = np.full(width, nan)
    missing, other = (nothing if vector is None else vector for vector in block[-2:])
    if fill is not None:
        missing = known.get(fill, other)
    return [
        Lookup(
            column.input,
            {key: float(vector[i]) for key, vector in known.items()},
            float(missing[i]),
            float(other[i]),
        )
        for i in range(width)
    ]


def _plain(value: Any) -> Key:
    plain: Key = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float) and plain.is_integer() and not isnan(plain):
        return int(plain)
    return plain


# --- texts


def _tfidf(vectoriser: Any, columns: Columns) -> Columns:
    name = type(vectoriser).__name__
    plain = {
        "analyzer": vectoriser.analyzer == "word",
        "token_pattern": re.compile(vectoriser.token_pattern or "") == TOKEN,
        "lowercase": vectoriser.lowercase,
        "preprocessor": vectoriser.preprocessor is None,
        "tokenizer": vectoriser.tokenizer is None,
        "strip_accents": vectoriser.strip_accents is None,
        "stop_words": vectoriser.stop_words is None,
        "ngram_range": vectoriser.ngram_range[0] == 1,
        "binary": not vectoriser.binary,
        "norm": vectoriser.norm == "l2",
    }
    unusual = [option for option, usual in plain.items() if not usual]
    if unusual:
        raise NotTranslatable(f"{name} with its own {', '.join(unusual)}")
    if len(columns) != 1 or not isinstance(columns[0], Raw):
        raise NotTranslatable(f"{name} of something else than one text column")
    terms = sorted(vectoriser.vocabulary_, key=vectoriser.vocabulary_.__getitem__)
    idf = vectoriser.idf_.tolist() if vectoriser.use_idf else [1.0] * len(terms)
    step = {
        "kind": "tfidf",
        "vocabulary": [str(term) for term in terms],
        "idf": idf,
        "n_max": int(vectoriser.ngram_range[1]),
        "sublinear": bool(vectoriser.sublinear_tf),
    }
    if columns[0].fill is not None:
        raise NotTranslatable(f"{name} of a filled column")
    return [Term(columns[0].input, at, step) for at in range(len(terms))]


_KNOWN: dict[str, Callable[[Any, Columns], Columns]] = {
    "Pipeline": _pipeline,
    "FeatureUnion": _union,
    "ColumnTransformer": _column_transformer,
    "FunctionTransformer": _identity,
    "StandardScaler": _standard,
    "RobustScaler": _robust,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "VarianceThreshold": _selected,
    "SelectKBest": _selected,
    "SelectPercentile": _selected,
    "SelectFromModel": _selected,
    "SimpleImputer": _imputer,
    "MissingIndicator": lambda indicator, columns: _indicators(indicator, columns),
    "OneHotEncoder": _encoder,
    "OrdinalEncoder": _encoder,
    "TargetEncoder": _encoder,
    "TfidfVectorizer": _tfidf,
}
