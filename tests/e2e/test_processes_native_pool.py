import asyncio
import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from timonel.registry.artifacts import ArtifactStore
from timonel.registry.manifest import Baseline, BatchWay, ServingManifest, ServingPolicy
from timonel.runtime.boosters import ARTIFACT, booster_of
from timonel.runtime.compile import compile_estimator
from timonel.runtime.errors import InvalidOutput, RowRefused
from timonel.runtime.native import PICKLE_ARTIFACT, dump, library_versions
from timonel.runtime.parity import Rows
from timonel.serving.native_pool import NativeClient
from timonel.serving.processes.children import Child
from timonel.serving.processes.errors import NativeFailed, NativeTimeout, NativeUnavailable
from timonel.serving.processes.launch import ServeConfig, pool_command
from timonel.serving.processes.slots import StateFolder
from timonel.settings import Settings
from timonel.testing.builders import PROJECT, make_manifest, open_registry, register_version
from timonel.testing.server import Server, ServerPlan

HANG, RAISE, CRASH, NAN, NOISE = 1.0, 2.0, 3.0, 4.0, 5.0
PATIENT_S = 240.0

in_module_loop = pytest.mark.asyncio(loop_scope="module")


def temperamental() -> Any:
    """Make an estimator that doubles its input, and misbehaves at some inputs."""

    class Temperamental:
        def predict(self, matrix: Any) -> Any:
            import os
            import time

            import numpy as np

            first = float(matrix[0, 0])
            if first == 1.0:
                time.sleep(600)
            if first == 2.0:
                raise ArithmeticError("a singular matrix")
            if first == 3.0:
                os.kill(os.getpid(), 9)
            if first == 5.0:
                os.write(1, b"noise " * 100)
            return np.where(matrix[:, 0] == 4.0, np.nan, matrix[:, 0] * 2)

    return Temperamental()


def native_manifest(artifacts: ArtifactStore) -> ServingManifest:
    files = dump(temperamental(), model="price", allow_pickle=True)
    number = {"kind": "number", "input": 0, "fill": 0.0, "mean": 0.0, "scale": 1.0}
    asked = {"missing": True, "values": None, "name": "visits", "model": "price"}
    plan = {
        "format": 1,
        "timezone": "UTC",
        "n_inputs": 1,
        "precision": "float64",
        "steps": [{"kind": "refuse", "input": 0, **asked}, number],
        "native": {
            "libraries": library_versions(),
            "artifact": PICKLE_ARTIFACT,
            "allow_pickle": True,
        },
    }
    return make_manifest(
        "price",
        task="regression",
        classes=None,
        positive=None,
        baseline=None,
        predictor="native",
        plan=plan,
        artifacts={name: artifacts.put(data) for name, data in files.items()},
    )


class Host:
    """Keeps a pool as a supervisor does: started at the first connection, and again if it ends."""

    def __init__(self, folder: Path) -> None:
        places = StateFolder(folder)
        places.prepare(1)
        url = f"sqlite:///{folder / 'timonel.db'}"
        manifest = native_manifest(ArtifactStore(places.artifacts))
        with open_registry(url) as (_, registry):
            registry.declare(manifest)
        self.digest = manifest.digest()
        self.path = places.socket("native")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        config = ServeConfig(
            folder=folder,
            project=PROJECT,
            database_url=url,
            state=folder,
            settings=Settings(native_processes=2),
        )
        self.child = Child(
            pool_command(config, self._listener.fileno()),
            lambda kind, facts: None,
            wanted=lambda: bool(select.select([self._listener], [], [], 0)[0]),
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.child.signal(signal.SIGTERM)
        while not self.child.reap():
            time.sleep(0.01)
        self._listener.close()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.child.check(time.monotonic_ns())


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("native"))
    yield host
    host.close()


@pytest_asyncio.fixture(loop_scope="module")
async def client(host: Host) -> AsyncIterator[NativeClient]:
    client = NativeClient(host.path)
    await client.load(host.digest)
    yield client
    await client.close()


@in_module_loop
async def test_the_pool_is_not_there_until_it_is_needed(host: Host) -> None:
    assert not host.child.running
    client = NativeClient(host.path)
    await client.load(host.digest)
    assert host.child.running
    await client.close()


@in_module_loop
async def test_rows_are_answered_in_order_under_concurrency(
    client: NativeClient, host: Host
) -> None:
    tables = [[[float(n)], [n + 0.5]] for n in range(10, 60)]
    answers = await asyncio.gather(
        *(client.predict(host.digest, table, PATIENT_S) for table in tables)
    )
    for table, said in zip(tables, answers, strict=True):
        assert [one.prediction for one in said] == [2 * row[0] for row in table]


@in_module_loop
async def test_a_row_that_the_model_refuses_is_told_apart(client: NativeClient, host: Host) -> None:
    with pytest.raises(RowRefused, match="visits"):
        await client.predict(host.digest, [[None]], PATIENT_S)
    assert (await client.predict(host.digest, [[7.0]], PATIENT_S))[0].prediction == 14.0


@in_module_loop
async def test_a_prediction_that_hangs_is_killed_and_holds_up_nobody(
    client: NativeClient, host: Host
) -> None:
    began = time.monotonic()
    hanging = asyncio.create_task(client.predict(host.digest, [[HANG]], 0.5))
    assert (await client.predict(host.digest, [[7.0]], PATIENT_S))[0].prediction == 14.0
    with pytest.raises(NativeTimeout):
        await hanging
    assert time.monotonic() - began < 30.0
    # both hang: the third waits its turn, and is told when there is none
    both = [asyncio.create_task(client.predict(host.digest, [[HANG]], 1.0)) for _ in range(2)]
    await asyncio.sleep(0.1)
    with pytest.raises(NativeTimeout):
        await client.predict(host.digest, [[7.0]], 0.2)
    for task in both:
        with pytest.raises(NativeTimeout):
            await task
    assert (await client.predict(host.digest, [[8.0]], PATIENT_S))[0].prediction == 16.0


@in_module_loop
async def test_what_nobody_hears_takes_no_turn_of_what_is_heard(
    client: NativeClient, host: Host
) -> None:
    # more than there are processes for what is heard: each of them would be taken
    unheard = [
        asyncio.create_task(client.predict(host.digest, [[HANG]], 60.0, unheard=True))
        for _ in range(3)
    ]
    await asyncio.sleep(0.1)
    assert (await client.predict(host.digest, [[7.0]], PATIENT_S))[0].prediction == 14.0
    assert not any(task.done() for task in unheard)
    for task in unheard:
        task.cancel()
    await asyncio.gather(*unheard, return_exceptions=True)


@in_module_loop
async def test_an_error_of_the_estimator_is_told(client: NativeClient, host: Host) -> None:
    with pytest.raises(NativeFailed, match="ArithmeticError: a singular matrix"):
        await client.predict(host.digest, [[RAISE]], PATIENT_S)


@in_module_loop
async def test_an_output_that_is_no_answer_is_invalid(client: NativeClient, host: Host) -> None:
    with pytest.raises(InvalidOutput, match="price"):
        await client.predict(host.digest, [[6.0], [NAN]], PATIENT_S)


@in_module_loop
async def test_a_crash_of_the_estimator_is_survived(client: NativeClient, host: Host) -> None:
    with pytest.raises(NativeUnavailable, match="its process ended"):
        await client.predict(host.digest, [[CRASH]], PATIENT_S)
    assert (await client.predict(host.digest, [[9.0]], PATIENT_S))[0].prediction == 18.0


@in_module_loop
async def test_what_an_estimator_prints_is_no_message(client: NativeClient, host: Host) -> None:
    assert (await client.predict(host.digest, [[NOISE]], PATIENT_S))[0].prediction == 10.0


@in_module_loop
async def test_an_unknown_model_is_unavailable(client: NativeClient) -> None:
    with pytest.raises(NativeUnavailable, match="no served version"):
        await client.predict("0" * 64, [[1.0]], PATIENT_S)


@in_module_loop
async def test_a_pool_that_is_killed_comes_back(client: NativeClient, host: Host) -> None:
    pid = host.child.state().pid
    asking = asyncio.create_task(client.predict(host.digest, [[HANG]], 30.0))
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(NativeUnavailable):
        await asking
    assert (await client.predict(host.digest, [[4.5]], PATIENT_S))[0].prediction == 9.0
    assert host.child.state().pid not in (0, pid)


@in_module_loop
async def test_a_killed_pool_leaves_no_children(host: Host, client: NativeClient) -> None:
    pid = host.child.state().pid
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        pytest.skip("the children of a process are only listed under Linux' /proc")
    pids = [int(child) for child in children.read_text().split()]
    hanging = asyncio.create_task(client.predict(host.digest, [[HANG]], 30.0))
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(NativeUnavailable):
        await hanging
    assert pids
    until = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in pids):
        assert time.monotonic() < until
        await asyncio.sleep(0.02)


@pytest.mark.slow
def test_workers_answer_by_the_pool_and_fall_back_where_it_hangs(
    tmp_path: Path, sqlite_database: str
) -> None:
    manifest = msgspec.structs.replace(
        native_manifest(ArtifactStore(StateFolder(tmp_path).artifacts)),
        policy=ServingPolicy(deadline_ms=400.0),
        baseline=Baseline(-1.0),
    )
    plan = ServerPlan(
        state=tmp_path,
        database_url=sqlite_database,
        project=PROJECT,
        settings={"port": 0, "workers": 2, "role": "predict", "native_processes": 1},
    )
    with open_registry(sqlite_database) as (_, registry):
        version = register_version(registry, model="price", manifest=manifest).version
        registry.promote("price", version, who="ana", reason="first")
        with Server(plan) as server, httpx.Client(base_url=server.url, timeout=20) as client:

            def ask(visits: float) -> dict[str, Any]:
                answer = client.post(
                    "/v1/models/price/predict", json={"inputs": {"visits": visits}}
                )
                assert answer.status_code == 200, answer.text
                said: dict[str, Any] = answer.json()
                return said

            await_model(ask)
            assert ask(7.0)["prediction"] == 14.0
            assert ask(HANG)["reason"] == "timeout"
            await_model(ask)
            assert ask(RAISE)["reason"] == "model_error"
            assert ask(NAN)["reason"] == "invalid_output"
            assert ask(8.0)["prediction"] == 16.0


def stump(target: list[float]) -> Any:
    from xgboost import XGBRegressor

    estimator = XGBRegressor(n_estimators=1, learning_rate=1.0, n_jobs=1)
    return estimator.fit([[0.0], [1.0], [2.0], [3.0]], target)


@pytest.mark.slow
def test_large_batches_go_to_the_pool_once_it_is_ready(
    tmp_path: Path, sqlite_database: str
) -> None:
    artifacts = ArtifactStore(StateFolder(tmp_path).artifacts)
    plan = {
        "format": 1,
        "timezone": "UTC",
        "n_inputs": 1,
        "precision": "float32",
        "steps": [{"kind": "number", "input": 0, "fill": None}],
    }
    table: list[list[Any]] = [[0.0], [1.0], [2.0], [3.0]]
    form = compile_estimator(stump([1.0] * 4), plan, Rows(table, table), classifier=False)
    # of another estimator, so that an answer says whose it is; the real ones agree
    booster = booster_of(stump([9.0] * 4), fewest_trees=1)
    assert booster is not None
    files = {**form.artifacts, ARTIFACT: booster}
    manifest = make_manifest(
        "price",
        task="regression",
        classes=None,
        positive=None,
        baseline=None,
        predictor="onnx",
        plan=form.plan,
        artifacts={name: artifacts.put(data) for name, data in files.items()},
        batch=BatchWay(ARTIFACT, "identity", 100, 0.0),
    )
    settings = {"port": 0, "workers": 1, "role": "predict", "native_processes": 1}
    served = ServerPlan(
        state=tmp_path, database_url=sqlite_database, project=PROJECT, settings=settings
    )
    with open_registry(sqlite_database) as (_, registry):
        version = register_version(registry, model="price", manifest=manifest).version
        registry.promote("price", version, who="ana", reason="first")
        with Server(served) as server, httpx.Client(base_url=server.url, timeout=20) as client:

            def ask(n: int) -> set[tuple[float, str]]:
                rows = [{"visits": at % 4} for at in range(n)]
                answer = client.post("/v1/models/price/predict", json={"inputs": rows})
                assert answer.status_code == 200, answer.text
                found = answer.json()["predictions"]
                assert len(found) == n
                return {(round(one["prediction"], 6), one["source"]) for one in found}

            compiled, by_library = {(1.0, "model")}, {(9.0, "model")}
            assert ask(100) == compiled  # the pool begins to load it
            until = time.monotonic() + PATIENT_S
            while ask(100) == compiled:
                assert time.monotonic() < until
                time.sleep(0.05)
            assert ask(5000) == by_library
            assert ask(99) == compiled


def await_model(ask: Callable[[float], dict[str, Any]]) -> None:
    """Wait until the pool has loaded the model; until then the baseline answers."""
    until = time.monotonic() + PATIENT_S
    while (said := ask(9.0))["source"] != "model":
        assert said["prediction"] == -1.0
        assert time.monotonic() < until, said
        time.sleep(0.05)


@pytest.mark.asyncio(loop_scope="module")
@in_module_loop
async def test_without_a_pool_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(NativeUnavailable, match="no pool"):
        await NativeClient(tmp_path / "none.sock").predict("0" * 64, [[1.0]], 1.0)
