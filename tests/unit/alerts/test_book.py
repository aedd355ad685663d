import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from timonel.alerts.alert import Alert, State
from timonel.alerts.book import AlertBook
from timonel.alerts.channels import Channels
from timonel.alerts.errors import AlertChanged, AlertPending, UnknownAlert
from timonel.alerts.rows import Choice
from timonel.signals import Kind, Severity
from timonel.store.engine import reading
from timonel.store.tables_loop import alert_outbox, alerts
from timonel.testing.alerts import MINUTE, START, make_signal, take_at_barrier

ALL = Choice(list(State))


def take(book: AlertBook, *signal: Any, **changes: Any) -> Alert:
    found = book.take(make_signal(*signal, **changes))
    assert found is not None
    return found


def outbox(engine: Engine) -> list[tuple[str, str, dict[str, Any]]]:
    row = alert_outbox.c
    with reading(engine) as connection:
        found = connection.execute(
            select(row.channel, row.event, row.body).order_by(row.message_id)
        )
        return [(r.channel, r.event, msgspec.json.decode(r.body)) for r in found]


def events(engine: Engine, channel: str = "all") -> list[str]:
    return [event for name, event, _ in outbox(engine) if name == channel]


def test_an_alert_from_its_first_signal_to_its_end(
    book: AlertBook, channels: Channels, engine: Engine
) -> None:
    alert = take(book)
    assert (alert.alert_id, alert.state, alert.fired_at) == (1, State.FIRING, START)
    for minute in range(1, 4):
        take(book, minute, facts={"effect": np.float64(minute / 10), "bad": float("nan")})
    assert book.get(1).n_seen == 4
    assert book.get(1).facts == {"effect": 0.3, "bad": None}
    take(book, 5, "clear")
    ended = take(book, 6, "clear")
    assert (ended.state, ended.resolved_by) == (State.RESOLVED, None)
    assert ended.resolved_at == START + 6 * MINUTE
    moves = [(e.from_state, e.to_state, e.at, e.who) for e in book.history(1)]
    assert moves == [
        ("", "firing", START, ""),
        ("firing", "resolved", START + 6 * MINUTE, ""),
    ]
    told = outbox(engine)
    assert [(channel, event) for channel, event, _ in told] == [
        ("all", "firing"),
        ("urgent", "firing"),
        ("all", "resolved"),
        ("urgent", "resolved"),
    ]
    assert told[0][2]["heading"] == "ALTA: Deriva en visits de churn"
    assert told[1][2]["heading"] == "HIGH: Drift in visits of churn"
    assert told[1][2]["link"] == "timonel alerts show 1"
    assert take(book, 9).alert_id == 2


def test_channels_hear_from_their_severity_on(
    book: AlertBook, channels: Channels, engine: Engine
) -> None:
    take(book, severity=Severity.MEDIUM)
    assert [channel for channel, _, _ in outbox(engine)] == ["all"]
    take(book, 1, severity=Severity.CRITICAL)
    assert [(channel, event) for channel, event, _ in outbox(engine)[1:]] == [
        ("all", "worse"),
        ("urgent", "worse"),
    ]


def test_what_never_fires_tells_nobody(book: AlertBook, channels: Channels, engine: Engine) -> None:
    for minute, condition in enumerate(("holds", "clear", "unknown", "clear")):
        take(book, minute, condition, kind=Kind.SLOW_RESPONSE)
    assert book.get(1).state is State.RESOLVED
    assert outbox(engine) == []
    assert book.list() == []


@pytest.mark.parametrize("condition", ["clear", "unknown"])
def test_nothing_comes_of_nothing(book: AlertBook, condition: str) -> None:
    assert book.take(make_signal(condition=condition)) is None
    assert book.list(ALL) == []


def test_one_alert_a_fingerprint(book: AlertBook) -> None:
    take(book)
    take(book, 1)
    take(book, 1, column="age")
    take(book, 1, version="1.1.0")
    take(book, 1, model="demand")
    assert [a.alert_id for a in book.list()] == [4, 3, 2, 1]
    assert [a.alert_id for a in book.list(Choice(model="demand"))] == [4]
    assert [a.alert_id for a in book.list(Choice(before=4, limit=2))] == [3, 2]


def test_names_longer_than_their_columns_do_no_harm(book: AlertBook) -> None:
    alert = take(book, column="ñ\0" * 200, monitor="m" * 99)
    assert len(alert.column) == 256
    assert "\0" not in alert.column
    assert take(book, 1, column="ñ\0" * 200, monitor="m" * 99).alert_id == alert.alert_id


def test_taking_resolving_and_who_was_first(
    book: AlertBook, channels: Channels, engine: Engine
) -> None:
    seen = take(book)
    taken = book.acknowledge(1, "ana", "looking at it", revision=seen.revision)
    assert taken.state is State.ACKNOWLEDGED
    with pytest.raises(AlertChanged, match=r"acknowledged since .*Z, changed by ana \(\"looking"):
        book.acknowledge(1, "luis")
    with pytest.raises(AlertChanged) as conflict:
        book.resolve(1, "luis", "not mine", revision=seen.revision)
    assert "está tomada desde" in conflict.value.message("es")
    assert "la cambió ana" in conflict.value.message("es")
    done = book.resolve(1, "luis", "the feed is mended")
    assert (done.state, done.resolved_by, done.note) == (
        State.RESOLVED,
        "luis",
        "the feed is mended",
    )
    with pytest.raises(AlertChanged, match="resolved since"):
        book.resolve(1, "ana")
    assert [(e.to_state, e.who, e.note) for e in book.history(1)] == [
        ("firing", "", ""),
        ("acknowledged", "ana", "looking at it"),
        ("resolved", "luis", "the feed is mended"),
    ]
    assert events(engine) == ["firing", "resolved"]


def test_what_is_not_there_or_not_yet_firing(book: AlertBook) -> None:
    take(book, kind=Kind.SLOW_RESPONSE)
    with pytest.raises(AlertPending):
        book.acknowledge(1, "ana")
    for ask in (book.get, book.history, lambda number: book.resolve(number, "ana")):
        with pytest.raises(UnknownAlert):
            ask(7)


def test_resolved_by_hand_it_is_quiet_until_clear(
    book: AlertBook, channels: Channels, engine: Engine
) -> None:
    take(book)
    book.resolve(1, "ana", "known")
    for minute in (1, 2, 3):
        assert take(book, minute).state is State.RESOLVED
    take(book, 4, "clear")
    assert take(book, 5).alert_id == 2
    assert events(engine) == ["firing", "resolved", "firing"]


def test_silence_keeps_the_state_and_tells_nobody(
    book: AlertBook, channels: Channels, engine: Engine
) -> None:
    take(book, severity=Severity.MEDIUM)
    silent = book.silence(1, START + 60 * MINUTE, "ana", "maintenance")
    assert silent.state is State.FIRING
    take(book, 1, severity=Severity.CRITICAL)
    assert take(book, 2).severity is Severity.CRITICAL
    take(book, 3, "clear")
    assert take(book, 4, "clear").state is State.RESOLVED
    again = take(book, 30)
    assert (again.alert_id, again.state, again.notified_at) == (2, State.FIRING, None)
    assert events(engine) == ["firing"]
    assert book.history(1)[-1].note == "(silenced)"
    assert book.history(1)[1].note == "silenced until 2025-10-09T09:53:20Z: maintenance"
    take(book, 61)
    assert events(engine) == ["firing", "firing"]


def test_a_dead_service_explains_drift(book: AlertBook, channels: Channels, engine: Engine) -> None:
    down = {"kind": Kind.SERVICE_DOWN, "monitor": "health", "column": "", "version": ""}
    take(book, 0, **down)
    take(book, 1, **down)
    assert take(book, 2).state is State.FIRING
    take(book, 2, model="demand")
    assert [body["alert"]["kind"] for _, _, body in outbox(engine)[::2]] == [
        "SERVICE_DOWN",
        "DRIFT_DETECTED",
    ]
    assert outbox(engine)[-1][2]["alert"]["model"] == "demand"
    for minute in (3, 4):
        take(book, minute, "clear", **down)
    take(book, 5)  # still there when the service is back: now it is told
    assert outbox(engine)[-1][2]["alert"]["model"] == "churn"
    assert outbox(engine)[-1][1] == "firing"


def test_what_comes_and_goes_is_said_once(
    book: AlertBook, channels: Channels, engine: Engine
) -> None:
    for minute in range(0, 30, 3):
        take(book, minute)
        take(book, minute + 1, "clear")
        take(book, minute + 2, "clear")
    assert events(engine) == ["firing", "resolved", "firing", "resolved", "flapping"]
    heading = outbox(engine)[-1][2]
    assert heading["heading"] == "Comes and goes: Drift in visits of churn"
    assert "four times" in heading["seen"]
    take(book, 31)
    assert len(events(engine)) == 5
    for minute in range(35, 120, 5):
        take(book, minute)
    assert events(engine)[5:] == ["firing"]  # calm for an hour, and still there


def test_versions_that_no_longer_serve_leave_no_alerts(
    book: AlertBook, channels: Channels, engine: Engine
) -> None:
    take(book)
    take(book, version="1.1.0")
    take(book, version="", kind=Kind.JOB_FAILED)
    take(book, model="demand")
    gone = book.retire("churn", ["1.1.0"], "1.1.0 is in production")
    assert [alert.alert_id for alert in gone] == [1]
    assert [alert.alert_id for alert in book.list()] == [4, 3, 2]
    assert book.history(1)[-1].note == "1.1.0 is in production"
    assert events(engine)[-1] == "resolved"


def test_a_failure_to_take_is_logged_never_raised(
    book: AlertBook, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    alerts.drop(engine)
    book.hear(make_signal())
    assert "DRIFT_DETECTED|churn" in caplog.text


def test_statistics_say_what_they_cannot_say(book: AlertBook) -> None:
    empty = book.statistics(START).document()
    assert empty["n_fired"] == 0
    assert empty["to_acknowledge"] == {"median_s": None, "n": 0, "reason": "none_fired"}
    take(book, 0, kind=Kind.SLOW_RESPONSE)
    take(book, 0)
    assert book.statistics(START).to_resolve.reason == "none_resolved"
    take(book, 2, "clear")
    take(book, 10, "clear")
    take(book, 10, column="age", severity=Severity.LOW)
    found = book.statistics(START)
    assert (found.n_fired, found.n_pending_only, found.n_ended_alone) == (2, 1, 1)
    assert found.by_severity == {"HIGH": 1, "LOW": 1}
    assert found.by_state == {"firing": 1, "resolved": 1}
    assert found.to_resolve.document() == {"median_s": 600.0, "n": 1, "reason": None}
    assert found.to_acknowledge.reason == "none_acknowledged"
    book.acknowledge(3, "ana")
    assert book.statistics(START).to_acknowledge.n == 1
    assert book.statistics(START + 5 * MINUTE).n_fired == 1


def test_processes_that_see_the_same_make_one_alert(
    book: AlertBook, channels: Channels, engine: Engine, database: str
) -> None:
    context = multiprocessing.get_context("forkserver")
    barrier, results = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=take_at_barrier, args=(database, barrier, results)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(30)
    assert found[0] == found[1]
    assert len(found[0]) == 10
    assert len(book.list(ALL)) == 2
    assert events(engine) == ["firing", "firing"]
    assert {book.get(number).n_seen for number in (1, 2)} == {5}


def test_threads_that_open_and_decide_at_once(
    book: AlertBook, channels: Channels, engine: Engine
) -> None:
    def work(n: int) -> bool:
        take(book, 0, column=f"c{n % 4}")
        try:
            book.acknowledge(1 + n % 4, f"person {n}")
        except (AlertChanged, UnknownAlert):
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(work, range(16)))
    assert sum(won) == sum(a.state is State.ACKNOWLEDGED for a in book.list())
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(alerts)) == 4
    assert sorted(a.alert_id for a in book.list()) == [1, 2, 3, 4]
    assert events(engine) == ["firing"] * 4
