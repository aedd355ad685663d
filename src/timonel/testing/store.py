"""The conformance suite of a store: what every database under Timonel must do.

Each check takes the URL of a fresh, empty database, and raises ``AssertionError`` where it does
not hold. Run them all with any test runner::

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    def test_store(check, fresh_database_url):
        check(fresh_database_url)
"""

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import Engine, delete, event, update

from timonel.clock import AffineClock
from timonel.errors import TimonelError
from timonel.registry.errors import HistoryDamaged, IllegalTransition
from timonel.registry.registry import Registry
from timonel.registry.versions import Stage
from timonel.store.control import (
    ProcessReport,
    await_generation,
    ensure_project,
    forget_process,
    live_processes,
    read_control,
    read_generation,
    report_processes,
    set_clock,
)
from timonel.store.engine import make_engine
from timonel.store.errors import StoreUnavailable, UnknownProject
from timonel.store.lean import LeanStore
from timonel.store.migrate import require_current
from timonel.store.tables import model_versions, transitions
from timonel.testing.builders import (
    PROJECT,
    make_manifest,
    open_registry,
    register_version,
)
from timonel.testing.processes import (
    killed_promotions,
    register_and_promote,
    upgrade_at_barrier,
)

_WHO = {"who": "ana", "reason": "better"}


def check_upgrade_by_several_processes(url: str) -> None:
    """Check that of several processes that upgrade at once one does it."""
    context = multiprocessing.get_context("forkserver")
    barrier, results = context.Barrier(3), context.Queue()
    workers = [
        context.Process(target=upgrade_at_barrier, args=(url, barrier, results)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    said = sorted(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(60)
    assert said == ["already", "already", "done"], said
    engine = make_engine(url)
    require_current(engine)
    engine.dispose()


def check_control_row(url: str) -> None:
    """Check that a project is entered once, by several at once, and that changes reach all."""
    with open_registry(url, "other") as (engine, _):
        _together(lambda: ensure_project(engine, PROJECT, "America/Santiago"), 4)
        assert read_generation(engine, PROJECT) == 1
        ensure_project(engine, PROJECT, "America/Santiago")
        assert read_generation(engine, PROJECT) == 1
        ensure_project(engine, PROJECT, "Europe/Madrid")
        set_clock(engine, PROJECT, AffineClock(5, 7, 60.0))
        found = read_control(engine, PROJECT)
        assert (found.generation, found.timezone) == (3, "Europe/Madrid")
        assert found.clock == AffineClock(5, 7, 60.0)
        lean = LeanStore(url)
        assert lean.clock(PROJECT) == found.clock
        assert lean.generation(PROJECT) == 3
        assert lean.generation("other") == 1
        lean.close()
        error = _refused(UnknownProject, lambda: read_control(engine, "harbor"))
        assert error.context["known"] == [PROJECT, "other"]


def check_lean_reads(url: str) -> None:
    """Check that a worker sees nothing before the tables are there, then just what answers."""
    lean = LeanStore(url)
    _refused(StoreUnavailable, lambda: lean.generation(PROJECT))
    with open_registry(url) as (_, registry):
        assert lean.serving_rows(PROJECT) == []
        manifest = make_manifest()
        assert registry.declare(manifest)
        assert not registry.declare(manifest)
        first, second = (register_version(registry, training) for training in "12")
        registry.promote("churn", first.version, **_WHO)
        registry.promote("churn", second.version, **_WHO)
        register_version(registry, "3")
        rows = [(row.alias, row.version, row.digest) for row in lean.serving_rows(PROJECT)]
        assert rows == [
            ("champion", second.version, second.digest),
            ("declaration", "", manifest.digest()),
            ("previous", first.version, first.digest),
        ]
        assert lean.serving_rows("other") == []
        assert lean.serving_rows(PROJECT)[1].manifest == manifest.encode().decode()
    lean.close()


def check_concurrent_declarations(url: str) -> None:
    """Check that several may publish the same first declaration at once."""
    with open_registry(url) as (_, registry):
        results = _together(lambda: registry.declare(make_manifest()), 4)
        assert all(isinstance(result, bool) for result in results), results
        assert any(results)
        assert len(registry.declarations()) == 1


def check_concurrent_registrations(url: str) -> None:
    """Check that versions registered at the same moment get numbers of their own, without gaps."""
    with open_registry(url) as (_, registry):
        names = iter(range(8))
        done = _together(lambda: register_version(registry, str(next(names))).version, 8)
        assert sorted(map(str, done)) == [f"1.0.{n}" for n in range(8)], done
        again = _together(lambda: register_version(registry, "same"), 4)
        assert len({str(version) for version in again}) == 1, again
        assert len(registry.versions("churn")) == 9
        registry.verify_history()


def check_concurrent_promotions(url: str) -> None:
    """Check that of promotions decided against the same champion exactly one wins."""
    with open_registry(url) as (engine, registry):
        for n in range(5):
            register_version(registry, str(n))
        registry.promote("churn", "1.0.0", **_WHO)
        before = read_generation(engine, PROJECT)
        names = iter(range(1, 5))
        _meet_before_writing(engine, 4)
        results = _together(lambda: registry.promote("churn", f"1.0.{next(names)}", **_WHO), 4)
        assert sorted(map(_kind, results)) == ["ChampionChanged"] * 3 + ["ModelVersion"], results
        assert read_generation(engine, PROJECT) == before + 1
        _assert_whole(registry)


def check_concurrent_rollbacks(url: str) -> None:
    """Check that two rollbacks at the same moment go one version back, not two."""
    with open_registry(url) as (engine, registry):
        for n in range(3):
            version = register_version(registry, str(n)).version
            registry.promote("churn", version, **_WHO)
        _meet_before_writing(engine, 2)
        results = _together(lambda: registry.roll_back("churn", **_WHO), 2)
        assert sorted(map(_kind, results)) == ["ChampionChanged", "ModelVersion"], results
        champion = registry.champion("churn")
        assert champion is not None
        assert champion.version == "1.0.1"
        _assert_whole(registry)


def check_transitions_by_several_processes(url: str) -> None:
    """Check that processes which register and promote at once leave one whole history."""
    with open_registry(url) as (engine, registry):
        context = multiprocessing.get_context("forkserver")
        barrier, results = context.Barrier(3), context.Queue()
        workers = [
            context.Process(
                target=register_and_promote, args=(url, PROJECT, f"p{n}", barrier, results)
            )
            for n in range(3)
        ]
        for worker in workers:
            worker.start()
        won = [results.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join(60)
        assert all(isinstance(n, int) for n in won), won
        numbers = sorted(version.semver for version in registry.versions("churn"))
        assert [str(number) for number in numbers] == [f"1.0.{n}" for n in range(9)]
        deployments = [row for row in registry.history() if row.to_stage == "production"]
        assert len(deployments) == sum(won)
        assert read_generation(engine, PROJECT) == 1 + 9 + sum(won)
        _assert_whole(registry)


def check_readers_see_whole_transitions(url: str) -> None:
    """Check that a worker always reads one champion while versions are promoted."""
    with open_registry(url) as (_, registry):
        for n in range(12):
            register_version(registry, str(n))
        registry.promote("churn", "1.0.0", **_WHO)
        stop, seen = threading.Event(), set[str]()

        def watch() -> None:
            lean = LeanStore(url)
            while not stop.is_set():
                rows = {row.alias: row.version for row in lean.serving_rows(PROJECT)}
                assert "champion" in rows, rows
                champion = int(rows["champion"].rpartition(".")[2])
                assert rows.get("previous") == (f"1.0.{champion - 1}" if champion else None), rows
                seen.add(rows["champion"])
            lean.close()

        with ThreadPoolExecutor(2) as pool:
            watchers = [pool.submit(watch) for _ in range(2)]
            try:
                for n in range(1, 12):
                    registry.promote("churn", f"1.0.{n}", **_WHO)
            finally:
                stop.set()
            for watcher in watchers:
                watcher.result(30)
        assert seen


def check_kill_in_a_promotion(url: str) -> None:
    """Check that a kill after any statement of a promotion leaves the old state or the new one."""
    with open_registry(url) as (engine, registry):
        for n in range(2):
            register_version(registry, str(n))
        registry.promote("churn", "1.0.0", **_WHO)
        engine.dispose()  # what follows forks
        context = multiprocessing.get_context("forkserver")
        results = context.Queue()
        child = context.Process(target=killed_promotions, args=(url, PROJECT, "churn", results))
        child.start()
        states = results.get(timeout=120)
        child.join(60)
        assert isinstance(states, list), states
        # every statement's kill but the commit's leaves all as it was
        assert len(states) > 10, states
        assert set(states[:-1]) == {("1.0.0", 0)}, states
        assert states[-1] == ("1.0.1", 1), states
        _assert_whole(registry)


def check_damage_is_found(url: str) -> None:
    """Check that rows edited, removed, or cut from the end of the history are found."""
    row, mine = transitions.c, transitions.c.project == PROJECT
    edits = {
        "edited": update(transitions).where(mine, row.seq == 3).values(who="nobody"),
        "missing": delete(transitions).where(mine, row.seq == 3),
        "cut": delete(transitions).where(mine, row.seq == 6),
        "stage": update(model_versions).values(stage="archived"),
    }
    with open_registry(url) as (engine, registry):
        for n in range(3):
            register_version(registry, str(n))
        assert registry.verify_history().n == 6
        for damage, statement in edits.items():
            connection = engine.connect()
            connection.execute(statement)
            connection.commit()
            connection.close()
            found = _refused(HistoryDamaged, registry.verify_history).context["faults"]
            assert any(fault.endswith(damage) for fault in found), found


def check_pages(url: str) -> None:
    """Check that lists are the same in pages of any size, newest version first."""
    with open_registry(url) as (_, registry):
        for n in range(7):
            register_version(registry, str(n), recipe=str(n // 3))
            register_version(registry, str(n), model="demand", manifest=make_manifest("demand"))
        whole = registry.versions()
        assert [str(v) for v in whole[:3]] == ["churn@1.2.0", "churn@1.1.2", "churn@1.1.1"]
        for size in (1, 3, 14):
            pages, after = [], None
            while page := registry.versions(after=after, limit=size):
                pages += page
                after = page[-1]
            assert pages == whole
        history = registry.history()
        assert [link.seq for link in history] == list(range(1, 29))
        assert registry.history(after=20, limit=3) == history[20:23]
        assert {link.model for link in registry.history("demand")} == {"demand"}


def check_projects_are_apart(url: str) -> None:
    """Check that two projects in one database share nothing."""
    with open_registry(url) as (engine, registry), open_registry(url, "quay") as (_, other):
        register_version(registry)
        assert other.models() == []
        version = register_version(other, manifest=make_manifest(project="quay"))
        assert version.version == "1.0.0"
        other.promote("churn", "1.0.0", **_WHO)
        assert registry.champion("churn") is None
        assert [link.seq for link in other.history()] == [1, 2, 3]
        assert read_generation(engine, PROJECT) == 2
        registry.verify_history()
        other.verify_history()


def check_processes(url: str) -> None:
    """Check that live processes are counted, and that a dead one's place is taken over."""
    with open_registry(url) as (engine, _):
        assert await_generation(engine, PROJECT, 1, 0.0) == (0, 0)
        workers = [ProcessReport(f"w{n}", "predict", 1, "host", 100 + n) for n in range(3)]
        report_processes(engine, PROJECT, workers)
        assert live_processes(engine, PROJECT) == workers
        assert await_generation(engine, PROJECT, timeout_s=0.0) == (3, 3)
        assert await_generation(engine, PROJECT, 2, 0.05) == (0, 3)
        successor = ProcessReport("w9", "predict", 2, "host", 100)
        report_processes(engine, PROJECT, [successor, replace(workers[1], generation=2)])
        assert await_generation(engine, PROJECT, 2, 0.05) == (2, 3)
        forget_process(engine, PROJECT, "w2")
        assert await_generation(engine, PROJECT, 2, 5.0) == (2, 2)
        assert live_processes(engine, PROJECT, within_s=-1.0) == []


def check_illegal_transitions_change_nothing(url: str) -> None:
    """Check that a refused transition leaves no row, no alias, no new generation."""
    with open_registry(url) as (engine, registry):
        register_version(registry, "1", stage=Stage.FAILED)
        before = (read_generation(engine, PROJECT), registry.history(), registry.versions())
        error = _refused(IllegalTransition, lambda: registry.promote("churn", "1.0.0", **_WHO))
        assert error.context["from_stage"] == "failed"
        after = (read_generation(engine, PROJECT), registry.history(), registry.versions())
        assert after == before


STORE_CHECKS: tuple[Callable[[str], None], ...] = (
    check_upgrade_by_several_processes,
    check_control_row,
    check_lean_reads,
    check_concurrent_declarations,
    check_concurrent_registrations,
    check_concurrent_promotions,
    check_concurrent_rollbacks,
    check_transitions_by_several_processes,
    check_readers_see_whole_transitions,
    check_kill_in_a_promotion,
    check_damage_is_found,
    check_pages,
    check_projects_are_apart,
    check_processes,
    check_illegal_transitions_change_nothing,
)


def _together(work: Callable[[], object], n: int) -> list[object]:
    """Do the same in n threads that start at one barrier; a refusal is a result."""
    barrier = threading.Barrier(n)

    def run() -> object:
        barrier.wait(30)
        try:
            return work()
        except TimonelError as error:
            return error

    with ThreadPoolExecutor(n) as pool:
        running = [pool.submit(run) for _ in range(n)]
        return [one.result(60) for one in running]


def _meet_before_writing(engine: Engine, n: int) -> None:
    """Let n threads meet when they have read what they decide by, and not yet taken the lock."""
    barrier = threading.Barrier(n)
    met = threading.Event()

    def meet(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(("BEGIN IMMEDIATE", "UPDATE control")) and not met.is_set():
            barrier.wait(30)
            met.set()

    event.listen(engine, "before_cursor_execute", meet)


def _refused(kind: type[TimonelError], work: Callable[[], object]) -> TimonelError:
    try:
        found = work()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, got {found!r}")


def _kind(result: object) -> str:
    return type(result).__name__


def _assert_whole(registry: Registry) -> None:
    production = registry.versions("churn", "production")
    champion = registry.champion("churn")
    assert champion is not None
    assert [version.version for version in production] == [champion.version]
    registry.verify_history()
