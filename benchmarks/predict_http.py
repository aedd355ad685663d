"""What a logged single-row answer costs over HTTP: one real worker, one JSON object on stdout.

    python -m benchmarks.predict_http [--requests 10000] [--trees 100 1400]

Every figure stands beside the *floor*: a bare ASGI echo on the same server in the same run. On a
shared machine trust ratios, not numbers.
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

import uvloop
from benchmarks.world import PATH, RULES, SCHEMA, frame
from benchmarks.world import ROW as INPUTS

from timonel.loadtest.connection import Connection, post
from timonel.loadtest.load import Bounds, load
from timonel.loadtest.processes import cpu_s, memory_mib
from timonel.project import recipes
from timonel.project.model import Model, Outcome
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
            return measure(port, process.pid, request, n, 1)
        finally:
            process.kill()
            process.wait()


def bench_worker(folder: Path, url: str, n: int, durability: str) -> dict[str, Any]:
    config = WorkerConfig(
        project=PROJECT,
        database_url=url,
        artifacts=folder / "artifacts",
        spool=folder / f"spool-{durability}",
        slot=folder / f"metrics-{durability}",
        slot_index=0,
        key_usage=folder / "run" / "keys",
        control_socket=None,
        native_socket=None,
        role="predict",
        durability=durability,
    )
    beat = folder / "beat"
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--trees", type=int, nargs="*", default=[0, 100, 1400])
    options = parser.parse_args()
    result: dict[str, Any] = {"floor": bench_floor(options.requests)}
    with tempfile.TemporaryDirectory() as scratch:
        for trees in options.trees:
            name = f"{trees}_trees" if trees else "linear"
            folder = Path(scratch) / name
            url = build_world(folder, trees)
            for durability in ("written", "synced"):
                n = options.requests if durability == "written" else options.requests // 4
                result[f"{name}_{durability}"] = bench_worker(folder, url, n, durability)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
