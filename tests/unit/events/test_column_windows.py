"""Columns counted by the drain equal a recount of the raw rows, whatever came in."""

import json
import random
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import insert, select, update

from timonel.events.column_windows import ColumnWindows, ProfiledRows, counts_text
from timonel.events.frames import NO_INPUTS, PredictionFrame
from timonel.registry.registry import Registry
from timonel.stats.profiles.profile import Profile, counts_add
from timonel.stats.profiles.reference import PREDICTION, profile_of
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.tables import aliases
from timonel.store.tables_loop import column_windows
from timonel.testing.builders import digest, make_manifest
from timonel.testing.events import PROJECT, START_US, Bench, Events
from timonel.testing.monitored import SCHEMA, said, score_of, usual
from timonel.wire.answer import Answer

HOUR_US = 3_600_000_000


@pytest.fixture
def profiled(database: str, tmp_path: Path) -> Iterator[tuple[Bench, Profile]]:
    engine = make_engine(database)
    ensure_project(engine, PROJECT, "America/Santiago")
    bench = Bench(engine, tmp_path / "spool")
    registry = Registry(engine, PROJECT, bench.clock)
    profile = reference()
    registry.keep_profile("churn", profile)
    registry.register(
        make_manifest(schema=SCHEMA.to_json(), profile=profile.digest()),
        schema_digest=digest("s"),
        recipe_digest=digest("r"),
        data_digest=digest("d"),
        version_hash=digest("h"),
        metrics={},
        lineage={},
        who="ana",
    )
    yield bench, profile
    engine.dispose()


def reference() -> Profile:
    rng = np.random.default_rng(1)
    columns = usual(rng, 2000)
    rows = list(zip(*(np.asarray(columns[f.name]).tolist() for f in SCHEMA), strict=True))
    answers = [Answer(said(p), p) for p in score_of(columns)]
    return profile_of(SCHEMA, rows, answers, classifier=True)


def frames(n: int, *, version: str = "1.0.0") -> list[PredictionFrame]:
    events, rng = Events(3), np.random.default_rng(3)
    columns = {name: np.asarray(v).tolist() for name, v in usual(rng, n).items()}
    scores = score_of(columns)
    return [
        events.prediction(
            at=START_US + i * 5_000_000,
            version=version,
            prediction=said(scores[i]),
            score=scores[i],
            features=msgspec.json.encode({name: v[i] for name, v in columns.items()}),
        )
        for i in range(n)
    ]


def total(bench: Bench) -> dict[int, dict[str, Any]]:
    """Add up the stored counts by hour, over drainers."""
    found: dict[int, dict[str, Any]] = {}
    with bench.engine.connect() as connection:
        for row in connection.execute(select(column_windows)):
            counts = {"n": row.n, **json.loads(row.counts)}
            found[row.hour] = counts_add(found[row.hour], counts) if row.hour in found else counts
    return found


def recount(profile: Profile, rows: list[PredictionFrame]) -> dict[int, dict[str, Any]]:
    by_hour: dict[int, list[PredictionFrame]] = {}
    for frame in rows:
        by_hour.setdefault(frame.at // HOUR_US, []).append(frame)
    counter = ProfiledRows("p", profile)
    return {hour: counter.count(some).counts() for hour, some in by_hour.items()}


def same(one: dict[int, dict[str, Any]], other: dict[int, dict[str, Any]]) -> None:
    assert {h: (c["n"], counts_text(c)) for h, c in one.items()} == {
        h: (c["n"], counts_text(c)) for h, c in other.items()
    }


def test_any_split_over_drainers_equals_a_recount(profiled: tuple[Bench, Profile]) -> None:
    bench, profile = profiled
    rows = frames(2500)
    shuffled = random.Random(1).sample(rows, len(rows))
    bench.write(*shuffled[:700], slot="slot-0")
    bench.write(*shuffled[700:], slot="slot-1")
    bench.drainer("slot-0", name="d0").drain_once()
    bench.drainer("slot-1", name="d1").drain_once()
    same(total(bench), recount(profile, rows))
    bench.write(*rows[:300], slot="slot-2")  # the same again: counted once
    bench.drainer("slot-2", name="d2").drain_once()
    same(total(bench), recount(profile, rows))


def test_what_is_known_of_a_row_is_believed_only_as_far_as_the_row_says_the_same(
    profiled: tuple[Bench, Profile],
) -> None:
    bench, profile = profiled
    rows, windows = frames(600), ColumnWindows(PROJECT)

    def write(some: list[PredictionFrame], *, committed: bool = True) -> None:
        with bench.engine.connect() as connection:
            windows.add_predictions(some)
            windows.write(connection, "d")
            windows.clear()
            (connection.commit if committed else connection.rollback)()

    write(rows[:200])
    write(rows[200:300], committed=False)
    write(rows[200:300])
    same(total(bench), recount(profile, rows[:300]))
    with bench.engine.begin() as connection:  # the row says less than what was written last
        before = connection.execute(select(column_windows)).one()
    write(rows[300:400])
    with bench.engine.begin() as connection:
        connection.execute(update(column_windows).values(n=before.n, counts=before.counts))
    write(rows[400:600])
    same(total(bench), recount(profile, [*rows[:300], *rows[400:600]]))


def test_rows_that_nobody_can_read_count_as_missing(profiled: tuple[Bench, Profile]) -> None:
    bench, profile = profiled
    events = Events(5)
    broken: list[bytes] = [
        b"{}",
        b"[1,2]",
        b'{"age":"old","visits":[1],"plan":7}',
        b'{"age":1e999,"visits":true,"plan":null}',
        b'{"age":' + b"9" * 400 + b"}",
        b'{"age":41,"visits":3,"plan":"never heard of"}',
        b'{"age":41,"visits":3,"plan":{"a":1},"more":1}',
    ]
    scores = [None, 2.0, float("inf"), -1.0, 0.5, 0.5, 0.5]
    rows = [
        events.prediction(features=features, score=score)
        for features, score in zip(broken, scores, strict=True)
    ]
    bench.write(*rows)
    report = bench.drainer().drain_once()
    assert report.n_inserted == len(rows)
    counted = total(bench)[START_US // HOUR_US]
    assert counted["n"] == len(rows)
    window = profile.with_counts(counted)
    assert all(column.n == len(rows) for column in window.columns.values())
    assert window.columns["age"].n_missing == 5  # JSON that holds an infinity is no row
    assert window.columns["plan"].n_missing >= 4


def test_a_word_that_nobody_knows_changes_how_a_batch_is_read_and_not_what_is_counted(
    profiled: tuple[Bench, Profile],
) -> None:
    _, profile = profiled
    rows = frames(60)
    row = msgspec.json.decode(rows[7].features)
    strange = msgspec.json.encode({**row, "plan": "never heard of"})
    rows[7] = msgspec.structs.replace(rows[7], features=strange)
    counter = ProfiledRows("p", profile)
    alone = [counter.count([frame]).counts() for frame in rows]
    assert counter.count(rows).counts() == reduce(counts_add, alone)
    unseen = profile.with_counts(counter.count(rows).counts()).columns["plan"].counts[-2]
    assert unseen == 1


def test_words_that_no_json_can_hold_do_not_stop_the_count() -> None:
    words = ["a", "\udc80"] * 50
    profile = Profile.fit({"word": words, PREDICTION: words})
    frame = Events(4).prediction(features=b'{"word":"a"}', prediction="a")
    counted = ProfiledRows("p", profile).count([frame]).counts()
    assert profile.with_counts(counted).columns["word"].counts.tolist() == [1, 0, 0, 0]


def test_rules_are_counted_on_the_champions_profile(profiled: tuple[Bench, Profile]) -> None:
    bench, profile = profiled
    rules = frames(50, version="")
    bench.write(*rules)
    drainer = bench.drainer()
    drainer.drain_once()
    assert total(bench) == {}  # no champion: nothing to count on
    with bench.engine.begin() as connection:
        row = {"project": PROJECT, "model": "churn", "alias": "champion", "version": "1.0.0"}
        connection.execute(insert(aliases), row)
    more = [msgspec.structs.replace(f, id=bytes(15) + bytes([i])) for i, f in enumerate(rules)]
    bench.write(*more)
    drainer.drain_once()
    same(total(bench), recount(profile, more))
    assert bench.rows("column_windows", "version", "profile_id") == [("", profile.digest())]


def test_models_of_the_outside_are_counted_on_the_champions_profile_by_their_own_name(
    profiled: tuple[Bench, Profile],
) -> None:
    bench, profile = profiled
    with bench.engine.begin() as connection:
        row = {"project": PROJECT, "model": "churn", "alias": "champion", "version": "1.0.0"}
        connection.execute(insert(aliases), row)
    told = frames(50, version="ext:b7")
    without = [
        msgspec.structs.replace(f, id=bytes(14) + bytes([i, 1]), features=NO_INPUTS)
        for i, f in enumerate(told[:20])
    ]
    bench.write(*told, *without)
    assert bench.drainer().drain_once().n_inserted == 70
    same(total(bench), recount(profile, told))
    assert bench.rows("column_windows", "version", "profile_id") == [("ext:b7", profile.digest())]


def test_versions_without_a_profile_are_passed_over(profiled: tuple[Bench, Profile]) -> None:
    bench, _ = profiled
    bench.write(*frames(20, version="9.9.9"))
    assert bench.drainer().drain_once().n_inserted == 20
    assert total(bench) == {}
