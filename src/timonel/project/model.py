"""The declared model: one decision, its inputs, its data, its rules and its policy."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from timonel.errors import Phrase
from timonel.project.durations import duration
from timonel.project.outcome import Outcome
from timonel.project.recipes import Recipe, recipe_of
from timonel.project.sources import Source, Sql, holds_password
from timonel.schema.errors import InvalidDeclaration
from timonel.schema.schema import Schema
from timonel.stats.profiles.findings import Rule
from timonel.wire.answer import Label
from timonel.wire.lookup import ENTITY, pieces_of

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
DETECTORS = ("adwin", "page_hinkley", "ddm", "eddm", "hddm", "kswin")
ANOMALIES = ("seasonal", "z_score")
_RULES = set(Rule)


class Task(StrEnum):
    """What kind of answer a model gives."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


LOSSES = {
    "class": ("roc_auc", "macro_f1", "log_loss", "brier", "ece"),
    "number": ("rmse", "wape", "mase"),
}
"""Further metrics that may alert, by what is predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How a model's traffic is compared with what it learned from.

    Parameters
    ----------
    window : {"1h", "1d", "7d"} or None
        Length of the windows that are judged. None: the smallest expected to hold 1,000 rows.
    season : bool
        Whether inputs may follow the hour and the weekday. Then drift found in windows shorter
        than a week is a warning until the last whole week shows it too.
    floor : float
        The least drift that counts, as the greatest difference between two distributions.
    floors : dict of str to float
        Other floors, by column.
    accuracy_loss : float
        Accuracy that is lost, against the version's own holdout, before it is an alert.
    error_rise : float
        Regression: the mean error's relative rise before it is an alert.
    losses : dict of str to float
        Further metrics that alert, and what each may lose against the holdout: ``roc_auc`` and
        ``macro_f1`` so many points, ``log_loss``, ``brier``, ``ece``, ``rmse``, ``wape`` and
        ``mase`` such a relative rise. None of them starts a retraining.
    min_labels : int
        The least number of outcomes that performance is judged on.
    fallback_rate : float
        The share of answers by rules or baseline that is still usual.
    refused_rate : float
        The share of rows that break the schema that is still usual.
    outliers : float or None
        The share of rows that may stand out before it is an alert, where about 1 % of ordinary
        ones do (``timonel.stats.multivariate.row_outliers``). None: rows are not looked at one by
        one. Versions trained from then on have what tells them.
    rule : {"default", "ks", "psi", "mean_shift", "confidence"}
        By what columns are judged; what each is blind to stands in
        ``timonel.stats.profiles.rules``.
    rules : dict of str to str
        Other rules, by column ("@score" and "@prediction" are the answer's).
    detector : {"adwin", "page_hinkley", "ddm", "eddm", "hddm", "kswin"}
        What watches the stream of errors for a change (``timonel.stats.detectors``). The others
        raise more false alarms on a stream where nothing changes.
    anomalies : {"seasonal", "z_score"}
        By what minutes are judged: against the same hours of past days, persistently, or one
        minute against mean and deviation of the day before (``timonel.stats.series.seasonal``).
    latency_ms : float
        The mean latency of a minute that is too long whatever is usual.
    """

    window: str | None = None
    season: bool = True
    floor: float = 0.03
    floors: dict[str, float] = field(default_factory=dict)
    accuracy_loss: float = 0.05
    error_rise: float = 0.10
    losses: dict[str, float] = field(default_factory=dict)
    min_labels: int = 200
    fallback_rate: float = 0.05
    refused_rate: float = 0.05
    outliers: float | None = None
    rule: str = "default"
    rules: dict[str, str] = field(default_factory=dict)
    detector: str = "adwin"
    anomalies: str = "seasonal"
    latency_ms: float = 5000.0

    def __post_init__(self) -> None:
        shares = ("floor", "accuracy_loss", "fallback_rate", "refused_rate")
        for name, ok, expected in (
            (
                "window",
                self.window in (None, "1h", "1d", "7d"),
                Phrase("'1h', '1d', '7d' or None", "'1h', '1d', '7d' o None"),
            ),
            *(
                (name, 0 <= getattr(self, name) < 1, Phrase("in [0, 1)", "en [0, 1)"))
                for name in shares
            ),
            (
                "outliers",
                self.outliers is None or 0 < self.outliers < 1,
                Phrase("in (0, 1), or None", "en (0, 1), o None"),
            ),
            (
                "floors",
                all(0 <= f < 1 for f in self.floors.values()),
                Phrase("floors in [0, 1)", "pisos en [0, 1)"),
            ),
            (
                "losses",
                set(self.losses) <= {*LOSSES["class"], *LOSSES["number"]}
                and all(loss >= 0 for loss in self.losses.values()),
                Phrase(
                    "losses of at least 0 of {known}",
                    "pérdidas de al menos 0 de {known}",
                    known=", ".join((*LOSSES["class"], *LOSSES["number"])),
                ),
            ),
            ("error_rise", self.error_rise >= 0, Phrase("at least 0", "al menos 0")),
            ("latency_ms", self.latency_ms > 0, Phrase("more than 0", "más de 0")),
            ("min_labels", self.min_labels >= 30, Phrase("at least 30", "al menos 30")),
            (
                "rule",
                self.rule in _RULES,
                Phrase("one of {rules}", "una de {rules}", rules=", ".join(sorted(_RULES))),
            ),
            (
                "rules",
                set(self.rules.values()) <= _RULES,
                Phrase("of {rules}", "de {rules}", rules=", ".join(sorted(_RULES))),
            ),
            (
                "detector",
                self.detector in DETECTORS,
                Phrase("one of {known}", "uno de {known}", known=", ".join(DETECTORS)),
            ),
            (
                "anomalies",
                self.anomalies in ANOMALIES,
                Phrase("one of {known}", "una de {known}", known=", ".join(ANOMALIES)),
            ),
        ):
            if not ok:
                raise InvalidDeclaration(
                    object=f"Watch({name}=)", found=repr(getattr(self, name)), expected=expected
                )

    @property
    def window_h(self) -> int | None:
        """The window's length in hours."""
        return None if self.window is None else int(duration(self.window).total_seconds()) // 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """Rows of several requests, asked together: for models that take long and gain by it.

    Parameters
    ----------
    max_rows : int
        A batch that has so many begins at once.
    wait_ms : float
        How long the first row of a batch waits for others; it counts into the deadline.
    """

    max_rows: int = 32
    wait_ms: float = 5.0

    def __post_init__(self) -> None:
        for name, ok, expected in (
            ("max_rows", 2 <= self.max_rows <= 256, "from 2 to 256"),
            ("wait_ms", 0 < self.wait_ms <= 1000, "more than 0, at most 1000"),
        ):
            if not ok:
                raise InvalidDeclaration(
                    object=f"Batching({name}=)", found=repr(getattr(self, name)), expected=expected
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is asked of a model in service.

    Parameters
    ----------
    min_accuracy : float or None
        A new version under it, on the holdout, is not promoted by itself.
    min_samples : int
        The least number of labelled rows to train on.
    retrain : str or None
        Cron expression in the project's time zone.
    retrain_on_loss : bool
        Retrain when truths confirm that the version in production has lost performance.
    retrain_on_labels : int or None
        Retrain when so many truths came since the last retraining.
    max_age : str or None
        Retrain a version older than this (``"7d"``).
    cooldown : str
        How long after a retraining none starts by itself; by hand and by schedule one may.
    approval : {"manual", "automatic"}
        Who promotes a version that passed its gates. The first version of a model has no
        champion to be compared with: it is promoted when it beats the baseline.
    deadline_ms : float
        A model that has not answered by then is answered by the rules.
    low_confidence : float or None
        Answers whose highest probability is below it go to the rules.
    batching : Batching or None
        For slow models (native ones, services, large ones); None asks each row alone.
    overload : {"refuse", "rules"}
        What becomes of a row that comes while a worker answers 256: a 503 that says when to repeat
        it, or an answer by the rules. Lists of rows are always refused then.
    lookup_ms : float
        A row that the model's ``lookup`` has not found by then is answered by the rules.
    watch : Watch
        How its traffic is watched.
    """

    min_accuracy: float | None = None
    min_samples: int = 200
    retrain: str | None = None
    retrain_on_loss: bool = True
    retrain_on_labels: int | None = None
    max_age: str | None = None
    cooldown: str = "6h"
    approval: str = "manual"
    deadline_ms: float = 1000.0
    low_confidence: float | None = None
    batching: Batching | None = None
    overload: str = "refuse"
    lookup_ms: float = 100.0
    watch: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        for length in (self.max_age, self.cooldown):
            if length is not None:
                duration(length)
        labels = self.retrain_on_labels
        for name, ok, expected in (
            (
                "retrain_on_labels",
                labels is None or labels >= 1,
                Phrase("at least 1, or None", "al menos 1, o None"),
            ),
            (
                "approval",
                self.approval in ("manual", "automatic"),
                Phrase("'manual' or 'automatic'", "'manual' o 'automatic'"),
            ),
            ("deadline_ms", self.deadline_ms > 0, Phrase("more than 0", "más de 0")),
            (
                "batching",
                self.batching is None or self.batching.wait_ms < self.deadline_ms,
                Phrase("a wait_ms below deadline_ms", "un wait_ms menor que deadline_ms"),
            ),
            ("lookup_ms", self.lookup_ms > 0, Phrase("more than 0", "más de 0")),
            ("min_samples", self.min_samples >= 1, Phrase("at least 1", "al menos 1")),
            (
                "min_accuracy",
                self.min_accuracy is None or 0 <= self.min_accuracy <= 1,
                Phrase("in [0, 1]", "en [0, 1]"),
            ),
            (
                "overload",
                self.overload in ("refuse", "rules"),
                Phrase("'refuse' or 'rules'", "'refuse' o 'rules'"),
            ),
            (
                "low_confidence",
                self.low_confidence is None or 0 <= self.low_confidence <= 1,
                Phrase("in [0, 1]", "en [0, 1]"),
            ),
        ):
            if not ok:
                raise InvalidDeclaration(
                    object=f"Policy({name}=)", found=repr(getattr(self, name)), expected=expected
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One declared decision.

    Parameters
    ----------
    name : str
        Lower case, digits, ``-`` and ``_``; it stands in routes and commands.
    task : {"binary", "multiclass", "regression"}
    target : str
        The column of the data that holds the truth.
    schema : Schema
        The inputs, in order.
    source : Source or callable
        Where training data come from; a callable gives a DataFrame or a list of dicts.
    recipe : Recipe or callable
        How to train: one of ``timonel.recipes``, or ``(X, y, seed) -> estimator``.
    fallback : str or None
        ``"rules:function"``: a function in the project's ``rules.py``, ``(row) -> Answer``.
        None: the base rate (classification) or the median (regression) answers.
    positive : label or None
        Binary only: the class that ``score`` is the probability of; None: the greater one.
    target_range : (float or None, float or None), or None
        Regression only: the least and the greatest value that the target can have, both possible;
        None: no bound on that side. Training leaves rows outside it out; in service an answer
        outside it is a failure (``invalid_output``), and the rules or the median answer.
    time : str or None
        A column of the data by which the holdout is the newest part.
    group : str or None
        A column whose rows never lie on both sides of a split.
    lookup : Sql or None
        Finds the row of an entity at request time, for ``POST /v1/models/{name}/predict/{id}``:
        ``Sql("select * from clientes where rut = :id", url="env:CRM_URL", max_age="1d")``.
    outcome_depends_on_action : bool
        Whether acting on the answer changes the truth (a churn call does, a forecast does not).
    """

    name: str
    task: str
    target: str
    schema: Schema
    source: Source | Callable[[], Any]
    recipe: Recipe | Callable[..., Any] = field(default_factory=lambda: recipe_of(None))
    fallback: str | None = None
    positive: Label | None = None
    target_range: tuple[float | None, float | None] | None = None
    outcome: Outcome = field(default_factory=Outcome)
    outcome_depends_on_action: bool = True
    policy: Policy = field(default_factory=Policy)
    time: str | None = None
    group: str | None = None
    lookup: Sql | None = None
    seed: int = 42
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        self._check(
            "name",
            _NAME.fullmatch(self.name),
            Phrase(
                "a-z, 0-9, - and _, beginning with a letter",
                "a-z, 0-9, - y _, y que empiece con una letra",
            ),
        )
        self._check(
            "task",
            self.task in set(Task),
            Phrase("one of {tasks}", "uno de {tasks}", tasks=", ".join(Task)),
        )
        self._check(
            "target",
            self.target not in self.schema.names,
            Phrase("a column that is no input", "una columna que no sea entrada"),
        )
        self._check(
            "outcome",
            self.outcome.key not in self.schema.names,
            Phrase(
                "a key that is no input (an id must not be learned from)",
                "una llave que no sea entrada (de un identificador no se debe aprender)",
            ),
        )
        self._check(
            "fallback",
            self.fallback is None or self.fallback.count(":") == 1,
            Phrase("'rules:function' or None", "'rules:function' o None"),
        )
        self._check_range()
        self._check_queries()
        known = LOSSES["number" if self.task == Task.REGRESSION else "class"]
        self._check(
            "policy",
            set(self.policy.watch.losses) <= set(known),
            Phrase(
                "Watch(losses=) of {known} for this task",
                "Watch(losses=) de {known} para esta tarea",
                known=", ".join(known),
            ),
        )
        object.__setattr__(self, "recipe", recipe_of(self.recipe))

    def _check_range(self) -> None:
        if self.target_range is None:
            return
        self._check(
            "target_range",
            self.task == Task.REGRESSION,
            Phrase("None: only a regression has one", "None: solo una regresión lo tiene"),
        )
        self._check(
            "target_range",
            _is_range(self.target_range),
            Phrase(
                "(least, greatest): finite numbers in order, or None on one side",
                "(mínimo, máximo): números finitos en orden, o None en un lado",
            ),
        )
        low, high = self.target_range
        bounds = tuple(None if bound is None else float(bound) for bound in (low, high))
        object.__setattr__(self, "target_range", bounds)

    def _check_queries(self) -> None:
        source, lookup = self.source, self.lookup
        if isinstance(source, Sql):
            self._check(
                "source",
                source.url,
                Phrase("a url (an address, or env:NAME)", "una url (una dirección, o env:NOMBRE)"),
            )
            self._check(
                "source",
                source.max_age is None,
                Phrase(
                    "no max_age: it belongs to a lookup", "sin max_age: es de una búsqueda (lookup)"
                ),
            )
        if lookup is None:
            return
        if not lookup.url and isinstance(source, Sql):
            lookup = replace(lookup, url=source.url)
            object.__setattr__(self, "lookup", lookup)
        self._check(
            "lookup",
            lookup.url,
            Phrase("a url (an address, or env:NAME)", "una url (una dirección, o env:NOMBRE)"),
        )
        self._check(
            "lookup",
            not holds_password(lookup.url),
            Phrase(
                "env:NAME: no password in a project",
                "env:NOMBRE: ninguna contraseña en un proyecto",
            ),
        )
        names = set(pieces_of(lookup.query)[1])
        self._check(
            "lookup",
            names == {ENTITY},
            Phrase(
                "a query with :id, and no other parameter",
                "una consulta con :id y sin otro parámetro",
            ),
        )
        if lookup.max_age is not None:
            duration(lookup.max_age)

    def _check(self, name: str, ok: object, expected: str) -> None:
        if not ok:
            raise InvalidDeclaration(
                object=f"Model({name}=)", found=repr(getattr(self, name)), expected=expected
            )


def _is_range(given: object) -> bool:
    if not isinstance(given, tuple | list) or len(given) != 2:
        return False
    bounds = [bound for bound in given if bound is not None]
    if not all(isinstance(bound, int | float) and math.isfinite(bound) for bound in bounds):
        return False
    return bool(bounds) and (len(bounds) == 1 or bounds[0] < bounds[1])
