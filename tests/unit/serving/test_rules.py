import math
from typing import Any

import numpy as np
import pytest

from timonel.serving.errors import RulesFailed
from timonel.serving.rules import OutputCheck, Rules
from timonel.testing.serving import make_rules
from timonel.wire.answer import Answer

BINARY = OutputCheck("binary", [0, 1])
WORDS = OutputCheck("multiclass", ["a", "b"])
NUMBER = OutputCheck("regression", None)
AGE = OutputCheck("regression", None, (0.0, 120.0))
NO_DEBT = OutputCheck("regression", None, (0.0, None))
UNTRAINED = OutputCheck("multiclass", None)


def rules(body: str, outputs: OutputCheck = BINARY) -> Rules:
    source = f"from timonel import Answer\ndef rule(row):\n    return {body}\n"
    return Rules(make_rules(source, "rule"), model="m", outputs=outputs)


@pytest.mark.parametrize(
    ("body", "outputs", "expected"),
    [
        ("Answer(1, 0.9)", BINARY, Answer(1, 0.9)),
        ("1", BINARY, Answer(1)),
        ("True", BINARY, Answer(1)),
        ("1.0", BINARY, Answer(1)),
        ("None", BINARY, None),
        ("'b'", WORDS, Answer("b")),
        ("row['x'] * 2", NUMBER, Answer(6)),
        ("0", AGE, Answer(0)),
        ("120.0", AGE, Answer(120.0)),
        ("10 ** 12", NO_DEBT, Answer(10**12)),
        ("Answer('new', explanation=3)", UNTRAINED, Answer("new", explanation="3")),
        ("Answer(0, probabilities={0: 1, 1: 0})", BINARY, Answer(0, None, {"0": 1.0, "1": 0.0})),
        ("Answer(1, 1.0000001)", BINARY, Answer(1, 1.0)),
        ("Answer(0, explanation='a\\0b\\ud800')", BINARY, Answer(0, explanation="ab?")),
    ],
)
def test_what_is_an_answer_is_taken(body: str, outputs: OutputCheck, expected: Any) -> None:
    found = rules(body, outputs).answer({"x": 3})
    assert found == expected
    if expected is not None:
        assert found is not None
        assert type(found.prediction) is type(expected.prediction)


@pytest.mark.parametrize(
    ("body", "outputs", "found"),
    [
        ("2", BINARY, "the prediction 2"),
        ("'1'", BINARY, "the prediction '1'"),
        ("[]", BINARY, "the prediction []"),
        ("{'prediction': 1}", BINARY, "the prediction {"),
        ("float('nan')", NUMBER, "nan"),
        ("float('inf')", NUMBER, "inf"),
        ("float('inf')", NO_DEBT, "inf"),
        ("-0.001", NO_DEBT, "outside the declared range"),
        ("120.001", AGE, "outside the declared range"),
        ("True", NUMBER, "True"),
        ("'3'", NUMBER, "'3'"),
        ("10 ** 30", NUMBER, "1000"),
        ("'x' * 300", UNTRAINED, "xxx"),
        ("Answer(1, 1.5)", BINARY, "the score 1.5"),
        ("Answer(1, True)", BINARY, "the score True"),
        ("Answer(1, 'high')", BINARY, "the score 'high'"),
        ("Answer(1, 0.5, [0.5, 0.5])", BINARY, "the probabilities"),
        ("Answer(1, 0.5, {0: 0.5, 1: 0.6})", BINARY, "sum to 1.1"),
        ("Answer(1, 0.5, {0: 0.5, 2: 0.5})", BINARY, "the probabilities"),
        ("row['no']", BINARY, "KeyError: 'no' (line 3)"),
        ("1 / 0", BINARY, "ZeroDivisionError"),
        ("exit(3)", BINARY, "SystemExit"),
        ("rule(row)", BINARY, "RecursionError"),
    ],
)
def test_what_is_none_is_a_failure_that_says_what(
    body: str, outputs: OutputCheck, found: str
) -> None:
    with pytest.raises(RulesFailed) as caught:
        rules(body, outputs).answer({"x": 3})
    assert found in caught.value.context["found"]
    assert caught.value.message("es")


@pytest.mark.parametrize("value", [np.float64(0.5), np.int64(1), np.bool_(True), math.pi])
def test_numpy_scalars_become_plain_values(value: Any) -> None:
    if isinstance(value, np.bool_):
        found = BINARY.checked(Answer(value))  # type: ignore[arg-type]
        assert found == Answer(1)
        return
    found = NUMBER.checked(Answer(value))
    assert isinstance(found, Answer)
    assert type(found.prediction) in (int, float)


def test_a_module_that_does_not_run_is_a_failure_with_its_line() -> None:
    with pytest.raises(RulesFailed) as caught:
        Rules(make_rules("x = 1\nimport no_such_module\n"), model="m", outputs=BINARY)
    assert "ModuleNotFoundError" in caught.value.context["found"]
    with pytest.raises(RulesFailed, match="SyntaxError"):
        Rules(make_rules("def rule(:"), model="m", outputs=BINARY)


def test_a_missing_function_names_the_closest() -> None:
    with pytest.raises(RulesFailed, match="stay"):
        Rules(make_rules(function="stey"), model="m", outputs=BINARY)


def test_one_source_is_run_once_and_dataclasses_work_in_it() -> None:
    source = (
        "from dataclasses import dataclass\n"
        "calls = []\n"
        "calls.append(1)\n"
        "@dataclass\n"
        "class Limit:\n"
        "    value: 'int' = 3\n"
        "def rule(row):\n"
        "    calls.append(1)\n"
        "    return len(calls) + Limit().value\n"
    )
    first = Rules(make_rules(source, "rule"), model="m", outputs=NUMBER)
    second = Rules(make_rules(source, "rule"), model="m", outputs=NUMBER)
    assert first.answer({}) == Answer(5)
    assert second.answer({}) == Answer(6)


def test_a_record_outside_the_declared_range_is_named_by_its_field() -> None:
    fault = AGE.fault(Answer(130.0))
    assert fault is not None
    assert (fault[0], str(fault[2])) == ("prediction", "0 to 120")
    assert NO_DEBT.fault(Answer(130.0)) is None
