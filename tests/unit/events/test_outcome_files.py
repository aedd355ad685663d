import csv
import json
import os
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from tests.databases import on_sqlite_alone

from timonel.events.accumulators import default_accumulators
from timonel.events.errors import UndatedTruths, UnusableMapping
from timonel.events.importing.files import ImportReport, import_outcomes, neutral
from timonel.events.importing.reading import Columns, identities
from timonel.events.importing.texts import Fate
from timonel.registry.manifest import OutcomePlan
from timonel.testing.events import PROJECT, START_US, Bench, Events, publish_plan

DAY_US = 86_400_000_000
START = datetime.fromtimestamp(START_US / 1e6, UTC)
COLUMNS = Columns(key="rut", value="left", time="when")


@pytest.fixture
def events(bench: Bench) -> Events:
    plan = OutcomePlan(key="rut", horizon_s=30 * 86_400)
    publish_plan(bench.engine, PROJECT, "churn", classes=[0, 1], plan=plan)
    return Events(3)


def load(bench: Bench, rows: list[dict[str, Any]], columns: Columns = COLUMNS) -> ImportReport:
    bench.root.mkdir(exist_ok=True)
    return import_outcomes(
        bench.engine,
        rows,
        columns,
        project=PROJECT,
        model="churn",
        timezone="America/Santiago",
        spool=bench.root,
        clock=bench.clock,
        rejected=bench.root / "rejected.csv",
        accumulators=default_accumulators(bench.engine, PROJECT),
    )


def test_each_row_is_joined_or_told_why_not(bench: Bench, events: Events) -> None:
    bench.write(
        events.prediction(key="1-9", prediction=1),
        events.prediction(key="2-7", prediction=0),
        events.prediction(key="7", prediction=0),
    )
    bench.clock.advance(2 * 86_400)
    bench.drainer().drain_once()
    after = START + timedelta(hours=1)
    rows: list[dict[str, Any]] = [
        {"rut": "1-9", "left": 1, "when": after},
        {"rut": " 2-7 ", "left": "1.0", "when": after.isoformat()},
        {"rut": 7.0, "left": False, "when": (START + timedelta(days=1)).date()},
        {"rut": "1-9", "left": "0", "when": after + timedelta(minutes=1)},
        {"rut": "2-7", "left": 1, "when": (START - timedelta(days=3)).date()},
        {"rut": "=cmd()", "left": 1, "when": after},
        {"rut": "1-9", "left": "maybe", "when": after},
        {"rut": "1-9", "left": None, "when": after},
        {"rut": None, "left": 1, "when": after},
        {"rut": "1-9", "left": 1, "when": "31/03/26"},
        {"rut": "1-9", "left": 1, "when": after},
    ]
    report = load(bench, rows)
    assert report.counts == {
        Fate.JOINED: 3,
        Fate.REVISED: 2,
        Fate.EARLY: 1,
        Fate.UNKNOWN: 1,
        Fate.INVALID: 4,
    }
    assert [one.row for one in report.rows] == [5, 6, 7, 8, 9, 10]
    assert report.rejected is not None
    with report.rejected.open(encoding="utf-8-sig", newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["rut"] for row in written] == ["'=cmd()", "1-9", "1-9", "", "1-9"]
    assert "expected one of 0, 1" in written[1]["reason"]
    assert "5" in report.render("es")
    assert report.render("en") != report.render("es")
    again = load(bench, rows)
    assert again.counts == {Fate.IDENTICAL: 5, Fate.EARLY: 1, Fate.UNKNOWN: 1, Fate.INVALID: 4}
    assert sum(n for n, _, _ in bench.cells().values()) == 3
    assert not [path for path in bench.root.iterdir() if path.name.startswith("import-")]


def test_by_prediction_id_without_a_time(bench: Bench, events: Events) -> None:
    p = events.prediction(prediction=1)
    bench.write(p)
    bench.drainer().drain_once()
    rows: list[dict[str, Any]] = [
        {"id": str(UUID(bytes=p.id)), "y": 1},
        {"id": str(UUID(bytes=events.id())), "y": 1},
        {"id": "123", "y": 1},
    ]
    report = load(bench, rows, Columns(prediction_id="id", value="y"))
    assert report.counts == {Fate.JOINED: 1, Fate.EARLY: 1, Fate.INVALID: 1}
    assert "expected a prediction id" in report.rows[1].reason


def test_a_key_without_a_time_means_the_last_prediction(bench: Bench, events: Events) -> None:
    old = events.prediction(key="k", at=START_US - DAY_US)
    new = events.prediction(key="k", at=START_US)
    bench.write(old, new)
    bench.drainer().drain_once()
    report = load(bench, [{"k": "k", "y": 1}], Columns(key="k", value="y"))
    assert report.counts == {Fate.JOINED: 1}
    assert bench.rows("truths", "prediction_id") == [(UUID(bytes=new.id),)]


def test_naive_times_and_days_are_of_the_project(bench: Bench, events: Events) -> None:
    """A day's truth belongs to the last prediction of that day in Santiago."""
    day = date(2025, 6, 15)  # UTC-4
    noon, night, next_day = (
        round(datetime(2025, 6, d, h, tzinfo=UTC).timestamp() * 1e6)
        for d, h in ((15, 16), (16, 3), (16, 5))
    )
    frames = [events.prediction(key="k", at=at) for at in (noon, night, next_day)]
    bench.write(*frames)
    bench.clock.advance(86_400)
    bench.drainer().drain_once()
    load(bench, [{"k": "k", "y": 1, "t": str(day)}], Columns(key="k", value="y", time="t"))
    assert bench.rows("truths", "prediction_id") == [(UUID(bytes=frames[1].id),)]
    load(
        bench,
        [{"k": "k", "y": 1, "t": datetime(2025, 6, 15, 13)}],  # noqa: DTZ001
        Columns(key="k", value="y", time="t"),
    )
    assert (UUID(bytes=frames[0].id),) in bench.rows("truths", "prediction_id")


@on_sqlite_alone
@pytest.mark.parametrize(
    "columns",
    [
        Columns(key="nope", value="y"),
        Columns(value="y"),
        Columns(key="k", prediction_id="k", value="y"),
    ],
)
def test_columns_that_are_not_there_are_named(bench: Bench, columns: Columns) -> None:
    with pytest.raises(UnusableMapping, match="found the columns k, y"):
        load(bench, [{"k": "k", "y": 1}], columns)


@pytest.mark.parametrize(
    ("cell", "written"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("-5", "-5"), ("+1,5", "'+1,5"), (None, ""), (3, "3")],
)
def test_formulas_are_neutralised(cell: object, written: str) -> None:
    assert neutral(cell) == written


def test_what_a_killed_import_left_is_removed_a_day_later(bench: Bench, events: Events) -> None:
    bench.write(events.prediction(key="1-9"))
    bench.drainer().drain_once()
    killed, running = bench.root / "import-killed", bench.root / "import-running"
    for folder in (killed, running):
        folder.mkdir()
        (folder / "00-00000000.spool").write_bytes(b"half")
    long_ago = time.time() - 2 * 86_400
    os.utime(killed, (long_ago, long_ago))
    load(bench, [{"rut": "1-9", "left": 1, "when": START + timedelta(hours=1)}])
    assert [path.name for path in bench.root.glob("import-*")] == ["import-running"]


def test_rejected_is_not_written_when_all_rows_are_used(bench: Bench, events: Events) -> None:
    bench.write(events.prediction(key="k", prediction=0))
    bench.drainer().drain_once()
    report = load(bench, [{"k": "k", "y": 0}, {"k": "k", "y": 0}], Columns(key="k", value="y"))
    assert report.counts == {Fate.JOINED: 1, Fate.IDENTICAL: 1}
    assert report.rejected is None
    assert not Path(bench.root / "rejected.csv").exists()


def truths_of(bench: Bench, left: dict[str, int], as_of: str | None = None) -> ImportReport:
    rows = [{"rut": rut, "left": value} for rut, value in left.items()]
    return load(bench, rows, Columns(key="rut", value="left", as_of=as_of))


def test_a_row_that_stands_unchanged_after_new_predictions_is_asked_about(
    bench: Bench, events: Events
) -> None:
    november = {"1-9": 0, "2-7": 0, "3-5": 1}
    for month in range(2):
        now = bench.clock.now_us()
        bench.write(*(events.prediction(key=rut, prediction=0, at=now) for rut in november))
        bench.clock.advance(20 * 86_400)
        bench.drainer().drain_once()
        if month == 0:
            assert truths_of(bench, november).counts == {Fate.JOINED: 3}
            assert truths_of(bench, november).counts == {Fate.IDENTICAL: 3}
    december = november | {"2-7": 1}
    with pytest.raises(UndatedTruths, match="2 of 3 rows") as refused:
        truths_of(bench, december)
    assert "1-9" in str(refused.value)
    # were only the changed row joined, December would be judged by its errors alone
    today = datetime.fromtimestamp(bench.clock.now_us() / 1e6, UTC).date().isoformat()
    assert truths_of(bench, december, today).counts == {Fate.JOINED: 3}
    assert truths_of(bench, december, today).counts == {Fate.IDENTICAL: 3}
    # all predictions have their truth: nothing is open that the rows could belong to
    assert truths_of(bench, november).counts == {Fate.IDENTICAL: 3}


def test_a_file_that_came_before_any_prediction_is_asked_about(
    bench: Bench, events: Events
) -> None:
    assert truths_of(bench, {"1-9": 1}).counts == {Fate.UNKNOWN: 1}
    bench.clock.advance(60)
    bench.write(events.prediction(key="1-9", prediction=1))
    bench.clock.advance(86_400)
    bench.drainer().drain_once()
    with pytest.raises(UndatedTruths):
        truths_of(bench, {"1-9": 1})


@on_sqlite_alone
@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (Columns(key="rut", value="left", as_of="31/12/26"), "2026-12-31"),
        (Columns(key="rut", value="left", time="rut", as_of="2026-12-31"), "--time and --as-of"),
    ],
)
def test_a_moment_of_all_rows_is_one_date(bench: Bench, columns: Columns, said: str) -> None:
    with pytest.raises(UnusableMapping, match=said):
        load(bench, [{"rut": "1-9", "left": 1}], columns)


@pytest.mark.parametrize("as_of", [None, " 2026-12-31 "])
def test_ids_are_those_of_every_release(as_of: str | None) -> None:
    rows: list[dict[str, Any]] = [
        {"rut": "1-9", "left": 1, "when": START},
        {"rut": 'ñ"\\\n\U0001f6a2', "left": None, "when": START.date()},
        {"rut": 7.0, "left": float("nan"), "when": True},
    ]
    columns = Columns(key="rut", value="left", as_of=as_of)
    namespace, seen, expected = UUID("6f0f7c3e-6d1b-5a36-9a43-3c3f1f6f2b1d"), Counter[str](), []
    for row in [*rows, rows[0]]:
        content = json.dumps(row, sort_keys=True, default=str)
        name = [
            PROJECT,
            "churn",
            content,
            seen[content],
            *([] if as_of is None else ["2026-12-31"]),
        ]
        seen[content] += 1
        expected.append(uuid5(namespace, json.dumps(name)).bytes)
    assert identities([*rows, rows[0]], columns, PROJECT, "churn") == expected
