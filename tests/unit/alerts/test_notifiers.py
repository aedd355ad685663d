"""Mail, PagerDuty and functions of a project, against real counterparts that misbehave."""

import asyncio
import fcntl
import json
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import Engine, update

from timonel.alerts.alert import Mark, State
from timonel.alerts.book import AlertBook
from timonel.alerts.channels import Channel, Channels
from timonel.alerts.errors import InvalidChannel
from timonel.alerts.outbox import DeliveryReport, Patience, deliver_due, try_channel
from timonel.clock import AffineClock
from timonel.signals import Kind
from timonel.store.tables_loop import NEVER_AGAIN, alert_outbox
from timonel.testing.alerts import PROJECT, Receiver, make_signal, open_book, open_receiver

CLOCK = AffineClock()
QUICK = Patience(timeout_s=5.0, attempts=3)


@pytest.fixture
def opened(sqlite_database: str) -> Iterator[tuple[Engine, AlertBook]]:
    with open_book(sqlite_database) as opened:
        yield opened


class Mailbox:
    """Keeps mails; answers the next ones with the given lines."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answers: list[str] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.answers:
            return self.answers.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 kept"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    box, loop = Mailbox(), asyncio.new_event_loop()
    server = loop.run_until_complete(
        loop.create_server(lambda: SMTP(box, loop=loop), "127.0.0.1", 0)
    )
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield box, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Post:
    """Delivers what is due, with an environment and a project folder."""

    def __init__(self, engine: Engine, book: AlertBook, folder: Path | None = None) -> None:
        self.engine, self.book, self.folder = engine, book, folder
        self.environment: dict[str, str] = {}
        self.channels = Channels(engine, PROJECT, CLOCK)

    def deliver(self, patience: Patience = QUICK) -> DeliveryReport:
        return deliver_due(
            self.engine,
            PROJECT,
            CLOCK,
            environment=self.environment,
            raise_signal=self.book.hear,
            folder=self.folder,
            patience=patience,
        )

    def let_time_pass(self) -> None:
        waits = alert_outbox.c.next_at != NEVER_AGAIN
        with self.engine.begin() as connection:
            connection.execute(update(alert_outbox).where(waits).values(next_at=0))


@pytest.fixture
def post(opened: tuple[Engine, AlertBook], tmp_path: Path) -> Post:
    return Post(*opened, folder=tmp_path)


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content())


def test_mail_is_threaded_by_its_alert_and_repeated_with_the_same_id(
    post: Post, mailbox: tuple[Mailbox, str]
) -> None:
    box, post.environment["MAIL"] = mailbox
    options = {"url_env": "MAIL", "sender": "timonel@harbour.example", "to": "ana@harbour.example"}
    post.channels.add(Channel("mail", "email", options, language="es"))
    box.answers = ["451 not now", "554 never of you"]
    post.book.take(make_signal())
    assert post.deliver().failures == ("mail: the mail server answered 451",)
    post.let_time_pass()
    assert post.deliver().failures == ("mail: the mail server answered 554",)
    post.let_time_pass()
    assert post.deliver().n_delivered == 1
    post.book.resolve(1, "ana", "mended")
    post.deliver()
    first, last = box.mails
    assert first["subject"] == "[harbour] ALTA: Deriva en visits de churn"
    assert first["to"] == "ana@harbour.example"
    assert "Qué hacer" in text_of(first)
    assert last["subject"] == "[harbour] Resuelta: Deriva en visits de churn"
    assert first["references"] == last["references"] == "<timonel-harbour-1@harbour.example>"
    (sent, _) = post.book.messages(1)
    assert first["message-id"] == f"<{sent.message_id}@harbour.example>"


def test_what_moved_together_is_one_mail(post: Post, mailbox: tuple[Mailbox, str]) -> None:
    box, post.environment["MAIL"] = mailbox
    options = {"url_env": "MAIL", "sender": "t@h.example", "to": "a@h.example, b@h.example"}
    post.channels.add(Channel("mail", "email", options))
    for column in ("visits", "age", "debt"):
        post.book.take(make_signal(column=column))
    post.book.take(make_signal(model="demand"))
    assert post.deliver().n_delivered == 2
    whole, other = sorted(box.mails, key=lambda mail: "demand" in mail["subject"])
    assert whole["subject"] == "[harbour] HIGH: Drift in visits of churn (+2)"
    assert "With it: Drift in age of churn; Drift in debt of churn." in text_of(whole)
    assert "(+" not in other["subject"]
    for minute in (1, 2):
        for column in ("visits", "age", "debt"):
            post.book.take(make_signal(minute, "clear", column=column))
    assert post.deliver().n_delivered == 1
    assert box.mails[-1]["subject"] == "[harbour] Resolved: Drift in visits of churn (+2)"


def test_a_dead_mail_server_and_a_password_without_tls(
    post: Post, mailbox: tuple[Mailbox, str]
) -> None:
    box, url = mailbox
    options = {"url_env": "MAIL", "sender": "t@h.example", "to": "a@h.example"}
    post.channels.add(Channel("mail", "email", options))
    post.book.take(make_signal())
    post.environment["MAIL"] = url.replace("//", "//ana:hunter2@")
    (failure,) = post.deliver().failures
    assert failure == ("mail: the mail server offers no TLS, and a password is not sent without it")
    post.let_time_pass()
    post.environment["MAIL"] = "smtp://ana:hunter2@127.0.0.1:1"
    assert post.deliver().failures == ("mail: no answer (ConnectionRefusedError)",)
    post.let_time_pass()
    post.environment["MAIL"] = "http://mail.example"
    assert post.deliver().failures == ("mail: its address is not one of smtp:// or smtps://",)
    assert box.mails == []
    (waiting,) = post.book.messages(1)
    assert "hunter2" not in str(waiting.document())
    # nothing is lost: the server lives again, and a test sends what was given up
    post.environment["MAIL"] = url
    n = try_channel(
        post.engine,
        PROJECT,
        CLOCK,
        "mail",
        environment=post.environment,
        raise_signal=post.book.hear,
    )
    assert n >= 1
    assert post.deliver().n_delivered >= 1
    assert box.mails[0]["subject"] == "[harbour] Test of the channel mail"


def test_pagerduty_opens_and_ends_an_incident_once(post: Post) -> None:
    post.channels.add(Channel("duty", "pagerduty", {"key_env": "KEY", "url_env": "DUTY"}))
    with open_receiver() as receiver:
        post.environment |= {"KEY": "R0UT1NG", "DUTY": receiver.url}
        receiver.answers = [202, 429, 202, 202]
        post.book.take(make_signal())
        post.deliver()
        post.book.resolve(1, "ana", "mended")
        assert post.deliver().n_failed == 1
        post.let_time_pass()
        post.deliver()
        events = received(receiver)
    assert [event["event_action"] for event in events] == ["trigger", "resolve", "resolve"]
    assert {event["dedup_key"] for event in events} == {"timonel/harbour/alert-1"}
    assert {event["routing_key"] for event in events} == {"R0UT1NG"}
    payload = events[0]["payload"]
    assert payload["severity"] == "error"
    assert payload["summary"].startswith("HIGH: Drift in visits of churn")
    assert (payload["component"], payload["class"]) == ("churn", "DRIFT_DETECTED")


def received(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in receiver.received]


HANDLERS = """
import fcntl, json, os, time
from pathlib import Path

def keep(message):
    assert "TIMONEL_ADMIN_KEY" not in os.environ
    with Path("kept.jsonl").open("a") as file:
        file.write(json.dumps(message) + "\\n")

def fail(message):
    print("noise")
    raise ValueError("no such ward")

def hang(message):
    lock = Path("lock").open("a")
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.fork()  # and its child holds it too
    time.sleep(600)
"""


def test_a_function_of_the_project_is_called_apart_and_in_time(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert post.folder is not None
    monkeypatch.setenv("TIMONEL_ADMIN_KEY", "secret")
    (post.folder / "handlers.py").write_text(HANDLERS)
    for name in ("keep", "fail"):
        post.channels.add(Channel(name, "function", {"function": f"handlers:{name}"}))
    post.book.take(make_signal())
    report = post.deliver(Patience(timeout_s=60.0))
    assert (report.n_delivered, report.n_failed) == (1, 1)
    assert report.failures == ("fail: handlers:fail ended with ValueError: no such ward",)
    (line,) = (post.folder / "kept.jsonl").read_text().splitlines()
    message = json.loads(line)
    assert (message["event"], message["alert"]["alert_id"]) == ("firing", 1)
    kept = [m for m in post.book.messages(1) if m.channel == "keep"]
    assert message["message_id"] == str(kept[0].message_id)
    for name in ("keep", "fail"):
        post.channels.remove(name)
    post.channels.add(Channel("hang", "function", {"function": "handlers:hang"}))
    post.book.take(make_signal(column="age"))
    report = post.deliver(Patience(timeout_s=2.0))
    assert report.failures == ("hang: handlers:hang had no end after 2 s",)
    with (post.folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # what it started was ended with it, or this never ends


def test_a_package_offers_a_notifier_by_entry_point(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert post.folder is not None
    package = post.folder / "pager"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "send.py").write_text(
        "from pathlib import Path\n\nclass Pager:\n    @staticmethod\n"
        "    def page(message):\n        Path('paged').write_text(message['heading'])\n"
    )
    installed = post.folder / "pager-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: pager\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[timonel.notifiers]\npager = pager.send:Pager.page\n"
    )
    monkeypatch.syspath_prepend(post.folder)
    post.channels.add(Channel("duty", "plugin", {"plugin": "pager"}))
    post.channels.add(Channel("none", "plugin", {"plugin": "absent"}))
    post.book.take(make_signal())
    report = post.deliver(Patience(timeout_s=60.0))
    assert (report.n_delivered, report.n_failed) == (1, 1)
    assert "Drift in visits of churn" in (post.folder / "paged").read_text()
    (failure,) = report.failures
    assert failure == "none: no installed package offers the notifier absent; found: pager"


def test_a_next_step_hears_what_nobody_took(opened: tuple[Engine, AlertBook]) -> None:
    engine, _ = opened
    clock = AffineClock()
    start = clock.now_us()
    channels = Channels(engine, PROJECT, clock)
    channels.add(Channel("team", "log"))
    channels.add(Channel("chief", "log", {"escalate_after": "30m"}))

    def at(minute: float) -> AlertBook:
        return AlertBook(
            engine, PROJECT, AffineClock(real_us=start, event_us=start + round(minute * 6e7))
        )

    def told(alert_id: int) -> list[tuple[str, str]]:
        return [(m.channel, m.event) for m in at(0).messages(alert_id)]

    for column in ("visits", "age"):
        at(0).take(make_signal(column=column, minute=(start - 1_760_000_000_000_000) / 6e7))
    at(1).acknowledge(2, "ana")
    assert at(29).escalate() == 0
    assert at(31).escalate() == 1
    assert at(32).escalate() == 0
    assert told(1) == [("team", "firing"), ("chief", "escalated")]
    assert told(2) == [("team", "firing")]
    assert at(31).history(1)[-1].note == "escalated: chief"
    for alert_id in (1, 2):
        at(40).resolve(alert_id, "ana", "mended")
    assert told(1)[2:] == [("chief", "resolved"), ("team", "resolved")]
    assert told(2)[1:] == [("team", "resolved")]


def test_marks_judge_a_rule(opened: tuple[Engine, AlertBook]) -> None:
    _, book = opened
    effects = {"a": 0.31, "b": 0.05, "c": 0.08, "d": 0.07, "e": 0.2}
    for column, effect in effects.items():
        book.take(make_signal(column=column, facts={"effect": effect}))
    book.take(make_signal(kind=Kind.JOB_FAILED, monitor="jobs", column=""))
    marks = {1: Mark.USEFUL, 2: Mark.FALSE_ALARM, 3: Mark.FALSE_ALARM, 4: Mark.USEFUL}
    for alert_id, worth in marks.items():
        book.mark(alert_id, worth, "ana", "asked the ward")
    assert book.get(2).mark is Mark.FALSE_ALARM
    assert book.get(2).state is State.FIRING
    assert book.history(2)[-1].note == "false_alarm: asked the ward"
    failed, drift = sorted(book.statistics(0).by_rule, key=lambda rule: rule.n_fired)
    assert (drift.n_fired, drift.n_useful, drift.n_false, drift.precision) == (5, 2, 2, 0.5)
    assert (drift.threshold, drift.setting, drift.n_lost) == (0.09, "Watch(floor=)", 1)
    assert drift.lower is not None
    assert drift.lower < 0.5
    assert (failed.precision, failed.threshold) == (None, None)
    book.mark(2, Mark.USEFUL, "ana")
    assert book.statistics(0).by_rule[0].n_false == 1


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        ("email", {"url_env": "M", "sender": "x@h.example", "to": "a@h.example\nBcc: b@c"}, "--to"),
        ("email", {"url_env": "M", "sender": "x", "to": "a@h.example"}, "--sender"),
        ("email", {"sender": "x@h.example", "to": "a@h.example"}, "--url-env"),
        ("pagerduty", {"key_env": "r0ut1ng-key"}, "--key-env"),
        ("function", {"function": "os:system('x')"}, "--function"),
        ("log", {"escalate_after": "soon"}, "--escalate-after"),
        ("log", {"function": "a:b"}, "--function"),
    ],
)
def test_options_that_cannot_work_are_refused_by_name(
    kind: str, options: dict[str, str], named: str
) -> None:
    with pytest.raises(InvalidChannel) as refused:
        Channel("one", kind, options)
    assert named in str(refused.value)
    assert "Bcc" not in str(refused.value)
