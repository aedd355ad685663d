"""Rules that never end are interrupted wherever they run, and rest after doing it repeatedly."""

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from timonel.serving import rule_limit, rules
from timonel.serving.errors import RulesFailed
from timonel.serving.rules import OutputCheck, Rules
from timonel.serving.versions.breaker import CONSECUTIVE
from timonel.wire.rules import RulesSource

SHORT_S = 0.02
SOURCE = """
import time
from timonel import Answer

def rule(row):
    if row["n"] == 0:
        while True:
            try:
                row["n"] = 0
            except Exception:
                pass
    if row["n"] == 1:
        time.sleep(1e6)
    return Answer("yes")
"""


@pytest.fixture(autouse=True)
def _limited(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = signal.getsignal(signal.SIGALRM)
    monkeypatch.setattr(rule_limit, "_installed", False)
    monkeypatch.setattr(rules, "LIMIT_S", SHORT_S)
    rule_limit.install()
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def asked() -> Rules:
    source = RulesSource(module="rules", function="rule", source=SOURCE)
    return Rules(source, model="m", outputs=OutputCheck("binary", ["no", "yes"]))


@pytest.mark.parametrize("n", [0, 1])
def test_a_rule_that_never_ends_fails_and_the_next_row_is_answered(asked: Rules, n: int) -> None:
    began = time.monotonic()
    with pytest.raises(RulesFailed, match="no end within") as caught:
        asked.answer({"n": n})
    assert "que no terminan" in caught.value.message("es")
    assert time.monotonic() - began < 20.0
    assert answered(asked)


def test_rules_that_repeatedly_never_end_rest(
    asked: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(CONSECUTIVE):
        with pytest.raises(RulesFailed, match="no end within"):
            asked.answer({"n": 0})
    with pytest.raises(RulesFailed, match="they rest"):
        asked.answer({"n": 5})
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + 6.0)
    assert answered(asked)
    assert answered(asked)


def test_an_alarm_that_comes_late_meets_nobody(asked: Rules) -> None:
    assert answered(asked)
    signal.raise_signal(signal.SIGALRM)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_rule_in_another_thread_is_interrupted_by_the_ticks(asked: Rules) -> None:
    outcome = in_thread(lambda: asked.answer({"n": 0}))
    assert isinstance(outcome, RulesFailed)
    assert in_thread(lambda: answered(asked)) is True


def test_threads_that_come_and_go_are_never_interrupted_outside(asked: Rules) -> None:
    def many() -> int:
        return sum(answered(asked) for _ in range(2000))

    assert in_thread(many) == 2000


def test_what_is_slow_inside_a_library_is_interrupted() -> None:
    with pytest.raises(rule_limit.Overdue):
        rule_limit.within(SHORT_S, lambda text: re.match(r"(a+)+$", text), "a" * 60 + "b")


def answered(asked: Rules) -> bool:
    answer = asked.answer({"n": 5})
    return answer is not None and answer.prediction == "yes"


def in_thread(work: Callable[[], Any]) -> Any:
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(work())
        except RulesFailed as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until = time.monotonic() + 10.0
    while thread.is_alive() and time.monotonic() < until:
        rule_limit.interrupt_overdue()
        thread.join(0.001)
    return result[0]
