from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from timonel.alerts.book import AlertBook
from timonel.alerts.channels import Channel, Channels
from timonel.clock import AffineClock
from timonel.signals import Severity
from timonel.testing.alerts import PROJECT, open_book


@pytest.fixture
def opened(database: str) -> Iterator[tuple[Engine, AlertBook]]:
    with open_book(database) as opened:
        yield opened


@pytest.fixture
def engine(opened: tuple[Engine, AlertBook]) -> Engine:
    return opened[0]


@pytest.fixture
def book(opened: tuple[Engine, AlertBook]) -> AlertBook:
    return opened[1]


@pytest.fixture
def channels(engine: Engine) -> Channels:
    """A log channel for all, in Spanish, and one in English for what is urgent."""
    channels = Channels(engine, PROJECT, AffineClock())
    channels.add(Channel("all", "log", language="es"))
    channels.add(Channel("urgent", "log", min_severity=Severity.HIGH))
    return channels
