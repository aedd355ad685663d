"""How health and quality are judged from plain values."""

import pytest

from timonel.monitoring.health import (
    Check,
    Health,
    State,
    judge_fallback,
    judge_models,
    judge_predictions,
    judge_spool,
)
from timonel.monitoring.performance import (
    Performance,
    Unknown,
    fallback,
    over_time,
    quality,
)
from timonel.store.reads_windows import HOUR_US, Answered, Cell, DrainerRow, ProcessRow

SECOND = 1_000_000


def cell(hour: int = 0, n: int = 10, hits: float = 8, **changes: object) -> Cell:
    q = round(hits * SECOND)
    values: dict[str, object] = {
        "version": "1.0.0",
        "source": "model",
        "metric": "correct",
        "exposure_hour": hour,
        "n": n,
        "sum_q": q,
        "sum_q2": q * SECOND,
    }
    return Cell(**values | changes)  # type: ignore[arg-type]


def test_the_whole_is_the_worst_and_unknown_does_not_worsen() -> None:
    def of(*states: State) -> State:
        return Health(0, tuple(Check("c", state, "r") for state in states)).state

    assert of(State.HEALTHY, State.UNKNOWN) is State.HEALTHY
    assert of(State.HEALTHY, State.DEGRADED, State.UNKNOWN) is State.DEGRADED
    assert of(State.UNHEALTHY, State.DEGRADED) is State.UNHEALTHY
    assert of(State.UNKNOWN) is State.UNKNOWN


LIVE = ProcessRow("predict", 7, SECOND)
SILENT = ProcessRow("predict", 7, 60 * SECOND)


@pytest.mark.parametrize(
    ("champions", "processes", "state", "reason"),
    [
        ({"a": "1.0.0"}, [LIVE], State.HEALTHY, "serving"),
        ({"a": None}, [LIVE], State.DEGRADED, "without_version"),
        ({"a": "1.0.0"}, [SILENT], State.UNHEALTHY, "no_live_worker"),
        ({"a": "1.0.0"}, [LIVE, SILENT], State.HEALTHY, "serving"),
        ({"a": "1.0.0"}, [LIVE, ProcessRow("predict", 6, 0)], State.DEGRADED, "reloading"),
        ({"a": "1.0.0"}, [ProcessRow("control", 0, 0)], State.UNKNOWN, "no_worker_seen"),
        ({}, [LIVE], State.UNKNOWN, "no_models"),
    ],
)
def test_models(
    champions: dict[str, str | None], processes: list[ProcessRow], state: State, reason: str
) -> None:
    found = judge_models(champions, processes, 7)
    assert (found.state, found.reason) == (state, reason)


def answers(n: int, reason: str = "assigned") -> Answered:
    return Answered("1.0.0", "model", reason, n, 0)


@pytest.mark.parametrize(
    ("n_fallback", "state"),
    [(0, State.HEALTHY), (5, State.HEALTHY), (6, State.DEGRADED), (11, State.UNHEALTHY)],
)
def test_fallback_share(n_fallback: int, state: State) -> None:
    rows = [answers(100 - n_fallback), answers(n_fallback, "timeout")]
    assert judge_fallback(rows).state is state


def test_answers_without_a_version_are_not_fallback_of_one() -> None:
    assert judge_fallback([answers(50, "no_version")]).state is State.UNKNOWN
    assert judge_fallback([answers(50), answers(50, "no_version")]).state is State.HEALTHY


def test_silence_is_unknown() -> None:
    assert judge_predictions(0).state is State.UNKNOWN
    assert judge_predictions(1).state is State.HEALTHY


@pytest.mark.parametrize(
    ("lag_s", "rate", "state"),
    [
        (1, 1, State.HEALTHY),
        (31, 1, State.DEGRADED),
        (301, 1, State.UNHEALTHY),
        (301, 600, State.HEALTHY),  # half a second of a clock that runs 600 times as fast
    ],
)
def test_lag_is_real_time(lag_s: float, rate: float, state: State) -> None:
    rows = [DrainerRow("d", round(1000 * SECOND - lag_s * SECOND), 0)]
    assert judge_spool(rows, 1000 * SECOND, rate).state is state


def test_dead_drainers_do_not_count_but_are_seen() -> None:
    dead = DrainerRow("d0", 0, 60 * SECOND)
    assert judge_spool([dead], SECOND, 1).reason == "no_live_drainer"
    assert judge_spool([dead, DrainerRow("d1", SECOND, 0)], SECOND, 1).state is State.HEALTHY
    assert judge_spool([], SECOND, 1).state is State.UNKNOWN


def test_accuracy_adds_cells_of_hours_and_drainers() -> None:
    found = quality([cell(0, 50, 40), cell(1, 50, 50)], "binary", n_answered=100, n_needed=100)
    assert found.interval is not None
    assert found.interval.estimate == pytest.approx(0.9)
    assert found.enough
    assert not quality([cell(0, 99, 90)], "binary", n_answered=1, n_needed=100).enough


def test_revised_outcomes_do_not_break_the_sum() -> None:
    # first wrong, then corrected to right: retracted in one cell, added in another
    cells = [cell(0, 1, 0), cell(0, -1, 0), cell(0, 1, 1)]
    found = quality(cells, "binary", n_answered=1, n_needed=1)
    assert found.interval is not None
    assert (found.n_labels, found.interval.estimate) == (1, 1.0)


def test_unknown_says_why() -> None:
    def why(cells: list[Cell], task: str, n_answered: int) -> Unknown | None:
        return quality(cells, task, n_answered=n_answered, n_needed=9).unknown

    assert why([], "binary", 0) is Unknown.NO_PREDICTIONS
    assert why([], "binary", 5) is Unknown.NO_LABELS
    assert why([cell(0, 1, 3, metric="absolute_error")], "regression", 5) is Unknown.ONE_LABEL
    assert why([cell(0, 9, 9)], "regression", 5) is Unknown.NO_LABELS  # another task's metric


def test_buckets_are_few_equal_and_without_empty_ones() -> None:
    cells = [cell(hour) for hour in range(0, 24 * 7, 2) if not 20 < hour < 60]
    buckets = over_time(cells, "binary", n_needed=5)
    starts = [bucket.start_us for bucket in buckets]
    assert len(buckets) <= 40
    assert starts == sorted(starts)
    assert all((start // HOUR_US) % 6 == 0 for start in starts)
    assert sum(bucket.quality.n_labels for bucket in buckets) == 10 * len(cells)
    assert over_time([], "binary", n_needed=5) == []


def test_fallback_by_reason_most_first() -> None:
    rows = [answers(5), answers(1, "timeout"), answers(2, "overload"), answers(1, "timeout")]
    assert fallback(rows) == (9, 4, {"overload": 2, "timeout": 2})


def test_quality_of_a_version_that_answered_nothing() -> None:
    nothing = quality([], "binary", n_answered=0, n_needed=1)
    found = Performance("m", 0, 1, nothing, (), (), ())
    assert found.of("1.0.0") is None
    assert found.n_answered == 0
