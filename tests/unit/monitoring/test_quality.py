"""Fallback, confidence and silence, from minutes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonel.monitoring.quality_check import (
    judge_confidence,
    judge_fallback,
    judge_refused,
    judge_silence,
)
from timonel.monitoring.verdicts import VerdictState
from timonel.store.reads_series import Minute, Presence, Refused


def minutes(first: int, last: int, n: int, reason: str = "assigned") -> list[Minute]:
    return [Minute(minute, reason, n) for minute in range(first, last)]


def presence(rows: list[Minute]) -> Presence:
    present = sorted({row.minute for row in rows})
    longest = max((b - a - 1 for a, b in pairwise(present)), default=0)
    return Presence(sum(row.n for row in rows), present[0], present[-1], longest)


@pytest.mark.parametrize(
    ("n_timeout", "state"),
    [(0, "ok"), (3, "ok"), (5, "warning"), (20, "alert")],
)
def test_fallback_alerts_when_chance_does_not_explain_it(n_timeout: int, state: str) -> None:
    rows = minutes(0, 100, 100 - n_timeout)
    if n_timeout:
        rows += minutes(0, 100, n_timeout, "timeout")
    found = judge_fallback(rows, 100, 0.05)
    assert found.state == state
    assert found.facts["n"] == 500
    assert found.minutes == 5


def test_a_model_without_version_has_no_fallback() -> None:
    found = judge_fallback(minutes(0, 60, 50, "no_version"), 60, 0.05)
    assert found.state is VerdictState.NOT_ENOUGH
    assert found.facts["reason"] == "not enough: 0 of 50"


def test_few_answers_are_looked_at_for_an_hour() -> None:
    found = judge_fallback(minutes(0, 300, 1), 300, 0.05)
    assert (found.minutes, found.facts["n"], found.state) == (60, 60, "ok")
    assert judge_fallback(minutes(0, 40, 1), 40, 0.05).state is VerdictState.NOT_ENOUGH


def test_a_model_that_is_asked_rarely_is_judged_by_its_last_answers() -> None:
    rare = [row for hour in range(24) for row in minutes(hour * 60, hour * 60 + 20, 1)]
    found = judge_fallback(rare, 24 * 60, 0.05)
    assert (found.minutes, found.facts["n"], found.state) == (170, 50, "ok")
    failed = [row._replace(reason="model_error") for row in rare]
    assert judge_fallback(failed, 24 * 60, 0.05).state is VerdictState.ALERT


def test_low_confidence_says_what_was_asked_for() -> None:
    rows = minutes(0, 60, 80) + minutes(0, 60, 20, "low_confidence")
    found = judge_confidence(rows, 60, 0.05, 0.7)
    assert found.state is VerdictState.ALERT
    assert found.facts["threshold"] == 0.7


@pytest.mark.parametrize(
    ("n_refused", "state"), [(0, "ok"), (3, "ok"), (5, "warning"), (20, "alert")]
)
def test_refused_rows_alert_when_chance_does_not_explain_them(n_refused: int, state: str) -> None:
    bad = [Refused(minute, n_refused, {"age": n_refused}) for minute in range(100) if n_refused]
    found = judge_refused(minutes(0, 100, 100 - n_refused), bad, 100, 0.05)
    assert found.state == state
    assert found.facts["n"] == 500
    assert found.facts["rate"] == n_refused / 100
    assert found.facts["fields"] == ({"age": 5 * n_refused} if n_refused else {})


def test_a_caller_whose_every_row_is_refused_is_judged_and_few_rows_are_not() -> None:
    bad = [Refused(minute, 60, {}) for minute in range(60)]
    found = judge_refused([], bad, 60, 0.05)
    assert (found.state, found.facts["rate"]) == (VerdictState.ALERT, 1.0)
    few = judge_refused(minutes(0, 40, 1), [Refused(39, 9, {"age": 9})], 40, 0.05)
    assert few.state is VerdictState.NOT_ENOUGH


def test_what_good_rows_left_behind_is_not_judged_again() -> None:
    bad, good = [Refused(0, 3000, {"when": 3000})], [Minute(2, "assigned", 9000)]
    states = [judge_refused(good, bad, now, 0.05).state for now in range(3, 70)]
    assert states[:5] == [VerdictState.ALERT] * 3 + [VerdictState.OK] * 2
    assert VerdictState.ALERT not in states[3:]


@given(st.lists(st.sampled_from([0, 0, 1, 7, 60, 300]), min_size=130, max_size=130))
def test_what_is_judged_only_moves_on(counts: list[int]) -> None:
    rows = [Minute(at, "assigned", n) for at, n in enumerate(counts) if n]
    begins = []
    for now in range(60, 130):
        past = [row for row in rows if row.minute < now]
        if sum(row.n for row in past if row.minute >= now - 60) >= 50:
            begins.append(now - judge_fallback(past, now, 0.05).minutes)
    assert begins == sorted(begins)


def test_silence_is_measured_by_the_nights_before() -> None:
    days = [row for day in range(5) for row in minutes(day * 1440 + 480, day * 1440 + 1320, 3)]
    asked, last = presence(days), 4 * 1440 + 1320
    assert judge_silence(asked, last + 5).state is VerdictState.OK
    assert judge_silence(asked, last + 700).state is VerdictState.OK  # the night
    found = judge_silence(asked, last + 1300)
    assert found.state is VerdictState.ALERT
    assert (found.facts["minutes"], found.facts["longest_silence"]) == (1300, 600)


def test_steady_traffic_is_missed_soon_and_a_young_model_not_at_all() -> None:
    assert judge_silence(presence(minutes(0, 300, 5)), 309).state is VerdictState.OK
    assert judge_silence(presence(minutes(0, 300, 5)), 312).state is VerdictState.ALERT
    assert judge_silence(presence(minutes(0, 10, 5)), 90).state is VerdictState.NOT_ENOUGH
