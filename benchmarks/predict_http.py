"""What a logged single-row answer costs over HTTP: one real worker, one JSON object on stdout.

    python benchmarks/predict_http.py [--requests 10000] [--trees 100 1400]

Every figure stands beside the *floor*: a bare ASGI echo on the same server in the same run. On a
shared machine trust ratios, not numbers.
"""

import argparse
import asyncio
import json
import os
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
import polars as pl
import uvloop

from timonel.project import recipes
from timonel.project.model import Model, Outcome
from timonel.registry.artifacts import ArtifactStore
from timonel.schema.features import Category, Flag, Number
from timonel.schema.schema import Schema
from timonel.serving.config import WorkerConfig, encode
from timonel.serving.processes.liveness import Heartbeat
from timonel.testing.builders import PROJECT, open_registry
from timonel.training.publish import declaration_manifest, publish
from timonel.training.train import train
from timonel.wire.rules import RulesSource

ROW: dict[str, Any] = {f"x{at}": at * 0.37 - 1 for at in range(12)}
ROW |= {"gender": "Male", "zone": "c", "smokes": True, "n": 3, "rut": "12.345-6"}
SCHEMA = Schema(
    *(Number(f"x{at}") for at in range(12)),
    Category("gender", ["Female", "Male"]),
    Category("zone", ["a", "b", "c", "d"]),
    Flag("smokes"),
    Number("n", integer=True, ge=0, le=100),
)
RULES = RulesSource(
    "rules",
    "rule",
    "def rule(row):\n    return 'yes' if row['x0'] > 0 else 'no'\n",
)
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


def frame(n: int = 3000) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    columns: dict[str, Any] = {f"x{at}": rng.normal(size=n).round(3) for at in range(12)}
    columns["gender"] = rng.choice(["Female", "Male"], n)
    columns["zone"] = rng.choice(["a", "b", "c", "d"], n)
    columns["smokes"] = rng.choice([True, False], n)
    columns["n"] = rng.integers(0, 9, n)
    margin = columns["x0"] + columns["x1"] * columns["x2"] + rng.normal(size=n) * 0.3
    columns["y"] = np.where(margin > 0, "yes", "no")
    return pl.DataFrame(columns)


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


class Connection(asyncio.Protocol):
    """A bare HTTP/1.1 client: it costs the same for all that is measured, and little."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: asyncio.Future[bytes] | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(body) >= length and self._waiting is not None:
            self._buffer = b""
            self._waiting.set_result(head + b"\r\n\r\n" + body)

    async def ask(self, request: bytes) -> bytes:
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting


def request_of(document: Any) -> bytes:
    body = json.dumps(document).encode()
    return (
        b"POST /v1/models/bench/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


async def measure(port: int, pid: int, request: bytes, n: int, concurrency: int) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(concurrency)
    ]
    for client in clients:
        for _ in range(max(1, 300 // concurrency)):
            await client.ask(request)
    taken: list[float] = []

    async def work(client: Connection) -> None:
        for _ in range(n // concurrency):
            started = time.perf_counter()
            answer = await client.ask(request)
            taken.append(time.perf_counter() - started)
            assert answer.startswith(b"HTTP/1.1 200"), answer

    cpu, started = cpu_s(pid), time.perf_counter()
    await asyncio.gather(*map(work, clients))
    elapsed, cpu = time.perf_counter() - started, cpu_s(pid) - cpu
    taken.sort()
    return {
        "concurrency": concurrency,
        "p50_ms": round(taken[len(taken) // 2] * 1e3, 3),
        "p99_ms": round(taken[int(len(taken) * 0.99)] * 1e3, 3),
        "per_s": round(len(taken) / elapsed),
        "cpu_us": round(cpu / len(taken) * 1e6, 1),
    }


@contextmanager
def listening() -> Iterator[tuple[socket.socket, int]]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(512)
        yield sock, sock.getsockname()[1]


async def first_answer(port: int, request: bytes) -> None:
    _, client = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    await client.ask(request)


def bench_floor(n: int) -> dict[str, Any]:
    with listening() as (sock, port):
        command = [sys.executable, "-c", ECHO, str(sock.fileno())]
        process = subprocess.Popen(command, pass_fds=[sock.fileno()])
        try:
            request = request_of({"inputs": ROW})
            uvloop.run(first_answer(port, request))
            return uvloop.run(measure(port, process.pid, request, n, 1))
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
            cold_mib = resident_mib(process.pid)
            return {
                "cold_start_s": cold_s,
                "cold_peak_mib": cold_mib,
                "single": uvloop.run(measure(port, process.pid, single, n, 1)),
                "single_32": uvloop.run(measure(port, process.pid, single, n, 32)),
                "batch_100": uvloop.run(measure(port, process.pid, batch, max(n // 50, 20), 1)),
                "peak_mib": resident_mib(process.pid),
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
