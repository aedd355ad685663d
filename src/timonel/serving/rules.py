"""A project's rules in service: their source is compiled once, their answers are checked.

The source comes from the manifest, so a rollback brings back the rules that belonged to the
version, and the worker never imports the project.
"""

import linecache
import math
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from types import ModuleType
from typing import Any

from timonel.errors import Phrase, closest
from timonel.registry.manifest import ServingManifest
from timonel.serving.errors import RulesFailed
from timonel.serving.rule_limit import LIMIT_S, Overdue, within
from timonel.serving.versions.breaker import Breaker
from timonel.wire.answer import Answer, Label
from timonel.wire.rules import RulesSource

_SLACK = 1e-6
_LONGEST_EXPLANATION = 2000
_LONGEST_LABEL = 256
_PLAIN = frozenset((str, int, float, bool))
_modules: dict[str, ModuleType] = {}
_OVERDUE = Phrase("no end within {s:g} s", "que no terminan en {s:g} s", s=LIMIT_S)
_RESTING = Phrase(
    "rules that repeatedly did not end (they rest for some seconds)",
    "que no terminaron varias veces (descansan unos segundos)",
)
_A_MODULE = Phrase("a module that can be imported", "un módulo que se pueda importar")
_OUTSIDE = Phrase(
    "a prediction outside the declared range", "una predicción fuera del rango declarado"
)
_AN_ANSWER = Phrase("an answer", "una respuesta")
_IN_TIME = Phrase("an answer within a millisecond", "una respuesta en un milisegundo")


class Rules:
    """Calls one rules function and takes nothing from it that is no answer of the model.

    Parameters
    ----------
    source : RulesSource
    model : str
        Named in errors.
    outputs : OutputCheck
        What an answer of this model must look like.

    Raises
    ------
    RulesFailed
        If the source does not run, or has no such function.
    """

    __slots__ = ("_breaker", "_call", "_function", "_model", "_outputs")

    def __init__(self, source: RulesSource, *, model: str, outputs: "OutputCheck") -> None:
        self._model = model
        self._function = source.function
        self._outputs = outputs
        self._breaker = Breaker()
        self._call = self._load(source)

    def answer(self, row: dict[str, Any]) -> Answer | None:
        """Answer a row; None: the rules decline it.

        Raises
        ------
        RulesFailed
            If they raise, give what is no answer, or do not end in time; after several that did
            not end they are not asked for a while.
        """
        breaker = self._breaker
        if not breaker.closed and not breaker.allows(time.monotonic()):
            raise self._failed(_RESTING, _IN_TIME)
        try:
            given = within(LIMIT_S, self._call, row)
        except Overdue:
            breaker.failed(time.monotonic())
            raise self._failed(_OVERDUE, _IN_TIME) from None
        except (Exception, SystemExit) as error:
            raise self._failed(_said(error), _AN_ANSWER) from error
        breaker.succeeded()
        if given is None:
            return None
        checked = self._outputs.checked(given if isinstance(given, Answer) else Answer(given))
        if isinstance(checked, Answer):
            return checked
        raise self._failed(*checked)

    def _load(self, source: RulesSource) -> Callable[[dict[str, Any]], Any]:
        try:
            module = _module(source)
        except (Exception, SystemExit) as error:
            raise self._failed(_said(error), _A_MODULE) from error
        function: object = getattr(module, source.function, None)
        if not callable(function):
            known = [name for name, value in vars(module).items() if callable(value)]
            expected = f"a function {source.function} beside {closest(source.function, known)}"
            raise self._failed("no function of this name", expected)
        return function

    def _failed(self, found: str, expected: str) -> RulesFailed:
        return RulesFailed(
            function=self._function, model=self._model, found=found, expected=expected
        )


class OutputCheck:
    """What an answer of a model must look like, whoever gives it.

    Parameters
    ----------
    task : str
    classes : sequence of label, or None
        None: any label (nothing has been trained yet), or a regression.
    bounds : (float or None, float or None), or None
        Of a regression: the least and the greatest answer, both allowed.
    """

    __slots__ = ("_classes", "_high", "_keys", "_low", "_regression", "bounded")

    def __init__(
        self,
        task: str,
        classes: Sequence[Label] | None,
        bounds: tuple[float | None, float | None] | None = None,
    ) -> None:
        low, high = bounds or (None, None)
        self.bounded = bounds is not None
        self._low = -math.inf if low is None else low
        self._high = math.inf if high is None else high
        self._regression = task == "regression"
        self._classes = {label: label for label in classes} if classes else None
        self._keys = frozenset(map(str, classes)) if classes else None

    @classmethod
    def of(cls, manifest: ServingManifest) -> "OutputCheck":
        """Make it for a manifest's task, classes and range."""
        return cls(manifest.task, manifest.classes, manifest.target_range)

    def outside(self, prediction: Any) -> tuple[str, str] | None:
        """Give (found, expected) of a number outside the declared range; None where it is in it.

        The number itself is not named: what is logged would differ with every row.
        """
        if not self.bounded or self._low <= prediction <= self._high:
            return None
        return _OUTSIDE, self._range()

    def _range(self) -> Phrase:
        low, high = self._low, self._high
        if high == math.inf:
            return Phrase("at least {low:g}", "al menos {low:g}", low=low)
        if low == -math.inf:
            return Phrase("at most {high:g}", "a lo más {high:g}", high=high)
        return Phrase("{low:g} to {high:g}", "de {low:g} a {high:g}", low=low, high=high)

    def checked(self, answer: Answer) -> Answer | tuple[str, str]:
        """Give the answer tidied, or (found, expected) of what is wrong with it.

        Tidied: plain Python values, the class as it was declared (``True`` or ``1.0`` become the
        class 1), probabilities by the text of their class.
        """
        prediction = _plain(answer.prediction)
        fault = self._prediction_fault(prediction)
        if fault is not None:
            return fault
        score = _plain(answer.score)
        if score is not None and not _share(score):
            return f"the score {_shown(score)}", "a number in [0, 1]"
        fault = self._probabilities_fault(answer.probabilities)
        if fault is not None:
            return fault
        if self._classes is not None:
            prediction = self._classes[prediction]
        given = answer.probabilities
        return Answer(
            prediction,
            None if score is None else min(1.0, max(0.0, float(score))),
            None if given is None else {str(k): float(v) for k, v in given.items()},
            _explained(answer.explanation),
        )

    def only_outside(self, answer: Answer) -> bool:
        """Say whether all that is wrong with an answer is that its number is out of range."""
        found = self.checked(answer)
        return not isinstance(found, Answer) and found[0] is _OUTSIDE

    def fault(self, answer: Answer) -> tuple[str, str, str] | None:
        """Name what is wrong with an answer: (field, found, expected); None where nothing is."""
        for field, part in (
            ("prediction", Answer(answer.prediction)),
            ("score", Answer(answer.prediction, answer.score)),
            ("probabilities", answer),
        ):
            tidy = self.checked(part)
            if not isinstance(tidy, Answer):
                return field, *tidy
        return None

    def _prediction_fault(self, prediction: Any) -> tuple[str, str] | None:
        found = f"the prediction {_shown(prediction)}"
        if self._regression:
            good = not isinstance(prediction, bool) and _finite(prediction)
            return self.outside(prediction) if good else (found, "a finite number")
        if self._classes is not None:
            good = isinstance(prediction, str | int | float) and prediction in self._classes
            return None if good else (found, f"one of {', '.join(map(str, self._classes))}")
        if isinstance(prediction, str):
            good = len(prediction) <= _LONGEST_LABEL and prediction.isprintable()
        else:
            good = _finite(prediction)
        return None if good else (found, "a class: a short text or a finite number")

    def _probabilities_fault(self, given: Any) -> tuple[str, str] | None:
        if given is None:
            return None
        if not isinstance(given, dict) or not all(_share(_plain(p)) for p in given.values()):
            return f"the probabilities {_shown(given)}", "one number in [0, 1] a class"
        if self._keys is not None and not self._keys.issuperset(map(str, given)):
            return f"the probabilities {_shown(given)}", f"the classes {sorted(self._keys)}"
        total = math.fsum(given.values())
        if abs(total - 1.0) > 1e-3:
            return f"probabilities that sum to {total:g}", "1"
        return None


def _plain(value: Any) -> Any:
    """Give the Python value of a numpy scalar."""
    if value is None or value.__class__ in _PLAIN:
        return value
    item = getattr(value, "item", None)
    try:
        return item() if callable(item) else value
    except Exception:  # noqa: BLE001 - an object of the user's; its check says what it is
        return value


def _finite(value: Any) -> bool:
    if isinstance(value, int):
        return value.bit_length() < 64  # the frame holds no more
    return isinstance(value, float) and math.isfinite(value)


def _share(value: Any) -> bool:
    return not isinstance(value, bool) and _finite(value) and -_SLACK <= value <= 1.0 + _SLACK


def _explained(explanation: Any) -> str | None:
    if explanation is None:
        return None
    text = str(explanation)[:_LONGEST_EXPLANATION]
    # no database column takes NUL, no JSON takes half a surrogate pair
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - an object of the user's, shown only in a message
        text = f"a {type(value).__name__}"
    return text[:100]


def _said(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = f" (line {traceback.tb_lineno})" if traceback is not None else ""
    return f"{type(error).__name__}: {error}"[:300] + where


def _module(source: RulesSource) -> ModuleType:
    digest = sha256(source.source.encode()).hexdigest()[:16]
    name = f"timonel_rules_{digest}"
    loaded = _modules.get(name)
    if loaded is not None:
        return loaded
    filename = f"<{source.module} {digest}>"
    module = ModuleType(name, source.module)
    # dataclasses look their module up there; tracebacks look their lines up in linecache
    sys.modules[name] = module
    lines = source.source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source.source), None, lines, filename)
    try:
        exec(compile(source.source, filename, "exec"), module.__dict__)  # noqa: S102 - is the point
    except BaseException:
        del sys.modules[name]
        raise
    _modules[name] = module
    return module
