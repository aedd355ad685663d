"""Look at a table once: settle its dialect, decide on its columns, measure an example rule."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from timonel.errors import closest
from timonel.project.reading import dates, numerals
from timonel.project.reading.canonical import canonical
from timonel.project.reading.cells import KINDS, NO, YES, Note, Reading, type_table
from timonel.project.reading.errors import UnknownColumn, UnknownKind
from timonel.project.reading.raw import MISSING, RawTable
from timonel.project.tables import Table
from timonel.schema.features import Category, Feature, Flag, Number, Text, Timestamp
from timonel.schema.inference import Inference, infer


@dataclass(frozen=True, slots=True)
class Survey:
    """What one look at a table gave.

    Parameters
    ----------
    source : Table
        With its dialect explicit, reading only the columns that the model needs.
    frame : polars.DataFrame
        What ``source`` reads.
    inference : Inference
    notes : tuple of Note
        What evidence settled.
    """

    source: Table
    frame: pl.DataFrame
    inference: Inference
    notes: tuple[Note, ...]


def survey(
    source: Table,
    target: str,
    *,
    kinds: Mapping[str, str] | None = None,
    exclude: Collection[str] = (),
    keep: Collection[str] = (),
) -> Survey:
    """Read a source by evidence and decide what each column is to a model of ``target``.

    Parameters
    ----------
    kinds : mapping of str to str or None
        Columns whose kind the user settles ("text", "number", "date", "flag").
    exclude, keep : collection of str
        Columns to leave out unread, and to use even if they look suspicious.

    Raises
    ------
    ProjectFault
        If a column is unknown, the table cannot be read, or no model can be made of it.
    """
    raw, found = source.load()
    for name in [target, *exclude, *keep, *(kinds or {})]:
        if name not in raw.frame.columns:
            known = closest(name, raw.frame.columns)
            raise UnknownColumn(column=name, path=raw.path, known=known)
    exclude = [name for name in exclude if name != target]
    base = source.reading()
    wanted = {name: _kind_named(name, kind) for name, kind in (kinds or {}).items()}
    wanted[target] = _target_kind(raw, target, base, wanted.get(target))
    partly = _reading_by_evidence(raw, base, wanted, exclude)
    typed = type_table(raw, partly)
    inference = infer(_with_excluded(typed.frame, raw, exclude), target, exclude=exclude, keep=keep)
    needed = _needed(inference, target, wanted[target], typed.reading.columns or {})
    settled = replace(
        source,
        decimal=typed.reading.decimal if _marks_matter(raw, needed) else None,
        thousands=typed.reading.thousands,
        decimals={n: m for n, m in typed.reading.decimals.items() if n in needed},
        dates={n: f for n, f in typed.reading.dates.items() if n in needed},
        columns=needed,
        **found,
    )
    frame = type_table(raw, settled.reading()).frame
    return Survey(settled, frame, inference, tuple(typed.notes))


def _reading_by_evidence(
    raw: RawTable, base: Reading, wanted: Mapping[str, str], exclude: Collection[str]
) -> Reading:
    """Leave every kind to evidence but the wanted ones ("" asks for evidence)."""
    columns = {name: wanted.get(name, "") for name in raw.frame.columns if name not in exclude}
    return replace(base, columns=columns)


def _with_excluded(frame: pl.DataFrame, raw: RawTable, exclude: Collection[str]) -> pl.DataFrame:
    absent = [pl.lit(None, dtype=pl.String).alias(name) for name in exclude]
    return frame.with_columns(absent).select(raw.frame.columns)


def _kind_named(name: str, kind: str) -> str:
    named = {"category": "text"}.get(kind, kind)
    if named not in KINDS:
        raise UnknownKind(column=name, kind=kind, known=", ".join(KINDS))
    return named


def _target_kind(raw: RawTable, target: str, reading: Reading, told: str | None) -> str:
    """Tell how a target is read: as the words it is written in, or numbers; true/false as 1/0."""
    if told is not None:
        return {"text": "label", "flag": "0/1"}.get(told, told)
    if target in reading.dates:
        return "date"
    cells = canonical(raw.frame[target])
    if cells.dtype == pl.Boolean:
        return "0/1"
    if isinstance(cells.dtype, pl.Datetime):
        return "date"
    if cells.dtype != pl.String:
        return "number"
    missing = [*MISSING, *(word.casefold() for word in reading.missing)]
    present = cells.drop_nulls()
    present = present.filter(~present.str.to_lowercase().is_in(missing))
    numbers = numerals.weigh(present)
    if numbers is not None:
        return "number"
    if dates.weigh(present) is not None:
        return "date"
    words = set(present.unique().head(20))
    folded = {word.casefold() for word in words}
    if folded and folded <= YES | NO:
        spelt_truth = folded <= {"true", "false", "verdadero", "falso"}
        return "0/1" if spelt_truth or len(words) > 2 else "label"
    return "label"


def _needed(
    inference: Inference, target: str, target_kind: str, evident: Mapping[str, str]
) -> dict[str, str]:
    needed = {feature.name: kind_of(feature) for feature in inference.schema}
    needed[target] = target_kind
    for name in (inference.time, inference.group):
        if name is not None:
            needed.setdefault(name, evident[name])
    return needed


def kind_of(feature: Feature) -> str:
    """Give the kind by which a feature's column is read."""
    kinds = {Number: "number", Category: "text", Flag: "flag", Text: "text", Timestamp: "date"}
    return kinds[type(feature)]


def _marks_matter(raw: RawTable, needed: Mapping[str, str]) -> bool:
    return any(
        kind == "number" and raw.frame[name].dtype == pl.String for name, kind in needed.items()
    )


# --- an example rule, measured


@dataclass(frozen=True, slots=True)
class Split:
    """One question about one column, and what is true on either side of it.

    Parameters
    ----------
    column, test : str
        ``test`` is Python on ``row[column]``: ``"> 45"``, ``"== 'Male'"``, ``"is True"``.
    yes, no : label
        The most frequent class (or the median) where it holds, and elsewhere.
    yes_share, no_share : float
        Share of the positive class (binary) or of that class.
    """

    column: str
    test: str
    yes: Any
    no: Any
    yes_share: float
    no_share: float


def example_split(surveyed: Survey, target: str) -> Split | None:
    """Find a simple, sensible rule: the question that best tells the target apart.

    Returns
    -------
    Split or None
        None when no number, flag or category is among the inputs.
    """
    inference = surveyed.inference
    frame = surveyed.frame.filter(surveyed.frame[target].is_not_null())
    best: tuple[float, Split] | None = None
    for feature in inference.schema:
        question = _question(feature, frame[feature.name])
        if question is None:
            continue
        test, holds = question
        sides = frame[target].filter(holds), frame[target].filter(~holds)
        if min(len(sides[0]), len(sides[1])) < 0.02 * frame.height:
            continue
        gain, split = _measured(feature.name, test, sides, inference)
        if best is None or gain > best[0]:
            best = gain, split
    return best[1] if best else None


def _question(feature: Feature, column: pl.Series) -> tuple[str, pl.Series] | None:
    if isinstance(feature, Number):
        middle = float(column.cast(pl.Float64).quantile(0.5) or 0)
        return f"> {middle:.12g}", (column > middle).fill_null(value=False)
    if isinstance(feature, Flag):
        return "is True", column.fill_null(value=False)
    if isinstance(feature, Category):
        word = column.drop_nulls().mode().sort()[0]
        return f"== {json.dumps(word, ensure_ascii=False)}", (column == word).fill_null(value=False)
    return None


def _measured(
    name: str, test: str, sides: tuple[pl.Series, pl.Series], inference: Inference
) -> tuple[float, Split]:
    if inference.task == "regression":
        middles = [float(side.cast(pl.Float64).quantile(0.5) or 0) for side in sides]
        yes, no = (float(f"{middle:.4g}") for middle in middles)
        means = [float(side.cast(pl.Float64).sum()) / len(side) for side in sides]
        between = len(sides[0]) * len(sides[1]) * (means[0] - means[1]) ** 2
        return between, Split(name, test, yes, no, 0.0, 0.0)
    labels = [side.mode().sort()[0] for side in sides]
    right = [_share(side, label) for side, label in zip(sides, labels, strict=True)]
    gain = sum(len(side) * share for side, share in zip(sides, right, strict=True))
    if inference.task == "binary":
        positive = inference.positive
        positive = max(inference.classes or {}) if positive is None else positive
        right = [_share(side, positive) for side in sides]
        gain = abs(right[0] - right[1])
    return gain, Split(name, test, labels[0], labels[1], round(right[0], 3), round(right[1], 3))


def _share(side: pl.Series, label: Any) -> float:
    return int((side == label).sum()) / len(side)
