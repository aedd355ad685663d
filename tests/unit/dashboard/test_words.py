"""Sentences and numbers of the pages in both languages."""

from datetime import datetime
from string import Formatter
from zoneinfo import ZoneInfo

import pytest

from timonel.charts.scale import time_ticks
from timonel.dashboard import formats
from timonel.dashboard.language import Language, choose_language, preferred
from timonel.dashboard.overview import NeedKind
from timonel.dashboard.texts import TEXTS, say
from timonel.jobs.job import JobState
from timonel.monitoring.health import State
from timonel.monitoring.performance import Unknown
from timonel.monitoring.verdicts import VerdictState
from timonel.project.model import Task
from timonel.registry.versions import Stage
from timonel.retraining.pipeline import STEPS
from timonel.wire.answer import Reason, Source

SANTIAGO = ZoneInfo("America/Santiago")
AT = round(datetime(2026, 11, 4, 9, 5, tzinfo=SANTIAGO).timestamp() * 1e6)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_every_sentence_is_there_in_both_languages_with_equal_fields(key: str) -> None:
    texts = TEXTS[key]
    assert set(texts) == {"en", "es"}
    assert all(texts.values())
    assert fields(texts["en"]) == fields(texts["es"])


def test_every_value_that_pages_name_has_its_words() -> None:
    wanted = [f"state_{state}" for state in State]
    wanted += [f"stage_{stage}" for stage in Stage]
    wanted += [f"source_{source}" for source in Source]
    wanted += [f"reason_{reason}" for reason in Reason if reason is not Reason.ASSIGNED]
    wanted += [f"unknown_{unknown}" for unknown in Unknown]
    wanted += [f"task_{task}" for task in Task]
    wanted += [f"need_{kind}" for kind in NeedKind]
    wanted += [f"drift_{state}" for state in VerdictState]
    wanted += [f"job_{state}" for state in JobState]
    wanted += [f"retraining_{step}" for step in STEPS]
    assert [key for key in wanted if key not in TEXTS] == []


def test_an_unknown_sentence_or_a_missing_field_is_a_defect() -> None:
    with pytest.raises(KeyError):
        say("es", "no_such_key")
    with pytest.raises(KeyError):
        say("es", "as_of", at="now")


@pytest.mark.parametrize(
    ("value", "decimals", "en", "es"),
    [
        (1234, 0, "1,234", "1.234"),
        (1234567.891, 2, "1,234,567.89", "1.234.567,89"),
        (-0.0001, 2, "0.00", "0,00"),
        (-12.5, 1, "-12.5", "-12,5"),
    ],
)
def test_numbers(value: float, decimals: int, en: str, es: str) -> None:
    assert formats.number(value, "en", decimals) == en
    assert formats.number(value, "es", decimals) == es


@pytest.mark.parametrize(
    ("share", "en", "es"),
    [
        (0.9123, "91.2%", "91,2\u202f%"),
        (1, "100%", "100\u202f%"),
        (0, "0%", "0\u202f%"),
        (0.00042, "<0.1%", "<0,1\u202f%"),
        (0.99991, ">99.9%", ">99,9\u202f%"),
    ],
)
def test_shares(share: float, en: str, es: str) -> None:
    assert (formats.percent(share, "en"), formats.percent(share, "es")) == (en, es)


def test_measures_keep_three_digits() -> None:
    assert [formats.measure(v, "en") for v in (1234.5, 12.345, 1.2345, 0.012345)] == [
        "1,234",
        "12.3",
        "1.23",
        "0.0123",
    ]


def test_moments_are_of_the_projects_zone() -> None:
    assert formats.moment(AT, SANTIAGO, "es") == "04-11-2026 09:05"
    assert formats.moment(AT, SANTIAGO, "en") == "2026-11-04 09:05"
    day = time_ticks(AT, AT + 4 * 86_400_000_000, SANTIAGO)[0]
    assert (formats.tick(day, "es"), formats.tick(day, "en")) == ("05-11", "Nov 5")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("es-CL,es;q=0.9,en;q=0.8", "es"),
        ("en-US,en;q=0.9,es;q=0.8", "en"),
        ("de,es;q=0.1", "es"),
        ("de", None),
        ("es;q=0, en;q=0.1", "en"),
        ("es;q=x", None),
        ("", None),
        (None, None),
    ],
)
def test_accept_language(accepted: str | None, language: Language | None) -> None:
    assert preferred(accepted) == language


def test_asked_beats_cookie_beats_setting_beats_browser() -> None:
    assert choose_language("es", "en", "en", "en") == "es"
    assert choose_language("xx", "es", "en", "en") == "es"
    assert choose_language(None, None, "en", "es") == "es"
    assert choose_language(None, None, None, None) == "en"
