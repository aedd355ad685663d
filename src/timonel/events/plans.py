"""What a truth may be for each model, read from what the models were published as."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec
from sqlalchemy import Connection, select

from timonel.registry.manifest import OutcomePlan
from timonel.stats.calibration.scored import (
    Said,
    said_of_answer,
    said_of_several,
    said_of_two,
)
from timonel.store.tables import aliases, declarations, model_versions
from timonel.wire.answer import Label, is_outside

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BOOLEANS = {"true": "1", "false": "0"}
BINARY, REGRESSION = "binary", "regression"
MAX_PAIR_CLASSES = 20
"""With more classes the pairs of truth and answer are not counted: they would be too many rows."""


class _Published(msgspec.Struct):
    """The part of a serving manifest that outcomes need."""

    task: str
    classes: list[Label] | None = None
    positive: Label | None = None
    outcome: OutcomePlan = OutcomePlan()


_decoder = msgspec.json.Decoder(_Published)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a truth cannot be used: a stable code, what was found and what was expected."""

    code: str  # no_value, not_a_class, not_a_number, no_key, other_model
    found: str
    expected: str = ""

    def encode(self) -> str:
        """Give the JSON text that the outcome's row keeps."""
        return json.dumps([self.code, self.found, self.expected], ensure_ascii=True)

    @classmethod
    def decode(cls, text: str) -> "Problem":
        """Read it back."""
        return cls(*json.loads(text))


def token(label: Label) -> str:
    """Give what two spellings of one label share: ``1``, ``"1"``, ``1.0`` and ``true`` are one.

    Examples
    --------
    >>> token(True) == token("1") == token(1.0)
    True
    """
    if isinstance(label, str):
        text = label.strip()
        if _NUMBER.fullmatch(text):
            return token(float(text))
        folded = text.casefold()
        return _BOOLEANS.get(folded, folded)
    if isinstance(label, float) and not label.is_integer():
        return repr(label)
    return str(int(label))


@dataclass(frozen=True, slots=True)
class Plan:
    """How one model's truths are read and compared.

    Parameters
    ----------
    task : str
        "" for a model that was never declared: its truths join and are not scored.
    classes : tuple of labels
        Empty where they are not known: then any label is one.
    outcome : OutcomePlan
    positive : label or None
        Of two classes the one that a score is the probability of; None where it is not known.
    """

    task: str = ""
    classes: tuple[Label, ...] = ()
    outcome: OutcomePlan = field(default_factory=OutcomePlan)
    positive: Label | None = None
    _by_token: dict[str, Label] = field(init=False, repr=False, compare=False)
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _positive: tuple[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_token: dict[str, Label] = {}
        ambiguous = set()
        for label in self.classes:
            spelled = token(label)
            if spelled in by_token and by_token[spelled] != label:
                ambiguous.add(spelled)
            by_token[spelled] = label
        names = tuple(str(label) for label in self.classes)
        object.__setattr__(self, "_names", names if len(names) <= MAX_PAIR_CLASSES else ())
        positive = self.classes[-1] if self.positive is None and self.classes else self.positive
        object.__setattr__(self, "_positive", (str(positive),))
        # two classes that differ only in spelling are told apart by their exact text alone
        object.__setattr__(
            self, "_by_token", {k: v for k, v in by_token.items() if k not in ambiguous}
        )

    @property
    def horizon_us(self) -> int:
        """How long after a prediction its truth may come."""
        return self.outcome.horizon_s * 1_000_000

    def read(self, value: Label | None) -> Label | Problem:
        """Give a truth in the form it is compared in, or say why it cannot be used."""
        if value is None or value == "":
            return Problem("no_value", "null" if value is None else "''")
        if self.task == REGRESSION:
            return _read_number(value)
        if not self.classes:
            return value if _finite(value) else Problem("not_a_class", str(value))
        for label in self.classes:
            if label == value and type(label) is type(value):
                return label
        by_text = [label for label in self.classes if str(label) == str(value)]
        if by_text:
            return by_text[0]
        found = self._by_token.get(token(value)) if _finite(value) else None
        if found is None:
            shown = ", ".join(str(label) for label in self.classes[:20])
            return Problem("not_a_class", repr(value)[:100], shown)
        return found

    def same(self, one: Label, other: Label) -> bool:
        """Say whether two truths (or a truth and a prediction) are the same label or number."""
        if one == other or self.task == REGRESSION:
            return one == other
        if self.classes:
            one, other = self._known(one), self._known(other)
            return one == other and str(one) == str(other)
        return _finite(one) and _finite(other) and token(one) == token(other)

    def _known(self, label: Label) -> Label:
        read = self.read(label)
        return label if isinstance(read, Problem) else read

    def score(self, prediction: Label, truth: Label) -> dict[str, float]:
        """Measure a prediction by its truth.

        Returns
        -------
        dict of str to float
            Classification: ``correct`` (0 or 1). Regression: ``error`` (prediction minus truth),
            ``absolute_error``, ``squared_error``. Empty where it cannot be measured.
        """
        if self.task == REGRESSION:
            answered = _read_number(prediction)
            if isinstance(answered, Problem) or not isinstance(truth, float):
                return {}
            error = answered - truth
            squared = error * error
            if not math.isfinite(squared):
                return {}
            return {"error": error, "absolute_error": abs(error), "squared_error": squared}
        return {"correct": float(self.same(prediction, truth))} if self.task else {}

    def said(
        self,
        prediction: Label,
        score: float | None,
        probabilities: Mapping[str, float] | None,
        truth: Label,
    ) -> Said | None:
        """Hold what an answer stated against its truth.

        Returns
        -------
        Said or None
            None where nothing usable was stated: by a regression, by rules without a score, or for
            classes that are not known.
        """
        if not self.classes or self.task == REGRESSION:
            return None
        if self.task == BINARY:
            positive = self._positive
            stated = (probabilities or {}).get(positive[0], score)
            came = str(truth) == positive[0]
            return None if stated is None else said_of_two(positive, stated, came=came)
        if probabilities:
            return said_of_several(self._names, probabilities, str(prediction), str(truth))
        if score is None:
            return None
        return said_of_answer(score, right=self.same(prediction, truth))

    def sums(self, prediction: Label, truth: Label) -> dict[str, float]:
        """Give what the performance cells add up: the score, and what further metrics need.

        Returns
        -------
        dict of str to float
            Beside ``score``: the pair of truth and answer, 1 each (up to ``MAX_PAIR_CLASSES``
            classes); for regression ``truth``, whose spread R2 is held against, and of WAPE
            ``absolute_truth`` and ``error_by_truth`` (absolute error times absolute truth).
        """
        score = self.score(prediction, truth)
        if not score:
            return {}
        if self.task == REGRESSION:
            return score | _sizes(score["absolute_error"], float(truth))
        if not 0 < len(self.classes) <= MAX_PAIR_CLASSES:
            return score
        return score | {pair_metric(self._known(truth), self._known(prediction)): 1.0}


def pair_metric(truth: Label, answer: Label) -> str:
    """Name the cells that count one pair of truth and answer; labels may be long, names are not.

    Examples
    --------
    >>> pair_metric("no", "yes") == pair_metric("no", True)
    False
    >>> len(pair_metric("a" * 500, 1))
    30
    """
    return f"{PAIR}{_digest(truth)}:{_digest(answer)}"


PAIR = "pair:"


def _digest(label: Label) -> str:
    return blake2b(msgspec.json.encode(label), digest_size=6).hexdigest()


class Plans:
    """The plans of a project's models, read again when a publication changed them."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._digests: dict[str, frozenset[str]] = {}
        self._plans: dict[str, Plan] = {}

    def refresh(self, connection: Connection) -> None:
        """Read what is published now; manifests only of models whose digests changed."""
        d, a, v = declarations.c, aliases.c, model_versions.c
        rows = connection.execute(select(d.model, d.digest).where(d.project == self._project))
        digests: dict[str, set[str]] = {model: {digest} for model, digest in rows}
        named = select(v.model, v.digest).where(
            v.project == self._project,
            a.project == v.project,
            a.model == v.model,
            a.version == v.version,
        )
        for model, digest in connection.execute(named):
            digests.setdefault(model, set()).add(digest)
        now = {model: frozenset(found) for model, found in digests.items()}
        for model in [m for m in now if self._digests.get(m) != now[m]]:
            self._plans[model] = self._read(connection, model, now[model])
        self._digests = now

    @property
    def models(self) -> list[str]:
        """The names of the published models."""
        return sorted(self._plans)

    def of(self, model: str) -> Plan:
        """Give a model's plan; one without a task where nothing was ever published."""
        return self._plans.get(model) or Plan()

    def _read(self, connection: Connection, model: str, digests: frozenset[str]) -> Plan:
        d, v = declarations.c, model_versions.c
        declared = connection.execute(
            select(d.manifest).where(d.project == self._project, d.model == model)
        ).scalars()
        versions = connection.execute(
            select(v.manifest).where(
                v.project == self._project, v.model == model, v.digest.in_(digests)
            )
        ).scalars()
        manifests = [_decoder.decode(text) for text in [*declared, *versions]]
        if not manifests:
            return Plan()
        first = manifests[0]
        classes = _classes_of(manifests)
        names = {str(label) for label in classes}
        known = [m.positive for m in manifests if str(m.positive) in names]
        return Plan(first.task, classes, first.outcome, (*known, None)[0])


def read_classes(
    connection: Connection, project: str, model: str, versions: Iterable[str]
) -> tuple[Label, ...]:
    """Give the classes that a model's declaration and some of its versions know.

    What answers elsewhere has none of its own: it is one of the model's, so they all tell.
    """
    d, v = declarations.c, model_versions.c
    asked = sorted(versions)
    declared = select(d.manifest).where(d.project == project, d.model == model)
    known = select(v.manifest).where(v.project == project, v.model == model)
    if not any(is_outside(version) for version in asked):
        known = known.where(v.version.in_(asked))
    texts = [*connection.scalars(declared), *connection.scalars(known)]
    return _classes_of([_decoder.decode(text) for text in texts])


def _classes_of(manifests: Iterable[_Published]) -> tuple[Label, ...]:
    # True, 1 and 1.0 are equal, and different classes
    found = dict.fromkeys(
        (type(label), label) for manifest in manifests for label in manifest.classes or ()
    )
    return tuple(label for _, label in found)


def _sizes(error: float, truth: float) -> dict[str, float]:
    size, together = abs(truth), error * abs(truth)
    if not math.isfinite(together):
        return {"truth": truth}
    return {"truth": truth, "absolute_truth": size, "error_by_truth": together}


def _finite(value: Label) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _read_number(value: Label) -> float | Problem:
    number = math.nan
    try:
        if isinstance(value, str):
            number = float(value) if _NUMBER.fullmatch(value.strip()) else math.nan
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
    except OverflowError:
        number = math.inf
    return number if math.isfinite(number) else Problem("not_a_number", repr(value)[:100])
