"""Which windows are judged, and when."""

import random
from itertools import pairwise

from timonel.monitoring.windows import HourlyCounts, Judged, JudgedHours, Window, due, span_of


def hourly(first: int, n_hours: int, n: int) -> dict[int, int]:
    return {first + hour: n for hour in range(n_hours)}


def test_the_span_is_the_smallest_that_is_expected_to_hold_enough() -> None:
    for n, span in ((2000, 1), (1000, 1), (999, 24), (42, 24), (41, 168), (1, 168)):
        counts = HourlyCounts.of(hourly(0, 24 * 30, n))
        assert span_of(counts, 24 * 20, 24 * 30) == span, n
    assert span_of(HourlyCounts.of({}), 0, 10) == 168


def test_at_the_start_what_came_so_far_decides() -> None:
    assert span_of(HourlyCounts.of({0: 1500}), 0, 1) == 1
    assert span_of(HourlyCounts.of({0: 300}), 0, 1) == 24


def test_a_window_waits_until_the_watermark_has_passed_it() -> None:
    counts = HourlyCounts.of(hourly(48, 30, 100))
    assert due(counts, JudgedHours.of([]), 71) == []
    assert due(counts, JudgedHours.of([]), 72) == [Window(48, 72, 2400)]
    assert due(counts, JudgedHours.of([Judged(48, 72, 2400)]), 78) == []


def test_late_rows_ask_for_a_second_verdict() -> None:
    counts = HourlyCounts.of(hourly(48, 24, 100))
    assert due(counts, JudgedHours.of([Judged(48, 72, 2390)]), 72) == [
        Window(48, 72, 2400, revised=True)
    ]


def test_silence_is_passed_over_and_a_hole_is_filled_when_rows_come() -> None:
    counts = hourly(0, 2, 5000) | hourly(100, 2, 5000)
    first = due(HourlyCounts.of(counts), JudgedHours.of([]), 102, window_h=1)
    assert [(w.start_h, w.end_h) for w in first] == [(0, 1), (1, 2), (100, 101), (101, 102)]
    known = [Judged(w.start_h, w.end_h, w.n) for w in first]
    late = due(HourlyCounts.of(counts | {50: 10}), JudgedHours.of(known), 102, window_h=1)
    assert late == [Window(50, 51, 10)]


def test_windows_never_overlap_and_cover_every_closed_row() -> None:
    rng = random.Random(4)
    for _ in range(60):
        counts = {
            hour: rng.choice([0, 3, 60, 400, 3000]) for hour in range(24 * 40) if rng.random() < 0.7
        }
        judged: list[Judged] = []
        closed = 0
        while closed < 24 * 40:
            closed = min(24 * 40, closed + rng.choice([1, 5, 30, 200]))
            seen = HourlyCounts.of({hour: n for hour, n in counts.items() if hour < closed})
            for window in due(
                seen, JudgedHours.of(judged), closed, window_h=rng.choice([None, None, 24])
            ):
                assert not window.revised
                assert window.end_h <= closed
                judged.append(Judged(window.start_h, window.end_h, window.n))
        judged.sort()
        assert all(a.end_h <= b.start_h for a, b in pairwise(judged))
        until = max((one.end_h for one in judged), default=0)
        assert sum(one.n for one in judged) == sum(n for h, n in counts.items() if h < until)
