from dataclasses import replace
from typing import Any

import pytest

from timonel.registry.manifest import ServingManifest, ServingPolicy
from timonel.runtime.errors import InvalidOutput, RowRefused
from timonel.serving.errors import NotServable
from timonel.serving.routes.fallback import Given, by_model, checked, instead, many_by_model
from timonel.serving.versions.snapshot import ServedVersion, load_version
from timonel.store.lean import ServingRow
from timonel.testing.serving import (
    FailingPredictor,
    declared_manifest,
    linear_manifest,
    value_manifest,
)
from timonel.wire.answer import Answer, Reason

VALUES = (3.0, 2, "Arica", None, None)
NEVER_CALLED = (0.0, 2, "Arica", None, None)
DECLINED = (3.0, 100, "Arica", None, None)
BREAKS_RULES = (3.0, 99, "Arica", None, None)


def served(manifest: ServingManifest | None = None, predictor: Any = None) -> ServedVersion:
    manifest = manifest or linear_manifest()
    row = ServingRow("churn", "champion", "1.0.0", manifest.digest(), manifest.encode().decode())
    version = load_version(row, lambda _: b"", native=False)
    assert version.faults == ()
    return version if predictor is None else replace(version, predictor=predictor)


def told(given: Given) -> tuple[str, str]:
    return given.source, given.reason


def test_a_model_that_answers_is_assigned() -> None:
    given = by_model(served(), VALUES)
    assert told(given) == ("model", "assigned")
    assert given.answer.prediction == 0


@pytest.mark.parametrize(
    ("values", "source"),
    [(VALUES, "rules"), (DECLINED, "baseline"), (BREAKS_RULES, "baseline")],
)
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("x"), "model_error"),
        (InvalidOutput(model="m", found="[nan]", expected="a share"), "invalid_output"),
        (RecursionError(), "model_error"),
        (MemoryError(), "model_error"),
    ],
)
def test_a_model_that_raises_is_answered_for(
    values: Any, source: str, error: Exception, reason: str
) -> None:
    assert told(by_model(served(predictor=FailingPredictor(error)), values)) == (source, reason)


def test_rows_that_a_model_refuses_never_open_its_breaker() -> None:
    error = RowRefused(model="m", found="no value for age", expected="a value")
    version = served(predictor=FailingPredictor(error))
    for _ in range(20):
        assert told(by_model(version, VALUES)) == ("rules", "invalid_output")
    assert version.breaker.closed


def test_a_real_overflow_is_invalid_output() -> None:
    version = served(linear_manifest(visits=1e308, calls=-1e308))
    assert told(by_model(version, (1.0, 1, "Arica", None, None))) == ("model", "assigned")
    assert told(by_model(version, (90.0, 90, "Arica", None, None))) == ("rules", "invalid_output")


def test_a_late_answer_is_a_timeout() -> None:
    manifest = linear_manifest(policy=ServingPolicy(deadline_ms=1.0))
    assert told(by_model(served(manifest, FailingPredictor(takes_s=0.005)), VALUES)) == (
        "rules",
        "timeout",
    )


def test_five_failures_open_the_breaker_and_a_good_probe_closes_it() -> None:
    now = [100.0]
    predictor = FailingPredictor(ValueError("x"))
    version = served(predictor=predictor)

    def reason() -> str:
        return by_model(version, VALUES, lambda: now[0]).reason

    assert [reason() for _ in range(7)] == ["model_error"] * 5 + ["breaker_open"] * 2
    assert predictor.asked == 5
    now[0] += 5.1
    assert [reason(), reason()] == ["model_error", "breaker_open"]
    now[0] += 5.1
    predictor.error = None
    assert [reason(), reason()] == ["assigned", "assigned"]


def test_more_than_half_of_twenty_opens_the_breaker() -> None:
    predictor = FailingPredictor()
    version = served(predictor=predictor)
    reasons = []
    for turn in range(40):
        predictor.error = ValueError("x") if turn % 4 else None
        reasons.append(by_model(version, VALUES, lambda: 100.0).reason)
    assert reasons[:20].count("assigned") == 5
    assert set(reasons[22:]) == {"breaker_open"}


def test_a_third_of_failures_does_not_open_it() -> None:
    predictor = FailingPredictor()
    version = served(predictor=predictor)
    for turn in range(90):
        predictor.error = ValueError("x") if turn % 3 == 0 else None
        assert by_model(version, VALUES, lambda: 100.0).reason != "breaker_open"


@pytest.mark.parametrize(
    ("low", "values", "expected"),
    [
        (0.8, VALUES, ("rules", "low_confidence")),
        (0.7, VALUES, ("model", "assigned")),
        (0.8, DECLINED, ("model", "assigned")),
        (0.8, BREAKS_RULES, ("model", "assigned")),
    ],
)
def test_low_confidence_goes_to_rules_that_answer(
    low: float, values: Any, expected: tuple[str, str]
) -> None:
    manifest = linear_manifest(policy=ServingPolicy(low_confidence=low))
    version = served(manifest, FailingPredictor())  # it answers with .75
    assert told(by_model(version, values)) == expected
    assert [told(one) for one in many_by_model(version, [values, values])] == [expected] * 2


def test_a_model_without_a_version_is_answered_by_its_rules() -> None:
    version = served(declared_manifest())
    assert told(by_model(version, VALUES)) == ("rules", "no_version")
    assert by_model(version, NEVER_CALLED).answer == Answer(1, 0.9, None, "by visits")


@pytest.mark.parametrize("values", [DECLINED, BREAKS_RULES])
def test_nothing_to_fall_back_on_says_what_to_do(values: Any) -> None:
    with pytest.raises(NotServable) as caught:
        by_model(served(declared_manifest()), values)
    assert "timonel train churn" in caught.value.remedy("es")
    assert "no tiene versión" in caught.value.message("es")


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_can_be_said(reason: Reason) -> None:
    if reason in (Reason.ASSIGNED, Reason.LOW_CONFIDENCE):
        return  # then the model has answered
    with pytest.raises(NotServable):
        instead(served(declared_manifest(rules=None)), VALUES, reason)


def test_in_a_batch_only_the_rows_that_fail_fall_back() -> None:
    version = served(linear_manifest(visits=1e308, calls=-1e308))
    good, bad = (1.0, 1, "Arica", None, None), (90.0, 90, "Arica", None, None)
    given = many_by_model(version, [good, bad, good])
    assert [one.reason for one in given] == ["assigned", "invalid_output", "assigned"]


@pytest.mark.parametrize(
    ("bounds", "values", "expected"),
    [
        ((-1.0, None), VALUES, ("model", "assigned")),  # it answers -1: a bound may be reached
        ((None, -1.0), VALUES, ("model", "assigned")),
        ((0.0, None), VALUES, ("rules", "invalid_output")),
        ((None, -2.0), VALUES, ("baseline", "invalid_output")),  # the rules' 0 is outside too
        ((0.0, 50.0), DECLINED, ("baseline", "invalid_output")),  # 97
        ((0.0, 50.0), BREAKS_RULES, ("baseline", "invalid_output")),
    ],
)
def test_an_answer_outside_the_declared_range_is_a_failure(
    bounds: Any, values: Any, expected: tuple[str, str]
) -> None:
    version = served(value_manifest(target_range=bounds))
    assert told(by_model(version, values)) == expected
    assert [told(one) for one in many_by_model(version, [values] * 9)] == [expected] * 9
    assert version.breaker.closed  # such a row is no broken model


def test_an_answer_of_another_process_is_checked() -> None:
    version = served()
    assert checked(version, VALUES, Answer(True, 0.9)).answer == Answer(1, 0.9)
    assert told(checked(version, VALUES, Answer(7))) == ("rules", "invalid_output")
    assert told(checked(version, VALUES, Answer(1, float("nan")))) == ("rules", "invalid_output")


def test_a_failure_is_logged_once_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    version = served(predictor=FailingPredictor(ValueError("no such column")))
    for _ in range(50):
        by_model(version, BREAKS_RULES)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "churn@(declared): ValueError: no such column" in caplog.text
