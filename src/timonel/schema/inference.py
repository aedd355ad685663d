"""From a typed table to a schema: one decision a column, each with its reason.

Decisions err on the side of the next customer: the values seen are noted, never made limits
(physical ones excepted); an unseen word is served and counted, not refused; a column that has
missing values may be left out of a request (``required=False``), one that never has must be sent,
because a misspelt field would otherwise look like a missing one.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import polars as pl

from timonel.schema import recognition
from timonel.schema.features import Category, Feature, Flag, Number, Text, Timestamp
from timonel.schema.inference_errors import NoInputs, UnusableTarget
from timonel.schema.inference_texts import sentence
from timonel.schema.schema import Schema
from timonel.schema.suspicion import Suspicion

MOST_WORDS = 200  # words that a category lists; rarer ones are served as unseen
MOST_CLASSES = 100
FEW_WHOLE = 10  # so many different whole numbers, or fewer, are classes
MOSTLY = 0.5

Label = str | int | float


@dataclass(frozen=True, slots=True)
class Remark:
    """Something measured about a column that a person should read."""

    code: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one column.

    Parameters
    ----------
    name : str
    kind : str
        "number", "category", "flag", "timestamp", "text", "target", "id", "constant", "empty",
        "clock", "words" (too many different ones), "suspicious" or "excluded".
    feature : Feature or None
        The input it becomes; None: it is left out.
    reason : Remark
    remarks : tuple of Remark
        Warnings and notes.
    """

    name: str
    kind: str
    feature: Feature | None
    reason: Remark
    remarks: tuple[Remark, ...] = ()

    @property
    def used(self) -> bool:
        """Whether the column is an input."""
        return self.feature is not None

    def explain(self, lang: str = "en") -> str:
        """Say in a sentence or two what was decided, and why."""
        parts = [self.reason, *self.remarks]
        return " ".join(sentence(part.code, lang, part.facts) for part in parts)


@dataclass(frozen=True, slots=True)
class Inference:
    """A schema, what it was made from, and what was found on the way.

    Parameters
    ----------
    schema : Schema
    decisions : tuple of Decision
        One a column, in the order of the table.
    task : {"binary", "multiclass", "regression"}
    positive : label or None
        Binary, where one class means yes.
    classes : dict of label to int, or None
        Rows of each class.
    key : str or None
        The best identifier: outcomes can name predictions by it.
    time : str or None
        The column of the event's moment, if exactly one convinces.
    group : str or None
        An identifier that repeats: its rows should stay on one side of a split.
    n_rows, n_dropped : int
        Rows with a target; rows without one.
    """

    schema: Schema
    decisions: tuple[Decision, ...]
    task: str
    positive: Label | None
    classes: dict[Label, int] | None
    key: str | None
    time: str | None
    group: str | None
    n_rows: int
    n_dropped: int

    def decision(self, name: str) -> Decision:
        """Give the decision on a column."""
        return next(decision for decision in self.decisions if decision.name == name)


def infer(
    frame: pl.DataFrame,
    target: str,
    *,
    exclude: Collection[str] = (),
    keep: Collection[str] = (),
) -> Inference:
    """Decide what each column of a table is to a model of ``target``.

    Parameters
    ----------
    frame : polars.DataFrame
        Canonically typed (Int64, Float64, Boolean, Datetime, String).
    target : str
        Strings, numbers or 0/1.
    exclude, keep : collection of str
        Columns to leave out whatever they are, and to use even if they look suspicious.

    Raises
    ------
    UnusableTarget
        If the target is empty, constant, a date, or nearly unique words.
    NoInputs
        If every column was left out.
    """
    n_all = frame.height
    frame = frame.filter(frame[target].is_not_null())
    task, classes = task_of(frame[target], target)
    decisions = [
        _target(name, task, classes, frame[name])
        if name == target
        else _excluded(name)
        if name in exclude
        else _decide(name, frame[name], kept=name in keep)
        for name in frame.columns
    ]
    suspicion = Suspicion(frame[target], classes=task != "regression")
    decisions = _suspected(decisions, frame, suspicion, keep)
    features = [decision.feature for decision in decisions if decision.feature is not None]
    if not features:
        left_out = [decision for decision in decisions if decision.name != target]
        raise NoInputs(
            target=target,
            reasons_en=" ".join(f"{d.name}: {d.explain('en')}" for d in left_out[:6]),
            reasons_es=" ".join(f"{d.name}: {d.explain('es')}" for d in left_out[:6]),
        )
    time = _event_time(decisions, frame)
    key = _best_key(decisions)
    return Inference(
        schema=Schema(*features),
        decisions=tuple(decisions),
        task=task,
        positive=_positive(classes) if task == "binary" else None,
        classes=classes,
        key=key,
        time=time,
        group=_repeating(decisions) if time is None else None,
        n_rows=frame.height,
        n_dropped=n_all - frame.height,
    )


# --- the target


def task_of(target: pl.Series, name: str) -> tuple[str, dict[Label, int] | None]:
    """Tell the task: two values are binary, words and few whole numbers classes, else a number."""
    counts = dict(target.value_counts().sort(target.name).iter_rows())
    n, n_values = len(target), len(counts)
    words = target.dtype == pl.String
    if isinstance(target.dtype, pl.Datetime) or n_values < 2:
        found = (
            ("it is a date", "es una fecha")
            if n_values > 1
            else (
                f"it has {n_values} different value(s) in {n} rows",
                f"tiene {n_values} valor(es) distinto(s) en {n} filas",
            )
        )
        raise UnusableTarget(
            column=name,
            found_en=found[0],
            found_es=found[1],
            expected_en="two or more classes, or numbers",
            expected_es="dos o más clases, o números",
        )
    if words and (n_values > MOST_CLASSES or (n_values > 2 and n_values > n / 2)):
        raise UnusableTarget(
            column=name,
            found_en=f"it has {n_values} different words in {n} rows",
            found_es=f"tiene {n_values} palabras distintas en {n} filas",
            expected_en=f"at most {MOST_CLASSES} classes that repeat, or numbers",
            expected_es=f"a lo más {MOST_CLASSES} clases que se repiten, o números",
        )
    if n_values == 2:
        return "binary", counts
    if words or (target.dtype == pl.Int64 and n_values <= min(FEW_WHOLE, n / 3)):
        return "multiclass", counts
    return "regression", None


def _positive(classes: dict[Label, int] | None) -> Label | None:
    yes = {"si", "sí", "yes", "true", "verdadero", "1"}
    no = {"no", "false", "falso", "0"}
    if classes is None:
        return None
    said = {str(label).casefold(): label for label in classes}
    if len(said) == 2 and set(said) & yes and set(said) & no:
        return next(label for word, label in said.items() if word in yes)
    return None


def _target(name: str, task: str, classes: dict[Label, int] | None, column: pl.Series) -> Decision:
    if classes is None:
        facts: dict[str, Any] = {"low": column.min(), "high": column.max(), "n": len(column)}
        return Decision(name, "target", None, Remark("target_number", facts))
    shown = ", ".join(f"{label} {count}" for label, count in list(classes.items())[:8])
    more = " ..." if len(classes) > 8 else ""
    facts = {"task": task, "n_classes": len(classes), "shown": shown + more}
    rare = [str(label) for label, count in classes.items() if count < 10]
    remarks = (Remark("rare_classes", {"labels": ", ".join(rare[:5])}),) if rare else ()
    return Decision(name, "target", None, Remark("target_classes", facts), remarks)


# --- the other columns


def _excluded(name: str) -> Decision:
    return Decision(name, "excluded", None, Remark("excluded"))


def _decide(name: str, column: pl.Series, *, kept: bool = False) -> Decision:
    present = column.drop_nulls()
    n, n_missing = len(column), column.null_count()
    n_unique = present.n_unique()
    if n_unique == 0:
        return Decision(name, "empty", None, Remark("empty"))
    if n_unique == 1 and n_missing == 0:
        return Decision(name, "constant", None, Remark("constant", {"value": present[0]}))
    named = None if kept else recognition.identity(name, present, n_unique=n_unique)
    if named is not None:
        facts = {"n_unique": n_unique, "n": n, "example": _hidden(present[0], named)}
        return Decision(name, "id", None, Remark(f"id_{named}", facts))
    required = n_missing == 0
    remarks: tuple[Remark, ...] = ()
    if n_missing:
        share = n_missing / n
        code = "mostly_missing" if share > MOSTLY else "some_missing"
        remarks = (Remark(code, {"n_missing": n_missing, "share": share}),)
    if column.dtype == pl.Boolean:
        facts = {"n_true": int(present.sum()), "n": len(present)}
        return Decision(name, "flag", Flag(name, required=required), Remark("flag", facts), remarks)
    if isinstance(column.dtype, pl.Datetime):
        facts = {"low": str(present.min())[:16], "high": str(present.max())[:16]}
        feature = Timestamp(name, required=required)
        return Decision(name, "timestamp", feature, Remark("timestamp", facts), remarks)
    if column.dtype == pl.String:
        return _words(name, present, n_unique, required, remarks)
    return _number(name, present, n_unique, required, remarks)


def _hidden(value: object, named: str) -> str:
    text = str(value)
    return text[:2] + "..." if named in ("email", "phone", "rut", "personal") else text[:24]


def _number(
    name: str, present: pl.Series, n_unique: int, required: bool, remarks: tuple[Remark, ...]
) -> Decision:
    low, high = float(present.min()), float(present.max())  # type: ignore[arg-type]
    whole = present.dtype == pl.Int64
    if whole and n_unique == 2 and (low, high) == (0.0, 1.0):
        facts = {"n_true": int(present.sum()), "n": len(present)}
        feature = Flag(name, required=required)
        return Decision(name, "flag", feature, Remark("flag_01", facts), remarks)
    ge, le = recognition.physical_limits(name, low, high)
    number = Number(name, required=required, ge=ge, le=le)
    code = "number_whole" if whole else "number"
    reason = Remark(code, {"low": low, "high": high, "n_unique": n_unique})
    if ge is not None:
        limits = f">= {ge:g}" if le is None else f"{ge:g} .. {le:g}"
        remarks = (*remarks, Remark("physical", {"limits": limits}))
    return Decision(name, "number", number, reason, remarks)


def _words(
    name: str, present: pl.Series, n_unique: int, required: bool, remarks: tuple[Remark, ...]
) -> Decision:
    n = len(present)
    if recognition.is_clock(present):
        return Decision(name, "clock", None, Remark("clock", {"example": present[0]}), remarks)
    lengths = present.str.len_chars()
    words = float((present.str.count_matches(r"\s+") + 1).mean() or 1)  # type: ignore[arg-type]
    facts: dict[str, Any] = {"n_unique": n_unique, "n": n, "words": words}
    varied = n_unique > max(20, 0.2 * n)
    if varied and (words >= 2.5 or float(lengths.mean() or 0) >= 40):  # type: ignore[arg-type]
        longest = int(lengths.max() or 0)  # type: ignore[arg-type]
        feature = Text(name, required=required, max_length=max(10_000, 2 * longest))
        return Decision(name, "text", feature, Remark("text", facts), remarks)
    if n_unique > 20 and n_unique > 0.5 * n:
        return Decision(name, "words", None, Remark("too_many_words", facts), remarks)
    listed, n_rare = _listed(present)
    shown = ", ".join(listed[:6]) + (" ..." if len(listed) > 6 else "")
    facts |= {"shown": shown}
    if n_rare:
        remarks = (*remarks, Remark("rare_words", {"n_rare": n_rare, "n_listed": len(listed)}))
    category = Category(name, listed, required=required, unseen="accept")
    return Decision(name, "category", category, Remark("category", facts), remarks)


def _listed(present: pl.Series) -> tuple[list[str], int]:
    """Give the words to list, sorted, one spelling each, and how many are too rare to list."""
    counts = present.value_counts(sort=True)
    spelling: dict[str, tuple[str, int]] = {}
    for word, count in sorted(counts.iter_rows(), key=lambda row: (-row[1], row[0])):
        first, total = spelling.get(word.casefold(), (word, 0))
        spelling[word.casefold()] = (first, total + count)
    ranked = sorted(spelling.values(), key=lambda row: (-row[1], row[0]))
    return sorted(word for word, _ in ranked[:MOST_WORDS]), max(0, len(ranked) - MOST_WORDS)


# --- what gives the target away


def _suspected(
    decisions: list[Decision], frame: pl.DataFrame, suspicion: Suspicion, keep: Collection[str]
) -> list[Decision]:
    if not suspicion.enough:
        return decisions
    pairs = suspicion.identities(
        {d.name: frame[d.name] for d in decisions if d.kind == "number" and d.name not in keep}
    )
    paired = {name: pair for pair in pairs for name in (pair.left, pair.right)}
    judged = []
    for decision in decisions:
        if decision.kind in ("target", "excluded", "id", "constant", "empty", "text"):
            judged.append(decision)
            continue
        power = suspicion.power(decision.name, frame[decision.name])
        facts = {"power": power.power, "accuracy": power.accuracy, "base": power.base}
        measure = "classes" if power.accuracy is not None else "number"
        if decision.name in keep:
            judged.append(_remarked(decision, Remark("kept")))
        elif power.gives_away:
            judged.append(_aside(decision, Remark(f"suspicious_{measure}", facts)))
        elif decision.name in paired:
            pair = paired[decision.name]
            said = f"{pair.left} {pair.sign} {pair.right}"
            judged.append(
                _aside(decision, Remark("suspicious_pair", {"pair": said, "share": pair.share}))
            )
        elif power.reported and decision.used:
            judged.append(_remarked(decision, Remark(f"strong_{measure}", facts)))
        else:
            judged.append(decision)
    return judged


def _aside(decision: Decision, reason: Remark) -> Decision:
    return replace(decision, kind="suspicious", feature=None, reason=reason, remarks=())


def _remarked(decision: Decision, remark: Remark) -> Decision:
    return replace(decision, remarks=(*decision.remarks, remark))


# --- key, time, group

_KEY_ORDER: tuple[str, ...] = ("id_rut", "id_unique", "id_named", "id_uuid", "id_sequential")
Role = Literal["key", "time", "group"]


def _best_key(decisions: list[Decision]) -> str | None:
    ids = [
        d for d in decisions if d.reason.code in _KEY_ORDER and not d.name.startswith("unnamed_")
    ]
    if not ids:
        return None

    def rank(decision: Decision) -> tuple[bool, int]:
        facts = decision.reason.facts
        repeats = facts["n_unique"] < 0.9 * facts["n"]
        return repeats, _KEY_ORDER.index(decision.reason.code)

    return min(ids, key=rank).name


def _repeating(decisions: list[Decision]) -> str | None:
    for decision in decisions:
        facts = decision.reason.facts
        if decision.kind == "id" and 10 <= facts["n_unique"] < 0.9 * facts["n"]:
            return decision.name
    return None


def _event_time(decisions: list[Decision], frame: pl.DataFrame) -> str | None:
    moments = [
        d.name
        for d in decisions
        if d.kind == "timestamp"
        and not recognition.is_birth(d.name)
        and frame[d.name].null_count() == 0
        and frame[d.name].n_unique() >= 10
    ]
    for name in moments:
        later = [other for other in moments if other != name]
        zones = {str(frame[moment].dtype) for moment in moments}
        if len(zones) == 1 and all(
            float((frame[name] <= frame[other]).mean() or 0) >= 0.99  # type: ignore[arg-type]
            for other in later
        ):
            return name
    return None
