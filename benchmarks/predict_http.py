"""What a logged single-row answer costs over HTTP: one real worker, one JSON object on stdout.

    python -m benchmarks.predict_http [--requests 10000] [--trees 100 1400] [--rounds 3]

Every figure stands beside the *floor*: a bare ASGI echo on the same server, measured anew in each
round. ``above_floor_us`` is what an answer costs beyond that floor and beyond ``session_run_us``,
the bare graph on one row: decoding, checking, features, answer and log. Of each figure the best
round is given: on a shared machine the others tell of its neighbours.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import uvloop
from benchmarks.world import PATH, RULES, SCHEMA, frame
from benchmarks.world import ROW as INPUTS

from timonel.loadtest.connection import Connection, post
from timonel.loadtest.load import Bounds, load
from timonel.loadtest.processes import cpu_s, memory_mib
from timonel.project import recipes
from timonel.project.model import Model
from timonel.project.outcome import Outcome
from timonel.registry.artifacts import ArtifactStore
from timonel.serving.config import WorkerConfig, encode
from timonel.serving.processes.liveness import Heartbeat
from timonel.testing.builders import PROJECT, open_registry
from timonel.training.publish import declaration_manifest, publish
from timonel.training.train import train

ROW = INPUTS | {"rut": "12.345-6"}
LIMIT_S = 300.0
ECHO = """
import socket, sys, uvicorn
async def echo(scope, receive, send):
    message = await receive()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"%d" % len(message["body"]))]})
    await send({"type": "http.response.body", "body": message["body"]})
config = uvicorn.Config(echo, loop="uvloop", http="httptools", lifespan="off", log_config=None,
                        access_log=False, server_header=False, ws="none")
uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
"""


def build_world(folder: Path, trees: int) -> str:
    """Train and publish one model of so many trees (0: a linear one); give the database's URL."""
    folder.mkdir()
    url = f"sqlite:///{folder / 'timonel.db'}"
    recipe = recipes.xgboost(n_estimators=trees) if trees else recipes.logistic()
    model = Model(
        name="bench",
        task="binary",
        target="y",
        schema=SCHEMA,
        source=frame,
        recipe=recipe,
        fallback="rules:rule",
        outcome=Outcome(key="rut"),
    )
    facts: dict[str, Any] = {"project": PROJECT, "timezone": "America/Santiago", "rules": RULES}
    with open_registry(url) as (_, registry):
        registry.declare(declaration_manifest(model, **facts))
        trained = train(model, **facts)
        version = publish(trained, registry, ArtifactStore(folder / "artifacts"), who="bench")
        registry.promote("bench", version.version, who="bench", reason="benchmark")
    return url


def request_of(document: Any) -> bytes:
    return post(PATH, json.dumps(document).encode(), host="127.0.0.1")


def measure(port: int, pid: int, request: bytes, n: int, concurrency: int) -> dict[str, Any]:
    place = ("127.0.0.1", port)
    uvloop.run(load(place, [request], Bounds(300, LIMIT_S)))
    cpu = cpu_s([pid])
    found = uvloop.run(load(place, [request], Bounds(n, LIMIT_S), concurrency=concurrency))
    cpu = cpu_s([pid]) - cpu
    assert not found.n_failed, found.kinds
    return {
        "concurrency": concurrency,
        "p50_ms": found.quantile_ms(0.5),
        "p99_ms": found.quantile_ms(0.99),
        "per_s": round(found.per_s),
        "cpu_us": round(cpu / found.n * 1e6, 1),
    }


@contextmanager
def listening() -> Iterator[tuple[socket.socket, int]]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(512)
        yield sock, sock.getsockname()[1]


async def first_answer(port: int, request: bytes) -> None:
    connection = await Connection.open("127.0.0.1", port)
    await connection.ask(request)
    connection.close()


def bench_floor(n: int) -> dict[str, Any]:
    with listening() as (sock, port):
        command = [sys.executable, "-c", ECHO, str(sock.fileno())]
        process = subprocess.Popen(command, pass_fds=[sock.fileno()])
        try:
            request = request_of({"inputs": ROW})
            uvloop.run(first_answer(port, request))
            return {
                "single": measure(port, process.pid, request, n, 1),
                "single_32": measure(port, process.pid, request, n, 32),
            }
        finally:
            process.kill()
            process.wait()


def bench_worker(folder: Path, scratch: Path, url: str, n: int, durability: str) -> dict[str, Any]:
    config = WorkerConfig(
        project=PROJECT,
        database_url=url,
        artifacts=folder / "artifacts",
        spool=scratch / f"spool-{durability}",
        slot=scratch / f"metrics-{durability}",
        slot_index=0,
        key_usage=folder / "run" / "keys",
        control_socket=None,
        native_socket=None,
        role="predict",
        durability=durability,
    )
    beat = scratch / f"beat-{durability}"
    Heartbeat.create(beat)
    single, batch = request_of({"inputs": ROW}), request_of({"inputs": [ROW] * 100})
    with listening() as (sock, port):
        command = [sys.executable, "-m", "timonel.serving.worker", str(sock.fileno()), str(beat)]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[sock.fileno()])
        try:
            assert process.stdin is not None
            process.stdin.write(encode(config) + b"\n")
            process.stdin.flush()
            uvloop.run(first_answer(port, single))
            cold_s = round(time.perf_counter() - started, 3)
            cold_mib = memory_mib([process.pid])
            return {
                "cold_start_s": cold_s,
                "cold_mib": cold_mib,
                "single": measure(port, process.pid, single, n, 1),
                "single_32": measure(port, process.pid, single, n, 32),
                "batch_100": measure(port, process.pid, batch, max(n // 50, 20), 1),
                "mib": memory_mib([process.pid]),
            }
        finally:
            process.terminate()
            process.wait(20)


def session_run_us(folder: Path) -> float:
    """Give the CPU time of a published graph alone on one row; 0 where there is none."""
    stored = [file.read_bytes() for file in (folder / "artifacts").rglob("*") if file.is_file()]
    graphs = [data for data in stored if b"TreeEnsemble" in data]  # their names are hashes
    if not graphs:
        return 0.0
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graphs[0], options)
    given = session.get_inputs()[0]
    feeds = {given.name: np.zeros((1, given.shape[1]), np.float32)}
    names = [session.get_outputs()[-1].name]
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(200):
            session.run(names, feeds)
        best = min(best, (time.perf_counter() - began) / 200)
    return round(best * 1e6, 1)


def best(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep of each figure its best round: the most answers a second, the least of all else."""
    kept: dict[str, Any] = {}
    for name, first in rounds[0].items():
        values = [one[name] for one in rounds]
        if isinstance(first, dict):
            kept[name] = best(values)
        else:
            kept[name] = max(values) if name == "per_s" else min(values)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--trees", type=int, nargs="*", default=[0, 100, 1400])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rounds: list[dict[str, Any]] = []
    runs: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        worlds = {
            f"{trees}_trees" if trees else "linear": Path(scratch) / str(trees)
            for trees in options.trees
        }
        urls = {name: build_world(folder, int(folder.name)) for name, folder in worlds.items()}
        for at in range(options.rounds):
            found: dict[str, Any] = {"floor": bench_floor(options.requests)}
            for name, folder in worlds.items():
                runs[name] = session_run_us(folder)
                for durability in ("written", "synced"):
                    n = options.requests if durability == "written" else options.requests // 4
                    spool = folder / f"round-{at}"
                    spool.mkdir(exist_ok=True)
                    found[f"{name}_{durability}"] = bench_worker(
                        folder, spool, urls[name], n, durability
                    )
            rounds.append(found)
    result = best(rounds)
    for name, run_us in runs.items():
        for durability in ("written", "synced"):
            entry = result[f"{name}_{durability}"]
            entry["session_run_us"] = run_us
            for load_of in ("single", "single_32"):
                floor = result["floor"][load_of]["cpu_us"]
                entry[load_of]["above_floor_us"] = round(entry[load_of]["cpu_us"] - floor - run_us)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
