import socket
import string
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest

from timonel.app import App, open_app
from timonel.project.model import Model
from timonel.project.project import load_project
from timonel.simulate.demo import (
    WORLD_DAYS,
    WORLD_EVENTS,
    DemoOptions,
    once,
    once_clock,
)
from timonel.simulate.errors import DemoServerNotReady
from timonel.simulate.examples import copy_for_demo, example_folder
from timonel.simulate.texts import DAYS, TEXTS, line


@pytest.mark.parametrize("key", TEXTS)
def test_a_line_says_the_same_facts_in_both_languages(key: str) -> None:
    named = {
        lang: {name for _, name, _, _ in string.Formatter().parse(text) if name}
        for lang, text in TEXTS[key].items()
    }
    assert set(named) == {"en", "es"}
    assert named["es"] == named["en"]


def test_days_are_seven_in_both_languages() -> None:
    assert {lang: len(set(days)) for lang, days in DAYS.items()} == {"en": 7, "es": 7}


def test_a_line_rounds_shares_and_times() -> None:
    said = line("accuracy_before", "es", value=0.9123, low=0.88, high=0.94, n=400)
    assert said == (
        "En días comunes el modelo acierta en 91,2\u202f% [88,0\u202f%, 94,0\u202f%] de 400 "
        "llamadas."
    )


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    copy_for_demo(tmp_path / "demo")
    made = open_app(tmp_path / "demo")
    made.prepare(clock=once_clock())
    yield made
    made.engine.dispose()


def test_a_server_that_is_not_there_is_named(app: App) -> None:
    with socket.socket() as held:  # bound, not listening: nobody answers, and nobody takes the port
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(DemoServerNotReady, match=url):
            once(app, url, DemoOptions(ready_wait_s=0.3))


def test_the_demo_differs_from_the_example_in_its_policy_alone(app: App) -> None:
    app.project.check()
    demo = app.project.models["dispatch"]
    example = load_project(example_folder("dispatch")).models["dispatch"]
    assert app.settings.checks_every_s == 1.0
    assert demo.policy != example.policy
    assert demo.schema.digest() == example.schema.digest()
    for field in fields(Model):
        if field.name not in ("policy", "source"):
            assert getattr(demo, field.name) == getattr(example, field.name), field.name


def test_a_clock_that_begins_on_a_monday_and_lasts_five_seconds_a_day() -> None:
    clock = once_clock()
    assert clock.rate * 5 == 86_400
    assert datetime.fromtimestamp(clock.event_us / 1e6, UTC).strftime("%A %H") == "Monday 12"


def test_world_events_come_in_order() -> None:
    days = [event.day for event in WORLD_EVENTS]
    assert days == sorted(days)
    assert days[-1] < WORLD_DAYS
    assert {event.key for event in WORLD_EVENTS} <= set(TEXTS)
