import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from timonel.clock import AffineClock
from timonel.registry.manifest import ArtifactRef, SelfTest, ServingManifest
from timonel.serving.versions import snapshot
from timonel.serving.versions.reload import Reloader
from timonel.serving.versions.snapshot import Loader, Snapshot
from timonel.store.control import set_clock
from timonel.store.lean import LeanStore, ServingRow
from timonel.testing.builders import PROJECT, open_registry
from timonel.testing.serving import (
    ServingWorld,
    declared_manifest,
    linear_manifest,
    make_rules,
)

WRONG = SelfTest(rows=[[1.0, 1, "Arica", None, None]], predictions=[1], scores=[0.1])


def row(manifest: ServingManifest, alias: str = "champion", version: str = "1.0.0") -> ServingRow:
    return ServingRow(manifest.model, alias, version, manifest.digest(), manifest.encode().decode())


def no_artifact(sha256: str) -> bytes:
    raise FileNotFoundError(sha256)


def build(*rows: ServingRow, before: Snapshot | None = None, loader: Any = None) -> Snapshot:
    loader = loader or Loader(no_artifact, native=False)
    built: Snapshot = loader.build(1, rows, AffineClock(), before)
    return built


def test_all_aliases_are_loaded_and_a_digest_is_loaded_once() -> None:
    old, new = linear_manifest(version="1.0.0"), linear_manifest(version="1.1.0", visits=-2.0)
    loader = Loader(no_artifact, native=False)
    declared = row(declared_manifest(), "declaration", "")
    first = build(declared, row(old), loader=loader)
    second = build(
        declared, row(new, version="1.1.0"), row(old, "previous"), before=first, loader=loader
    )
    back = build(declared, row(old), row(new, "previous", "1.1.0"), before=second, loader=loader)
    assert second.models["churn"].previous is first.models["churn"].champion
    assert back.models["churn"].champion is first.models["churn"].champion
    assert back.models["churn"].previous is second.models["churn"].champion
    assert back.faults == ()


def test_a_model_that_takes_long_for_a_row_is_not_asked_in_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = {}
    for limit_ms in (1e9, -1.0):
        monkeypatch.setattr(snapshot, "INLINE_ROW_MS", limit_ms)
        served = build(row(linear_manifest())).models["churn"].champion
        assert served is not None
        slow[limit_ms] = not served.inline
    assert slow == {1e9: False, -1.0: True}
    declared = build(row(declared_manifest(), "declaration", "")).models["churn"].declaration
    assert declared is not None
    assert declared.inline  # rules have a limit of their own


EMPTY: dict[str, Any] = {"coef": [], "intercept": [], "link": "sigmoid"}
BROKEN = [
    (linear_manifest(version="1.1.0", self_test=WRONG), "self_test_failed"),
    (linear_manifest(version="1.1.0", plan={"format": 99, "linear": EMPTY}), "unreadable_plan"),
    (
        linear_manifest(
            version="1.1.0",
            predictor="onnx",
            plan={
                "format": 1,
                "model": "churn",
                "timezone": "UTC",
                "precision": "float32",
                "n_inputs": 5,
                "steps": [],
                "members": [{"artifact": "m.onnx"}],
            },
            artifacts={"m.onnx": ArtifactRef("0" * 64, 3)},
        ),
        "unreadable_version",
    ),
    (linear_manifest(version="1.1.0", predictor="native"), "native_not_in_process"),
]


@pytest.mark.parametrize(("broken", "code"), BROKEN, ids=[code for _, code in BROKEN])
def test_a_champion_that_cannot_be_loaded_leaves_the_old_one_serving(
    broken: ServingManifest, code: str
) -> None:
    loader = Loader(no_artifact, native=False)
    first = build(row(linear_manifest(version="1.0.0")), loader=loader)
    second = build(row(broken, version="1.1.0"), before=first, loader=loader)
    assert second.models["churn"].champion is first.models["churn"].champion
    (fault,) = second.faults
    assert (fault.model, fault.alias, fault.version, fault.code) == (
        "churn",
        "champion",
        "1.1.0",
        code,
    )
    third = build(row(broken, version="1.1.0"), before=second, loader=loader)
    assert third.models["churn"].champion is first.models["churn"].champion


def test_after_a_restart_the_previous_one_serves_instead() -> None:
    broken, good = BROKEN[0][0], linear_manifest(version="1.0.0")
    snapshot = build(row(broken, version="1.1.0"), row(good, "previous"))
    champion = snapshot.models["churn"].champion
    assert champion is not None
    assert champion.version == "1.0.0"
    assert len(snapshot.faults) == 1


def test_with_nothing_before_it_the_rules_of_a_broken_version_answer() -> None:
    champion = build(row(BROKEN[0][0])).models["churn"].champion
    assert champion is not None
    assert champion.predictor is None
    assert champion.rules is not None


def test_a_manifest_that_cannot_be_read_stops_no_other_model() -> None:
    bad = ServingRow("broken", "champion", "1.0.0", "d" * 64, '{"format": 1')
    snapshot = build(bad, row(linear_manifest()))
    assert set(snapshot.models) == {"broken", "churn"}
    assert snapshot.models["broken"].shown is None
    assert [fault.model for fault in snapshot.faults] == ["broken"]


def test_rules_that_do_not_run_leave_the_model_serving() -> None:
    snapshot = build(row(linear_manifest(rules=make_rules("import no_such_module"))))
    champion = snapshot.models["churn"].champion
    assert champion is not None
    assert (champion.predictor is not None, champion.rules) == (True, None)
    assert [fault.code for fault in snapshot.faults] == ["rules_failed"]


def test_a_failed_version_is_loaded_when_its_artifacts_arrive() -> None:
    broken = BROKEN[2][0]
    arrived: list[str] = []

    def artifact(sha256: str) -> bytes:
        arrived.append(sha256)
        raise FileNotFoundError(sha256)

    loader = Loader(artifact, native=False)
    first = build(row(broken), loader=loader)
    build(row(broken), before=first, loader=loader)
    assert len(arrived) == 2


# --- the polling thread


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServingWorld]:
    url = f"sqlite:///{tmp_path / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        yield ServingWorld(tmp_path, url, registry)


class Watch:
    """Waits for a snapshot that a condition holds of, instead of sleeping for luck."""

    def __init__(self, world: ServingWorld) -> None:
        self._changed = threading.Condition()
        loader = Loader(world.artifacts.get, native=False)
        store = LeanStore(world.database_url)
        self.reloader = Reloader(store, loader, PROJECT, self._on_change)
        self.reloader.start()

    def _on_change(self, snapshot: Snapshot) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait(self, condition: Callable[[Snapshot], bool]) -> float:
        """Give the seconds that it took."""
        started = time.monotonic()
        with self._changed:
            assert self._changed.wait_for(
                lambda: self.reloader.current is not None and condition(self.reloader.current), 10
            )
        return time.monotonic() - started


def champion_of(snapshot: Snapshot) -> str | None:
    champion = snapshot.models["churn"].champion
    return None if champion is None else champion.version


def test_promotion_and_rollback_are_served_within_a_second(world: ServingWorld) -> None:
    world.registry.declare(declared_manifest())
    watch = Watch(world)
    try:
        assert watch.reloader.wait_first(10)
        assert watch.reloader.current is not None
        assert champion_of(watch.reloader.current) is None
        world.promote()
        assert watch.wait(lambda one: champion_of(one) == "1.0.0") < 1
        world.promote(linear_manifest(visits=-2.0))
        assert watch.wait(lambda one: champion_of(one) == "1.0.1") < 1
        world.registry.roll_back("churn", who="ana", reason="worse")
        assert watch.wait(lambda one: champion_of(one) == "1.0.0") < 1
    finally:
        watch.reloader.stop()


def test_the_clock_is_read_again_with_the_generation(world: ServingWorld) -> None:
    world.registry.declare(declared_manifest())
    watch = Watch(world)
    try:
        watch.reloader.wait_first(10)
        with open_registry(world.database_url) as (engine, _):
            set_clock(engine, PROJECT, AffineClock(5, 7, 60.0))
        watch.wait(lambda one: one.clock == AffineClock(5, 7, 60.0))
    finally:
        watch.reloader.stop()


def test_without_a_database_the_last_snapshot_serves_on(
    world: ServingWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.registry.declare(declared_manifest())
    world.promote()
    watch = Watch(world)
    try:
        watch.wait(lambda one: champion_of(one) == "1.0.0")
        database = world.folder / "timonel.db"
        hidden = database.with_suffix(".away")
        database.rename(hidden)
        deadline = time.monotonic() + 60
        while watch.reloader.trouble is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert watch.reloader.trouble is not None
        assert watch.reloader.current is not None
        assert champion_of(watch.reloader.current) == "1.0.0"
        hidden.rename(database)
        world.promote(linear_manifest(visits=-2.0))
        watch.wait(lambda one: champion_of(one) == "1.0.1")
        assert caplog.text.count("cannot read what to serve") == 1
    finally:
        watch.reloader.stop()


def test_no_database_at_first_is_no_snapshot_and_no_crash(tmp_path: Path) -> None:
    store = LeanStore(f"sqlite:///{tmp_path / 'none.db'}")
    reloader = Reloader(store, Loader(no_artifact, native=False), PROJECT, lambda _: None)
    reloader.start()
    try:
        assert not reloader.wait_first(10)
        assert reloader.trouble is not None
    finally:
        reloader.stop()
