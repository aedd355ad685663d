"""What every detector keeps, found by reflection, and what each one costs and finds."""

import copy
import inspect
import pickle
from collections.abc import Callable
from math import inf, log, nan, sqrt
from typing import cast, get_args

import numpy as np
import pytest

from timonel.stats import detectors
from timonel.stats.detectors import Adwin, Ddm, Detector, Eddm, Hddm, Kswin, PageHinkley

KINDS = [
    cast("type[Detector]", kind)
    for _, kind in inspect.getmembers(detectors, inspect.isclass)
    if kind.__name__ in detectors.__all__ and "update" in vars(kind) and kind is not Detector
]
every_kind = pytest.mark.parametrize("kind", KINDS)


def errors(rate: float, n: int, seed: int) -> list[float]:
    drawn = np.random.default_rng(seed).random(n) < rate
    return [float(error) for error in drawn]


def test_all_are_found() -> None:
    assert set(KINDS) == {Adwin, PageHinkley, Ddm, Eddm, Hddm, Kswin}


@every_kind
def test_a_constant_stream_never_changes(kind: type[Detector]) -> None:
    for value in (0.0, 1.0):
        detector = kind()
        answers = [detector.update(value) for _ in range(3000)]
        assert answers == [False] * 3000
        assert all(type(answer) is bool for answer in answers)


@every_kind
@pytest.mark.parametrize("seed", range(3))
def test_a_doubled_error_rate_is_found_and_then_known(kind: type[Detector], seed: int) -> None:
    detector = kind()
    # of thirty errors KSWIN sees no less a change
    before, after = (0.1, 0.9) if kind is Kswin else (0.2, 0.5)
    for x in errors(before, 2000, seed):
        detector.update(x)
    found = [i for i, x in enumerate(errors(after, 2000, seed + 10)) if detector.update(x)]
    assert found
    # DDM, after a false alarm just before, knows little of what was
    assert found[0] < 1000
    # it signals a change once, or a few times; it does not keep on
    assert len(found) < 30


@every_kind
def test_the_same_stream_gives_the_same_answers_also_after_a_copy(
    kind: type[Detector],
) -> None:
    stream = errors(0.1, 700, 5) + errors(0.4, 700, 6)
    first = kind()
    answers = [first.update(x) for x in stream]
    second = kind()
    begun = [second.update(x) for x in stream[:650]]
    for going_on in (copy.deepcopy(second), pickle.loads(pickle.dumps(second))):
        assert begun + [going_on.update(x) for x in stream[650:]] == answers


@every_kind
def test_what_is_no_number_is_refused_and_changes_nothing(kind: type[Detector]) -> None:
    stream = errors(0.1, 300, 1) + errors(0.6, 300, 2)
    detector, undisturbed = kind(), kind()
    for x in stream:
        for bad in (nan, inf, -inf):
            with pytest.raises(ValueError, match=r"finite|error is"):
                detector.update(bad)
        assert detector.update(x) == undisturbed.update(x)


@every_kind
def test_flags_and_numpy_numbers_are_numbers(kind: type[Detector]) -> None:
    stream = errors(0.2, 400, 3)
    plain, flags, numpys = kind(), kind(), kind()
    for x in stream:
        answer = plain.update(x)
        assert flags.update(bool(x)) == answer
        assert numpys.update(np.float64(x)) == answer


# --- ADWIN


class ExactWindow:
    """ADWIN by its definition: raw values, and bucket sizes that say where a cut may lie."""

    def __init__(self, delta: float, clock: int) -> None:
        self.delta, self.clock, self.ticks = delta, clock, 0
        self.values: list[float] = []
        self.sizes: list[int] = []  # the oldest first

    def update(self, x: float) -> bool:
        self.values.append(x)
        self.sizes.append(1)
        for size in sorted(set(self.sizes)):
            while self.sizes.count(size) > 5:
                first = self.sizes.index(size)
                self.sizes[first : first + 2] = [2 * size]
        self.ticks += 1
        changed = False
        while self.ticks % self.clock == 0 and self.differs():
            self.values = self.values[self.sizes.pop(0) :]
            changed = True
        return changed

    def differs(self) -> bool:
        window = np.array(self.values)
        n, variance = len(window), np.var(window)
        for at in np.cumsum(self.sizes)[:-1]:
            if n <= 10 or at < 5 or n - at < 5:
                continue
            m = 1 / (1 / at + 1 / (n - at))
            confidence = log(2 * log(n) / self.delta)
            epsilon = sqrt(2 / m * variance * confidence) + 2 / (3 * m) * confidence
            if abs(window[:at].mean() - window[at:].mean()) > epsilon:
                return True
        return False


@pytest.mark.parametrize(
    "stream",
    [
        errors(0.1, 600, 1) + errors(0.35, 400, 2) + errors(0.05, 500, 3),
        np.random.default_rng(4).beta(2, 5, 900).tolist()
        + np.random.default_rng(5).beta(5, 2, 500).tolist(),
        errors(0.3, 900, 6),
    ],
    ids=["errors", "scores", "nothing"],
)
@pytest.mark.parametrize("clock", [1, 32])
def test_adwin_is_the_exact_window(stream: list[float], clock: int) -> None:
    ours, exact = Adwin(clock=clock), ExactWindow(0.002, clock)
    for x in stream:
        assert ours.update(x) == exact.update(x)
        assert ours.width == len(exact.values)
    assert ours.mean == pytest.approx(np.mean(exact.values), rel=1e-12)


def test_adwin_holds_few_buckets() -> None:
    detector = Adwin()
    for x in errors(0.2, 20_000, 8):
        detector.update(x)
    assert detector.width == 20_000
    assert len(detector._oldest_first()) <= 5 * 14


def test_an_empty_window_has_no_mean() -> None:
    assert Adwin().mean is None
    assert Adwin().width == 0


def test_only_the_direction_asked_for_is_signalled() -> None:
    worse = errors(0.1, 1500, 1) + errors(0.4, 1500, 2)
    better = errors(0.4, 1500, 3) + errors(0.1, 1500, 4)
    makers: list[Callable[[detectors.Direction], Detector]] = [
        lambda direction: Adwin(direction=direction),
        lambda direction: PageHinkley(direction=direction),
    ]
    for make in makers:
        for stream, heard, silent in ((worse, "up", "down"), (better, "down", "up")):
            by_direction = {d: make(d) for d in get_args(detectors.Direction)}
            found = {
                d: sum(detector.update(x) for x in stream) for d, detector in by_direction.items()
            }
            assert found["both"] > 0
            assert found[heard] > 0
            assert found[silent] == 0


# --- what they cost


def test_false_alarms_of_adwin_are_rare() -> None:
    alarms = 0
    for seed in range(40):
        detector = Adwin()
        alarms += any(detector.update(x) for x in errors(0.2, 4000, 100 + seed))
    assert alarms <= 1


def test_ddm_alarms_on_nothing_as_often_as_its_docstring_says() -> None:
    alarms = 0
    for seed in range(60):
        detector = Ddm()
        alarms += any(detector.update(x) for x in errors(0.1, 20_000, 200 + seed))
    assert 0.25 < alarms / 60 < 0.75


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "share"),  # at error rates of .1 and .5, as the docstrings say
    [
        (Eddm, {0.1: 0.89, 0.5: 0.845}),
        (lambda: Hddm(direction="up"), {0.1: 0.025, 0.5: 0.285}),
        (lambda: Kswin(direction="up"), {0.1: 0.0, 0.5: 1.0}),
    ],
)
def test_named_detectors_alarm_on_nothing_as_often_as_said(
    make: Callable[[], Detector], share: dict[float, float]
) -> None:
    for rate, expected in share.items():
        streams = [errors(rate, 20_000, seed) for seed in range(100, 140)]
        alarms = [any(map(make().update, stream)) for stream in streams]
        assert abs(sum(alarms) / 40 - expected) < 0.2


def test_ddm_warns_before_it_signals() -> None:
    detector = Ddm()
    for x in errors(0.1, 1000, 1):
        detector.update(x)
    warned = 0
    for x in errors(0.3, 500, 2):
        if detector.update(x):
            break
        warned += detector.warned
    assert warned > 0


def test_settings_out_of_range() -> None:
    for wrong in (
        lambda: Adwin(0.0),
        lambda: Adwin(clock=0),
        lambda: Adwin(direction="sideways"),  # type: ignore[arg-type]
        lambda: PageHinkley(threshold=0.0),
        lambda: PageHinkley(forgetting=1.1),
        lambda: Ddm(warn_at=4.0),
        lambda: Ddm(fewest=0),
        lambda: Eddm(drift_at=1.0),
        lambda: Hddm(confidence=0.0),
        lambda: Kswin(window=50),
    ):
        with pytest.raises(
            ValueError, match=r"delta|threshold|warn_at|direction|drift_at|confidence|window"
        ):
            wrong()
    with pytest.raises(ValueError, match="an error is 0 or 1"):
        Ddm().update(0.5)
