import base64
import json
import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from tests.databases import on_sqlite_alone

from timonel.alerts.alert import State
from timonel.alerts.book import AlertBook
from timonel.alerts.channels import Channel, Channels
from timonel.alerts.errors import (
    ChannelExists,
    DeliveryFailed,
    InvalidChannel,
    UnknownChannel,
)
from timonel.alerts.outbox import (
    DeliveryReport,
    Patience,
    deliver_due,
    remove_channel,
    try_channel,
)
from timonel.clock import AffineClock
from timonel.signals import Kind
from timonel.store.engine import reading
from timonel.store.tables_loop import NEVER_AGAIN, alert_outbox
from timonel.testing.alerts import PROJECT, Receiver, make_signal, open_receiver

QUICK = Patience(timeout_s=0.3, attempts=3)
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
CLOCK = AffineClock()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as receiver:
        yield receiver


@pytest.fixture
def hooked(engine: Engine) -> Channels:
    """A signed webhook, and nothing else."""
    channels = Channels(engine, PROJECT, CLOCK)
    options = {"url_env": "HOOK_URL", "secret_env": "HOOK_SECRET"}
    channels.add(Channel("hook", "webhook", options))
    return channels


class Post:
    """Delivers what is due, with the receiver's address in the environment."""

    def __init__(self, engine: Engine, book: AlertBook, receiver: Receiver) -> None:
        self.engine, self.book = engine, book
        self.environment = {"HOOK_URL": receiver.url, "HOOK_SECRET": SECRET, "SLACK": receiver.url}

    def deliver(self, **options: Any) -> DeliveryReport:
        return deliver_due(
            self.engine,
            PROJECT,
            CLOCK,
            environment=self.environment,
            raise_signal=self.book.hear,
            patience=options.pop("patience", QUICK),
            **options,
        )

    def try_out(self, channel: str) -> int:
        return try_channel(
            self.engine,
            PROJECT,
            CLOCK,
            channel,
            environment=self.environment,
            raise_signal=self.book.hear,
        )

    def let_time_pass(self) -> None:
        """Make due what waits for its next attempt."""
        waits = alert_outbox.c.next_at != NEVER_AGAIN
        with self.engine.begin() as connection:
            connection.execute(update(alert_outbox).where(waits).values(next_at=0))

    def rows(self) -> list[Any]:
        with reading(self.engine) as connection:
            query = select(alert_outbox).order_by(alert_outbox.c.message_id)
            return list(connection.execute(query))


@pytest.fixture
def mail(engine: Engine, book: AlertBook, receiver: Receiver) -> Post:
    return Post(engine, book, receiver)


def documented_verify() -> Any:
    """Give the recipe of the documentation, as a user would copy it."""
    page = Path(__file__).parents[3] / "docs" / "alerts.md"
    (recipe,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(recipe, names)
    return names["verify"]


def test_a_signed_cloud_event_arrives_once(
    book: AlertBook, hooked: Channels, receiver: Receiver, mail: Post
) -> None:
    book.take(make_signal())
    assert mail.deliver() == DeliveryReport(n_delivered=1)
    assert mail.deliver() == DeliveryReport()
    (request,) = receiver.received
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    verify = documented_verify()
    assert verify(request.headers, request.body, SECRET)
    assert not verify(request.headers, request.body + b" ", SECRET)
    assert not verify(request.headers, request.body, "other")
    assert not verify(request.headers, request.body, SECRET, tolerance_s=-1)
    event = json.loads(request.body)
    assert event["specversion"] == "1.0"
    assert event["id"] == request.headers["webhook-id"]
    assert event["type"] == "timonel.alert.firing"
    assert event["source"] == "/timonel/harbour"
    assert event["subject"] == "alerts/1"
    assert event["time"] == "2025-10-09T08:53:20Z"
    assert event["data"]["alert"]["facts"] == {"effect": 0.21, "n": 1200}
    assert event["data"]["steps"]
    (message,) = book.messages(1)
    assert (message.document()["state"], message.attempts) == ("delivered", 1)


def test_a_secret_may_be_any_text(
    book: AlertBook, hooked: Channels, receiver: Receiver, mail: Post
) -> None:
    mail.environment["HOOK_SECRET"] = "contraseña"
    book.take(make_signal())
    assert mail.deliver().n_delivered == 1
    (request,) = receiver.received
    assert documented_verify()(request.headers, request.body, "contraseña")


def test_a_receiver_that_fails_gets_the_same_message_later(
    book: AlertBook, hooked: Channels, receiver: Receiver, mail: Post
) -> None:
    receiver.answers = [500, 302, 200]
    receiver.headers = {"location": receiver.url}
    book.take(make_signal())
    first = mail.deliver()
    assert (first.n_failed, first.failures) == (1, ("hook: the receiver answered 500",))
    assert mail.deliver() == DeliveryReport()  # not due yet
    mail.let_time_pass()
    assert mail.deliver().failures == ("hook: the receiver answered 302: ok",)
    assert len(receiver.received) == 2  # the redirect was not followed
    mail.let_time_pass()
    assert mail.deliver().n_delivered == 1
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert len({request.body for request in receiver.received}) == 1


def test_a_receiver_that_does_not_answer_is_left_after_its_time(
    book: AlertBook, hooked: Channels, receiver: Receiver, mail: Post
) -> None:
    receiver.answers = [0]
    book.take(make_signal())
    assert mail.deliver().failures == ("hook: no answer (ReadTimeout)",)
    mail.environment["HOOK_URL"] = "http://127.0.0.1:1/"
    mail.let_time_pass()
    assert mail.deliver().failures == ("hook: no answer (ConnectError)",)


def test_an_alerts_messages_keep_their_order(
    book: AlertBook, hooked: Channels, receiver: Receiver, mail: Post
) -> None:
    receiver.answers = [503]
    book.take(make_signal())
    mail.deliver()
    book.resolve(1, "ana", "mended")
    assert mail.deliver() == DeliveryReport()  # its beginning has not arrived
    mail.let_time_pass()
    assert mail.deliver().n_delivered == 2
    types = [json.loads(request.body)["type"] for request in receiver.received[1:]]
    assert types == ["timonel.alert.firing", "timonel.alert.resolved"]


def test_a_dead_channel_is_told_by_the_others_and_loses_nothing(
    book: AlertBook,
    hooked: Channels,
    receiver: Receiver,
    mail: Post,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hooked.add(Channel("log", "log", language="es"))
    receiver.answers = [500] * 3
    for column in ("visits", "age"):
        book.take(make_signal(column=column))
    with caplog.at_level(logging.WARNING, "timonel.alerts"):
        for _ in range(2):
            mail.deliver()
            mail.let_time_pass()
    assert len(receiver.received) == 2  # one try a run, whatever waits
    (dead,) = (a for a in book.list() if a.kind is Kind.NOTIFIER_FAILED)
    assert (dead.column, dead.facts["waiting"]) == ("hook", 2)
    lines = [record.message for record in caplog.records if "heading" in record.message]
    headings = [json.loads(line)["heading"] for line in lines]
    assert headings[-1] == "ALTA: El canal hook no entrega"
    seen = "Fallaron 2 intentos; el último: el receptor respondió 500. Esperan 2 mensajes."
    assert json.loads(lines[-1])["seen"] == seen
    assert [message.channel for message in book.messages(dead.alert_id)] == ["log"]
    mail.deliver()
    mail.let_time_pass()
    # the first was given up after three attempts and stays, the second is tried
    assert book.messages(1)[0].document()["state"] == "given up"
    assert mail.deliver().n_delivered == 2  # and, to the log, that the channel works again
    assert book.get(dead.alert_id).state is State.RESOLVED
    assert mail.try_out("hook") == 1
    assert mail.deliver().n_delivered == 1
    assert {row.delivered_at is None for row in mail.rows()} == {False}
    assert json.loads(receiver.received[-2].body)["type"] == "timonel.alert.test"


def test_the_only_channel_dead_ends_with_a_visible_state(
    book: AlertBook, hooked: Channels, mail: Post
) -> None:
    del mail.environment["HOOK_SECRET"]
    book.take(make_signal())
    for _ in range(3):
        report = mail.deliver()
        mail.let_time_pass()
    assert report.n_given_up == 1
    assert report.failures == (
        "hook: the environment variable HOOK_SECRET is not set in this process",
    )
    assert mail.deliver() == DeliveryReport()
    (message,) = book.messages(1)
    found = message.document()
    assert (found["state"], found["attempts"]) == ("given up", 3)
    assert "HOOK_SECRET" in found["error"]


def test_one_that_asks_to_wait_is_left_alone(
    book: AlertBook, hooked: Channels, receiver: Receiver, mail: Post
) -> None:
    receiver.answers = [429]
    receiver.headers = {"retry-after": "1800"}
    book.take(make_signal())
    mail.deliver()
    receiver.headers = {}
    (row,) = mail.rows()
    before = row.next_at
    mail.let_time_pass()
    receiver.answers = [500]
    mail.deliver()
    (row,) = mail.rows()
    assert before - row.next_at > 1_500_000_000  # half an hour, against a minute


def test_workers_at_once_carry_each_message_once(
    book: AlertBook, hooked: Channels, receiver: Receiver, mail: Post
) -> None:
    for n in range(12):
        book.take(make_signal(column=f"c{n}"))
    start = threading.Barrier(4)

    def work(_: int) -> int:
        start.wait()
        return mail.deliver(patience=Patience(timeout_s=5)).n_delivered

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 12
    ids = [request.headers["webhook-id"] for request in receiver.received]
    assert len(ids) == len(set(ids)) == 12


def test_a_worker_that_dies_while_carrying_leaves_it_to_another(
    book: AlertBook, hooked: Channels, receiver: Receiver, mail: Post
) -> None:
    receiver.answers = [0]
    book.take(make_signal())
    with ThreadPoolExecutor(1) as pool:
        carrying = pool.submit(mail.deliver, patience=Patience(timeout_s=1.0))
        while not receiver.received:
            assert not carrying.done()
        assert mail.deliver() == DeliveryReport()  # it is leased
        mail.let_time_pass()  # as if the lease had ended
        assert mail.deliver().n_delivered == 1
        carrying.result()  # the first one comes back with its failure, and changes nothing
    (row,) = mail.rows()
    assert row.delivered_at is not None
    assert row.error is None


def test_slack(book: AlertBook, engine: Engine, receiver: Receiver, mail: Post) -> None:
    channels = Channels(engine, PROJECT, CLOCK)
    channels.add(Channel("slack", "slack", {"url_env": "SLACK"}, language="es"))
    book.take(make_signal(column="<a&b>", facts={"effect": 0.5, "n": 3}))
    book.resolve(1, "ana", "x")
    assert mail.deliver().n_delivered == 2
    firing, resolved = (json.loads(request.body) for request in receiver.received)
    assert firing["text"].startswith("🟠 ALTA: Deriva en &lt;a&amp;b&gt; de churn. Respecto")
    assert [block["type"] for block in firing["blocks"]] == [
        "header",
        "section",
        "section",
        "context",
    ]
    assert "*Se esperaba:*" in firing["blocks"][1]["text"]["text"]
    assert len(resolved["blocks"]) == 3
    assert resolved["blocks"][0]["text"]["text"].startswith("🟢 Resuelta:")


@on_sqlite_alone
@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "//host", "http://", "x"])
def test_only_http_addresses_are_asked(
    book: AlertBook, hooked: Channels, mail: Post, url: str
) -> None:
    mail.environment["HOOK_URL"] = url
    book.take(make_signal())
    (failure,) = mail.deliver().failures
    assert failure == "hook: its address is not one of http:// or https://"


def test_secrets_never_show(
    book: AlertBook, hooked: Channels, mail: Post, caplog: pytest.LogCaptureFixture
) -> None:
    mail.environment["HOOK_URL"] = "http://127.0.0.1:1/T0KEN"
    book.take(make_signal())
    report = mail.deliver()
    shown = caplog.text + str(report) + str(book.messages(1)) + str(hooked.list())
    assert "T0KEN" not in shown
    assert SECRET not in shown
    mail.environment["HOOK_SECRET"] = "whsec_n0t-base64!"
    with pytest.raises(DeliveryFailed) as failed:
        mail.try_out("hook")
    assert "n0t" not in str(failed.value)


def test_channels_are_kept_and_removed(
    book: AlertBook, hooked: Channels, receiver: Receiver, mail: Post
) -> None:
    with pytest.raises(ChannelExists, match="of kind webhook"):
        hooked.add(Channel("hook", "log"))
    hooked.add(Channel("a-log", "log"))
    assert [channel.name for channel in hooked.list()] == ["a-log", "hook"]
    assert hooked.get("hook").document()["options"] == {
        "secret_env": "HOOK_SECRET",
        "url_env": "HOOK_URL",
    }
    book.take(make_signal())
    assert remove_channel(mail.engine, PROJECT, CLOCK, "hook", raise_signal=book.hear) == 1
    with pytest.raises(UnknownChannel, match="the channels are a-log"):
        hooked.remove("hook")
    assert mail.deliver().n_delivered == 1
    assert receiver.received == []
    assert [message.document()["state"] for message in book.messages(1)] == [
        "delivered",
        "given up",
    ]


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"name": "a b"}, "name"),
        ({"kind": "pigeon"}, "kind"),
        ({"language": "fr"}, "language"),
        ({"options": {}}, "--url-env"),
        ({"options": {"url_env": "https://hooks.example/T0KEN"}}, "--url-env"),
        ({"options": {"url_env": "A", "secret_env": "s3cr3t-value"}}, "--secret-env"),
        ({"kind": "log", "options": {"url_env": "A"}}, "--url-env"),
        ({"kind": "slack", "options": {"url_env": "A", "secret_env": "B"}}, "--secret-env"),
    ],
)
def test_a_channel_that_cannot_work_is_refused_unrepeated(
    changes: dict[str, Any], option: str
) -> None:
    values = {"name": "hook", "kind": "webhook", "options": {"url_env": "HOOK"}} | changes
    with pytest.raises(InvalidChannel) as refused:
        Channel(**values)
    assert refused.value.context["option"] == option
    assert "T0KEN" not in str(refused.value)
    assert "s3cr3t" not in str(refused.value)
