"""A client's own copy of the rules: a function, a file, or what the server's declaration holds."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from timonel.client.errors import RulesUnusable
from timonel.errors import Phrase
from timonel.wire.answer import Answer

Rule = Callable[[dict[str, Any]], Any]
Given = Rule | str | Path | Mapping[str, Rule | str | Path] | None
SERVER = "server"
_AN_ANSWER = Phrase("an Answer, or a class or a number", "un Answer, o una clase o un número")


class LocalRules:
    """Answers rows by rules, in this process.

    Parameters
    ----------
    given : callable, str, Path, mapping or None
        For every model, or by model: a function ``(row) -> Answer``, or ``FILE.py:function``.
        ``"server"``: what the server says, by ``learn``.

    Raises
    ------
    RulesUnusable
        If a file does not run or has no such function.
    """

    def __init__(self, given: Given) -> None:
        self.by_server = given == SERVER
        by_model = given if isinstance(given, Mapping) else {"": given}
        self._rules = {
            model: _loaded(one)
            for model, one in by_model.items()
            if one is not None and not self.by_server
        }

    def __bool__(self) -> bool:
        return self.by_server or bool(self._rules)

    def knows(self, model: str) -> bool:
        """Whether there are rules for a model."""
        return model in self._rules or "" in self._rules

    def learn(self, model: str, function: str, source: str) -> None:
        """Take the rules of one model from the text of their module; raises ``RulesUnusable``."""
        self._rules[model] = _compiled(source, function, f"{model} (server)")

    def answer(self, model: str, row: Mapping[str, Any]) -> Answer | None:
        """Answer a row; None where there are no rules or they decline it.

        Raises
        ------
        RulesUnusable
            If they raise, or give what is no answer.
        """
        rule = self._rules.get(model) or self._rules.get("")
        if rule is None:
            return None
        name = getattr(rule, "__name__", str(rule))
        try:
            given = rule(dict(row))
        except Exception as error:
            found = f"{type(error).__name__}: {error}"[:300]
            raise RulesUnusable(rules=name, found=found, expected=_AN_ANSWER) from error
        if given is None:
            return None
        answer = given if isinstance(given, Answer) else Answer(given)
        if not _is_answer(answer):
            raise RulesUnusable(rules=name, found=repr(given)[:200], expected=_AN_ANSWER)
        return answer


def _loaded(given: Rule | str | Path) -> Rule:
    if callable(given):
        return given
    file, _, function = str(given).rpartition(":")
    if not file or not function:
        raise RulesUnusable(rules=str(given), found=str(given), expected="FILE.py:function")
    try:
        source = Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        expected = Phrase("a Python file", "un archivo Python")
        raise RulesUnusable(rules=str(given), found=str(error), expected=expected) from error
    return _compiled(source, function, file)


def _compiled(source: str, function: str, file: str) -> Rule:
    module = ModuleType("timonel_client_rules")
    name = f"{file}:{function}"
    try:
        exec(compile(source, file, "exec"), module.__dict__)  # noqa: S102 - is the point
    except Exception as error:
        found = f"{type(error).__name__}: {error}"[:300]
        expected = Phrase("a module that runs", "un módulo que corra")
        raise RulesUnusable(rules=name, found=found, expected=expected) from error
    rule = getattr(module, function, None)
    if not callable(rule):
        expected = Phrase("a function {name}", "una función {name}", name=function)
        nothing = Phrase("nothing of this name", "nada con ese nombre")
        raise RulesUnusable(rules=name, found=nothing, expected=expected)
    found_rule: Rule = rule
    return found_rule


def _is_answer(answer: Answer) -> bool:
    prediction, score, probabilities = answer[:3]
    if not isinstance(prediction, str | int | float):
        return False
    numbers = [
        number
        for number in (prediction, score, *(probabilities or {}).values())
        if not isinstance(number, str) and number is not None
    ]
    return all(math.isfinite(number) for number in numbers)
