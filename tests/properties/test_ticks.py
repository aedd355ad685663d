"""Ticks against an oracle that walks through every minute of time."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from timonel.jobs.ticks import due_ticks, latest_tick, next_tick

ZONES = [
    "America/Santiago", "Europe/Madrid", "Europe/London", "Australia/Lord_Howe",  # half an hour
    "America/New_York", "Africa/Casablanca", "Asia/Kathmandu", "UTC", "Atlantic/Azores",
]  # fmt: skip
MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def field(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    return st.one_of(
        st.just("*"),
        st.integers(1, most).map(lambda step: f"*/{step}"),
        st.lists(number, min_size=1, max_size=3, unique=True).map(
            lambda values: ",".join(map(str, sorted(values)))
        ),
    )


crons = st.tuples(field(0, 59), field(0, 23), st.sampled_from(["*", "*", "*/2", "1,5,6,25,29"]))


def numbers(text: str, least: int, most: int) -> set[int]:
    if text.startswith("*"):
        step = int(text[2:] or 1) if "/" in text else 1
        return set(range(least, most + 1, step))
    return {int(value) for value in text.split(",")}


Walk = list[tuple[datetime, datetime]]


@cache
def changes(zone: str) -> list[datetime]:
    """The moments of the year at which the zone's clock is put forward or back."""
    hours = (FIRST + timedelta(hours=n) for n in range(24 * 365))
    there = ZoneInfo(zone)
    offsets = [(hour, hour.astimezone(there).utcoffset()) for hour in hours]
    found = [b for (_, before), (b, after) in pairwise(offsets) if before != after]
    return found or [FIRST + timedelta(days=100)]


def oracle(cron: tuple[str, str, str], start: datetime, end: datetime, zone: ZoneInfo) -> Walk:
    """Walk local time minute by minute; a time that was skipped comes at the next that was not."""
    minutes, hours, days = (
        numbers(text, *limits) for text, limits in zip(cron, [(0, 59), (0, 23), (1, 31)],
                                                       strict=True)
    )  # fmt: skip
    first_moment: dict[datetime, datetime] = {}
    moment = start
    while moment <= end:
        local = moment.astimezone(zone).replace(tzinfo=None, fold=0)
        first_moment.setdefault(local, moment)
        moment += MINUTE
    found: dict[datetime, datetime] = {}
    nominal, last = min(first_moment), max(first_moment)
    while nominal <= last:
        if nominal.minute in minutes and nominal.hour in hours and nominal.day in days:
            valid = nominal
            while valid not in first_moment:
                valid += MINUTE
            found[valid] = first_moment[valid]
        nominal += MINUTE
    return sorted(found.items())


@settings(max_examples=100, deadline=None)
@given(
    cron=crons,
    zone=st.sampled_from(ZONES),
    change=st.integers(0, 5),
    offset=st.integers(-4 * 60, 4 * 60),
)
def test_ticks_around_a_change_are_those_of_the_walk(
    cron: tuple[str, str, str], zone: str, change: int, offset: int
) -> None:
    there, turns = ZoneInfo(zone), changes(zone)
    middle = turns[change % len(turns)]
    start, end = middle - timedelta(hours=5), middle + timedelta(hours=5)
    expected = oracle(cron, start, end, there)
    text = f"{cron[0]} {cron[1]} {cron[2]} * *"
    now = middle + offset * MINUTE
    # walked keys from some hours before: what is nearer to the walk's ends it does not see whole
    after = (middle - timedelta(hours=3)).astimezone(there).replace(tzinfo=None, fold=0)
    wanted = [(local, at) for local, at in expected if local > after and at <= now]
    now_us = (now - EPOCH) // timedelta(microseconds=1)
    found = [
        (tick.local, EPOCH + timedelta(microseconds=tick.at_us))
        for tick in due_ticks(text, after, now_us, there)
    ]
    assert found == wanted
    if wanted:
        latest = latest_tick(text, now_us, there)
        assert latest is not None
        assert latest.local == wanted[-1][0]


@settings(max_examples=60, deadline=None)
@given(
    cron=crons,
    zone=st.sampled_from(ZONES),
    minute=st.integers(0, 365 * 24 * 60),
)
def test_keys_and_moments_grow_together(cron: tuple[str, str, str], zone: str, minute: int) -> None:
    there, text = ZoneInfo(zone), f"{cron[0]} {cron[1]} {cron[2]} * *"
    tick = next_tick(text, (FIRST + minute * MINUTE).replace(tzinfo=None), there)
    for _ in range(5):
        after = next_tick(text, tick.local, there)
        assert (after.local, after.key) > (tick.local, tick.key)
        assert after.at_us > tick.at_us
        assert latest_tick(text, after.at_us - 1, there) == tick
        assert latest_tick(text, after.at_us, there) == after
        tick = after
