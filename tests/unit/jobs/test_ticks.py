"""Ticks by local time: what a person in the zone expects when the clock is put back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from timonel.jobs.errors import InvalidCron
from timonel.jobs.ticks import Tick, check_cron, due_ticks, latest_tick, next_tick, read_key

SANTIAGO = ZoneInfo("America/Santiago")
MADRID = ZoneInfo("Europe/Madrid")
LONDON = ZoneInfo("Europe/London")
APIA = ZoneInfo("Pacific/Apia")


def us(text: str) -> int:
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None
    return round(moment.timestamp() * 1e6)


def ticks(cron: str, after: str, until: str, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Keys and moments of the ticks after a local time, until a moment."""
    found = due_ticks(cron, read_key(after), us(until), zone)
    return [(tick.key, moment(tick)) for tick in found]


def moment(tick: Tick) -> str:
    return datetime.fromtimestamp(tick.at_us / 1e6, UTC).strftime("%m-%dT%H:%MZ")


def test_santiago_repeats_an_hour_and_the_tick_in_it_comes_once() -> None:
    # 2026-04-05 00:00 (-03) became 2026-04-04 23:00 (-04)
    assert ticks("30 23 * * *", "2026-04-03T23:30", "2026-04-06T12:00Z", SANTIAGO) == [
        ("2026-04-04T23:30", "04-05T02:30Z"),
        ("2026-04-05T23:30", "04-06T03:30Z"),
    ]


def test_santiago_hours_around_the_repeated_one() -> None:
    assert ticks("0 * * * *", "2026-04-04T21:00", "2026-04-05T05:30Z", SANTIAGO) == [
        ("2026-04-04T22:00", "04-05T01:00Z"),
        ("2026-04-04T23:00", "04-05T02:00Z"),  # its second passing, at 03:00Z, is passed over
        ("2026-04-05T00:00", "04-05T04:00Z"),
        ("2026-04-05T01:00", "04-05T05:00Z"),
    ]


def test_santiago_skips_an_hour_and_its_ticks_come_at_the_next_minute() -> None:
    # 2026-09-06 00:00 (-04) became 01:00 (-03)
    assert ticks("30 0 * * *", "2026-09-04T12:00", "2026-09-07T12:00Z", SANTIAGO) == [
        ("2026-09-05T00:30", "09-05T04:30Z"),
        ("2026-09-06T01:00", "09-06T04:00Z"),
        ("2026-09-07T00:30", "09-07T03:30Z"),
    ]
    assert ticks("*/20 * * * *", "2026-09-05T23:20", "2026-09-06T04:30Z", SANTIAGO) == [
        ("2026-09-05T23:40", "09-06T03:40Z"),
        ("2026-09-06T01:00", "09-06T04:00Z"),
        ("2026-09-06T01:20", "09-06T04:20Z"),
    ]
    assert ticks("0 0 * * *", "2026-09-05T12:00", "2026-09-07T12:00Z", SANTIAGO) == [
        ("2026-09-06T01:00", "09-06T04:00Z"),
        ("2026-09-07T00:00", "09-07T03:00Z"),
    ]


@pytest.mark.parametrize(
    ("zone", "spring", "autumn"),
    [
        (MADRID, ("2026-03-29T03:00", "03-29T01:00Z"), ("2026-10-25T02:30", "10-25T00:30Z")),
        (LONDON, ("2026-03-29T02:30", "03-29T01:30Z"), ("2026-10-25T02:30", "10-25T02:30Z")),
    ],
)
def test_europe(zone: ZoneInfo, spring: tuple[str, str], autumn: tuple[str, str]) -> None:
    assert ticks("30 2 * * *", "2026-03-28T12:00", "2026-03-29T20:00Z", zone) == [spring]
    assert ticks("30 2 * * *", "2026-10-24T12:00", "2026-10-25T20:00Z", zone) == [autumn]


def test_a_whole_day_may_be_skipped() -> None:
    # Samoa had no 2011-12-30
    assert (
        ticks("0 9 * * *", "2011-12-29T08:00", "2011-12-31T12:00Z", APIA)
        == [
            ("2011-12-29T09:00", "12-29T19:00Z"),
            ("2011-12-31T00:00", "12-30T10:00Z"),
            ("2011-12-31T09:00", "12-30T19:00Z"),
            ("2012-01-01T09:00", "12-31T19:00Z"),
        ][:3]
    )


@pytest.mark.parametrize(
    ("now", "key"),
    [
        ("2026-04-05T02:29:59Z", "2026-04-03T23:30"),
        ("2026-04-05T02:30:00Z", "2026-04-04T23:30"),
        ("2026-04-05T03:10:00Z", "2026-04-04T23:30"),  # 23:10 for the second time
        ("2026-04-05T03:40:00Z", "2026-04-04T23:30"),  # 23:40 for the second time
    ],
)
def test_the_latest_tick_in_a_repeated_hour(now: str, key: str) -> None:
    found = latest_tick("30 23 * * *", us(now), SANTIAGO)
    assert found is not None
    assert found.key == key


def test_the_second_passing_does_not_reach_beyond_its_hour() -> None:
    # 23:59 for the second time: 00:00 has not come
    found = latest_tick("*/1 * * * *", us("2026-04-05T03:59:30Z"), SANTIAGO)
    assert found is not None
    assert found.key == "2026-04-04T23:59"


def test_after_a_time_that_does_not_exist() -> None:
    tick = next_tick("30 0 * * *", read_key("2026-09-06T00:45"), SANTIAGO)
    assert tick.key == "2026-09-06T01:00"


def test_days_of_month_and_week() -> None:
    found = due_ticks("0 2 1 * *", read_key("2026-01-01T02:00"), us("2026-03-15T00:00Z"), SANTIAGO)
    assert [tick.key for tick in found] == ["2026-02-01T02:00", "2026-03-01T02:00"]
    assert next_tick("@weekly", read_key("2026-01-01T00:00"), SANTIAGO).key == "2026-01-04T00:00"
    assert (
        next_tick("0 8 * * MON", read_key("2026-01-01T00:00"), SANTIAGO).key == "2026-01-05T08:00"
    )
    assert next_tick("0 0 29 2 *", read_key("2026-01-01T00:00"), SANTIAGO).key == "2028-02-29T00:00"


@pytest.mark.parametrize(
    "cron",
    [
        "", "every day", "* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "@reboot", "@always",
        "R * * * *", "H H(1-5) * * *", "0 r/2 * * *", "1,R 0 * * *", "0 0 * * funday", "-1 * * * *",
        "*/0 * * * *", "5-1-2 * * * *", "\x00 * * * *",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(cron: str) -> None:
    with pytest.raises(InvalidCron) as refused:
        check_cron(cron)
    assert repr(cron) in refused.value.message("es")


@pytest.mark.parametrize("cron", ["0 2 * * *", "*/15 8-18 * * MON-FRI", "0 0 1 MAR *", "@Daily"])
def test_what_is_a_schedule_is_taken(cron: str) -> None:
    assert check_cron(f"  {cron.replace(' ', '   ')} ") == cron
