import json
import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from timonel.events.drain import DrainReport
from timonel.events.frames import Frame, RefusalFrame
from timonel.events.segments import list_segments
from timonel.events.spool import SpoolWriter
from timonel.registry.manifest import OutcomePlan
from timonel.store.engine import make_engine
from timonel.store.errors import StoreUnavailable
from timonel.testing.events import PROJECT, START_US, Bench, Events, publish_plan, uuid_of


def refusal(events: Events, at: int = START_US, **changes: Any) -> RefusalFrame:
    values: dict[str, Any] = {"model": "churn", "code": "invalid_row", "fields": ["age"]}
    return RefusalFrame(id=events.id(), at=at, **(values | changes))


def test_refused_rows_are_counted_once_by_minute_reason_and_field(bench: Bench) -> None:
    events = Events()
    bench.write(
        refusal(events),  # as an older release wrote it: rows are not counted
        refusal(events, fields=["age", "@unknown"], n=3, rows=[2, 1]),
        refusal(events, START_US + 60_000_000, code="overloaded", fields=[]),
    )
    drainer = bench.drainer()
    drainer.drain_once()
    first = START_US // 60_000_000
    columns = ("model", "code", "minute", "n", "fields")
    late = ("churn", "overloaded", first + 1, 1, "{}")
    assert bench.rows("refusal_windows", *columns) == [
        ("churn", "invalid_row", first, 4, '{"@unknown":1,"age":3}'),
        late,
    ]
    bench.write(refusal(events, code="x" * 33), refusal(events, rows=[1]))
    report = drainer.drain_once()
    assert (report.n_refusals, report.n_dead) == (1, 1)
    bench.drainer().drain_once()  # another one finds nothing left to count
    assert bench.rows("refusal_windows", *columns) == [
        ("churn", "invalid_row", first, 5, '{"@unknown":1,"age":4}'),
        late,
    ]


def test_predictions_become_rows_windows_and_nothing_is_left(bench: Bench) -> None:
    events = Events()
    frames = [
        events.prediction(at=START_US + n * 10_000_000, latency_us=100 + n) for n in range(2500)
    ]
    bench.write(*frames, refusal(events), segment_bytes=50_000)
    report = bench.drainer().drain_once()
    assert report == DrainReport(n_frames=2501, n_inserted=2500, n_refusals=1)
    rows = bench.rows("predictions", "prediction_id", "at", "features", "score", "probabilities")
    assert len(rows) == 2500
    assert {row[0] for row in rows} == {uuid_of(frame.id) for frame in frames}
    assert rows[0][2:] == ('{"age":41.5}', 0.75, '{"no":0.25,"yes":0.75}')
    windows = bench.rows("minute_windows", "minute", "n", "latency_sum_us", "confidence_q")
    assert sum(n for _, n, _, _ in windows) == 2500
    assert sum(latency for *_, latency, _ in windows) == sum(f.latency_us for f in frames)
    assert sum(int(q) for *_, q in windows) == 2500 * 750_000
    histograms = [json.loads(h) for (h,) in bench.rows("minute_windows", "latency_histogram")]
    assert sum(map(sum, histograms)) == 2500
    assert not list_segments(bench.slot())
    assert bench.rows("drainers", "watermark") == [(bench.clock.now_us(),)]


def test_the_same_prediction_id_counts_once(bench: Bench) -> None:
    events = Events()
    known, twice, fresh = (events.prediction() for _ in range(3))
    bench.write(known)
    assert bench.drainer().drain_once().n_inserted == 1
    bench.write(known, twice, twice, fresh)
    report = bench.drainer().drain_once()
    assert (report.n_frames, report.n_inserted) == (4, 2)
    assert len(bench.rows("predictions")) == 3
    assert [n for (n,) in bench.rows("minute_windows", "n")] == [3]


def test_a_drained_spool_that_comes_back_is_not_counted_again(bench: Bench) -> None:
    bench.write(*(Events(seed).prediction() for seed in range(5)))
    segment = list_segments(bench.slot())[0]
    data = segment.path.read_bytes()
    bench.drainer().drain_once()
    segment.path.write_bytes(data)
    assert bench.drainer().drain_once().n_inserted == 0
    assert [n for (n,) in bench.rows("minute_windows", "n")] == [5]


def test_an_active_segment_is_drained_as_it_grows(bench: Bench) -> None:
    events = Events()
    writer = SpoolWriter.open(bench.slot())
    drainer = bench.drainer()
    for n in range(1, 4):
        writer.append(events.prediction())
        assert drainer.drain_once() == DrainReport(n_frames=1, n_inserted=1)
        assert len(list_segments(bench.slot())) == 1
        assert len(bench.rows("predictions")) == n
    assert bench.drainer().drain_once() == DrainReport()
    writer.close()
    bench.drainer().drain_once()
    assert not list_segments(bench.slot())


def test_keys_are_entered_only_for_models_that_declare_one(bench: Bench) -> None:
    publish_plan(bench.engine, PROJECT, "keyed", plan=OutcomePlan(key="rut"))
    publish_plan(bench.engine, PROJECT, "plain")
    keyed = Events(1, "keyed").prediction(key="12.345-6")
    bench.write(keyed, Events(2, "plain").prediction(key="k"), Events(3, "keyed").prediction())
    bench.drainer().drain_once()
    assert bench.rows("prediction_keys", "model", "key", "prediction_id") == [
        ("keyed", "12.345-6", uuid_of(keyed.id))
    ]


def test_what_no_row_can_hold_is_buried_and_blocks_nothing(bench: Bench) -> None:
    events = Events()
    good = events.prediction(explanation="a\0b")
    also = events.outcome("yes", prediction=events.id())
    bad: list[Frame] = [
        events.prediction(key="k" * 257),
        events.prediction(key="a\0b"),
        events.prediction(at=1 << 63),
        events.prediction(id=b"short"),
        events.prediction(features=b"\xff\xfe"),
        events.prediction(v=9),
        events.outcome("yes", key="x" * 300),
    ]
    bench.write(good, *bad, also)
    report = bench.drainer().drain_once()
    assert (report.n_dead, report.n_inserted, report.n_outcomes) == (len(bad), 1, 1)
    assert bench.rows("predictions", "explanation") == [("a\ufffdb",)]
    path = bench.slot() / "rejected" / "dead-letters.ndjson"
    letters = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(letters) == len(bad)
    assert "257 characters" in letters[0]["reason"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert not list_segments(bench.slot())


def test_a_row_that_the_database_alone_refuses_is_buried(bench: Bench) -> None:
    """The database has the last word: here a check of its own that we know nothing of."""
    if bench.engine.dialect.name == "sqlite":
        forbid = (
            "CREATE TRIGGER no_thirteen BEFORE INSERT ON predictions WHEN NEW.latency_us = 13 "
            "BEGIN SELECT RAISE(ABORT, 'no thirteen'); END"
        )
    else:
        forbid = "ALTER TABLE predictions ADD CONSTRAINT no_thirteen CHECK (latency_us <> 13)"
    with bench.engine.begin() as connection:
        connection.execute(text(forbid))
    events = Events()
    known = events.prediction()
    bench.write(known)
    bench.drainer().drain_once()
    frames = [events.prediction(latency_us=13 if n in (3, 7) else n) for n in range(10)]
    bench.write(known, *frames)
    report = bench.drainer().drain_once()
    assert (report.n_inserted, report.n_dead) == (8, 2)
    path = bench.slot() / "rejected" / "dead-letters.ndjson"
    assert path.read_text().count("thirteen") == 2
    assert len(bench.rows("predictions")) == 9
    assert sum(n for (n,) in bench.rows("minute_windows", "n")) == 9


def test_a_locked_database_loses_nothing_and_is_said(sqlite_bench: Bench) -> None:
    bench = sqlite_bench
    bench.write(*(Events(seed).prediction() for seed in range(20)))
    drainer = bench.drainer()
    stop = threading.Event()
    with bench.engine.connect() as other:
        other.exec_driver_sql("SELECT 1")  # begins IMMEDIATE: holds the write lock
        with pytest.raises(StoreUnavailable):
            drainer.drain_once()
        thread = threading.Thread(target=drainer.run, args=(stop,))
        thread.start()
        until = time.monotonic() + 60
        while drainer.failure is None and time.monotonic() < until:
            stop.wait(0.02)
        assert drainer.failure is not None
        assert drainer.report.lag_bytes > 20 * 100
    until = time.monotonic() + 120
    while not drainer.report.n_inserted and time.monotonic() < until:
        stop.wait(0.02)
    stop.set()
    thread.join()
    assert drainer.failure is None
    assert len(bench.rows("predictions")) == 20


def test_two_drainers_of_one_folder_never_drain_it_twice(bench: Bench) -> None:
    frames = [Events(seed).prediction() for seed in range(1200)]
    bench.write(*frames, segment_bytes=8_000)
    reports: list[DrainReport] = []

    def drain(name: str) -> None:
        drainer = bench.drainer(name=name)
        while list_segments(bench.slot()):
            with suppress(StoreUnavailable):  # locked for too long: the next turn finds it all
                reports.append(drainer.drain_once())

    threads = [threading.Thread(target=drain, args=(f"d{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.n_inserted for report in reports) == 1200
    assert len(bench.rows("predictions")) == 1200
    assert sum(n for (n,) in bench.rows("minute_windows", "n")) == 1200


def test_the_same_id_in_two_spools_counts_once_under_concurrency(bench: Bench) -> None:
    frames = [Events(seed).prediction() for seed in range(1500)]
    bench.write(*frames, slot="slot-0")
    bench.write(*reversed(frames), slot="slot-1")
    barrier = threading.Barrier(2)
    reports: list[DrainReport] = []

    def drain(slot: str) -> None:
        drainer = bench.drainer(slot, name=slot)
        barrier.wait()
        while list_segments(bench.slot(slot)):
            with suppress(StoreUnavailable):  # locked for too long: the next turn finds it all
                reports.append(drainer.drain_once())

    threads = [threading.Thread(target=drain, args=(f"slot-{n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # a turn that committed, and then met a lock, has reported nothing
    assert sum(report.n_inserted for report in reports) <= 1500
    assert sum(report.n_frames for report in reports) <= 3000
    assert len(bench.rows("predictions", "prediction_id")) == 1500
    assert sum(n for (n,) in bench.rows("minute_windows", "n")) == 1500


@pytest.mark.slow
def test_a_server_that_cuts_connections_loses_and_doubles_nothing(
    postgres_database: str, tmp_path: Path
) -> None:
    engine = make_engine(postgres_database)
    bench = Bench(engine, tmp_path)
    events = Events()
    frames = [events.prediction() for _ in range(4000)]
    bench.write(*frames, *(events.outcome("yes", prediction=f.id) for f in frames))
    publish_plan(engine, PROJECT, "churn", classes=["no", "yes"])
    drainer, stop, draw = bench.drainer(), threading.Event(), random.Random()
    thread = threading.Thread(target=drainer.run, args=(stop,))
    thread.start()
    n_cut = 0
    with psycopg.connect(postgres_database, autocommit=True) as killer:
        until = time.monotonic() + 120
        while list_segments(bench.slot()) and time.monotonic() < until:
            if n_cut < 5:
                stop.wait(draw.uniform(0.0, 0.06))
                cut = killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                n_cut += len(cut.fetchall())
            stop.wait(0.02)
    stop.set()
    thread.join()
    bench.drainer().drain_once()
    assert n_cut > 0
    assert len(bench.rows("predictions", "at")) == 4000
    assert sum(n for (n,) in bench.rows("minute_windows", "n")) == 4000
    assert [n for n, _, _ in bench.cells().values()] == [4000]
    engine.dispose()
