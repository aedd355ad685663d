"""Our server and others, one worker each, one model, one row: a table, and its file.

    make bench-peers     # once: installs the peers into benchmarks/.peers
    make bench           # or: python benchmarks/compare.py --rounds 3 --trees 100 1400

Each round starts every server anew, in another order, and asks it over loopback: noise of the
machine hits all alike. The load generator is ours for all (``timonel.loadtest``: one process,
asyncio and httptools), closed loop, bounded in count and time. CPU is that of the server's whole
process tree, until it rests: for us that includes logging each prediction and draining the log into
SQLite, which no peer does. Figures are medians over rounds.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from benchmarks import servers, world

import timonel
from timonel.loadtest.connection import Connection, Reply, post
from timonel.loadtest.load import Bounds, Measured, load
from timonel.loadtest.processes import cpu_s, memory_mib, settle, tree
from timonel.serving.processes.ports import next_free

RESULTS = Path(__file__).parent / "results"
START_S = 120.0
WARM = Bounds(100, 5.0)
_PORTS = iter(range(18_000, 30_000, 10))


@dataclass(frozen=True)
class Entry:
    """One server of the comparison, ready to be started with a model."""

    name: str
    version: str
    start: Callable[[int], "subprocess.Popen[bytes]"]
    request: Callable[[int], bytes]
    score: Callable[[Any], float]


@dataclass
class Found:
    """What was measured of one server with one model, a list a figure, an item a round."""

    version: str
    figures: dict[str, list[float]] = field(default_factory=dict)
    reason: str = ""

    def add(self, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def medians(self) -> dict[str, float]:
        return {name: statistics.median(values) for name, values in self.figures.items()}


def entries(scratch: Path, model: Path, found: dict[str, Found]) -> list[Entry]:
    folder = scratch / f"timonel-{model.stem}"
    world.project(folder, model)
    ours = json.dumps({"inputs": world.ROW}).encode()
    ready = [
        Entry(
            f"timonel, {durability}",
            timonel.__version__,
            partial(world.serve, folder, durability=durability),
            lambda port: post(world.PATH, ours, host=f"127.0.0.1:{port}"),
            lambda answer: float(answer["score"]),
        )
        for durability in ("written", "synced")
    ]
    for peer in servers.PEERS:
        absent = servers.why_absent(peer)
        if absent is not None:
            found[peer.name] = Found("-", reason=absent)
            continue
        peer.prepare(peer.bin, model, scratch)
        ready.append(_entry(peer, scratch, model))
    return ready


def _entry(peer: servers.Peer, scratch: Path, model: Path) -> Entry:
    body = json.dumps(peer.body(world.ROW)).encode()

    def start(port: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            peer.command(peer.bin, model, scratch, port),
            stdout=(scratch / f"{peer.name}.out").open("wb"),
            stderr=subprocess.STDOUT,
            env=servers.environment(peer, model, port),
        )

    return Entry(
        peer.name,
        servers.version_of(peer),
        start,
        lambda port: post(peer.path, body, host=f"127.0.0.1:{port}"),
        peer.score,
    )


@contextmanager
def running(entry: Entry, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    process = entry.start(port)
    try:
        yield process
    finally:
        started = tree(process.pid)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        for pid in started[1:]:  # what a server leaves behind would disturb the next one
            with servers.gone():
                os.kill(pid, 9)


def first_answer(process: "subprocess.Popen[bytes]", port: int, request: bytes) -> Reply:
    async def ask() -> Reply:
        connection = await Connection.open("127.0.0.1", port)
        try:
            return await connection.ask(request)
        finally:
            connection.close()

    until = time.monotonic() + START_S
    while True:
        try:
            reply = uvloop.run(ask())
        except OSError:
            reply = Reply(0, b"no answer")
        if reply.status == 200:
            return reply
        if process.poll() is not None or time.monotonic() > until:
            message = f"it does not answer: {reply.status} {reply.body[:200]!r}"
            raise RuntimeError(message)
        time.sleep(0.02)


def measure(entry: Entry, bounds: Bounds) -> dict[str, float]:
    port = next_free("127.0.0.1", next(_PORTS))
    request, place = entry.request(port), ("127.0.0.1", port)
    began = time.perf_counter()
    with running(entry, port) as process:
        reply = first_answer(process, port, request)
        figures = {"cold_s": time.perf_counter() - began}
        figures["score"] = entry.score(json.loads(reply.body))
        uvloop.run(load(place, [request], WARM))
        for concurrency in (1, 32):
            settle(process.pid)
            before = cpu_s(tree(process.pid))
            found: Measured = uvloop.run(load(place, [request], bounds, concurrency=concurrency))
            settle(process.pid)
            if not found.n:
                message = f"no answers at concurrency {concurrency}: {found.kinds}"
                raise RuntimeError(message)
            suffix = f"_{concurrency}"
            figures |= {
                f"cpu_us{suffix}": (cpu_s(tree(process.pid)) - before) / found.n * 1e6,
                f"p50_ms{suffix}": found.quantile_ms(0.5) or 0.0,
                f"p99_ms{suffix}": found.quantile_ms(0.99) or 0.0,
                f"per_s{suffix}": found.per_s,
                f"failed{suffix}": float(found.n_failed),
            }
        figures["mib"] = memory_mib(tree(process.pid))
    return figures


def compare(
    scratch: Path, trees: int, rounds: int, bounds: Bounds, only: str
) -> Iterator[dict[str, Found]]:
    """Give what is found so far, after each round."""
    found: dict[str, Found] = {}
    ready = entries(scratch, world.fit(scratch, trees), found)
    ready = [entry for entry in ready if only in entry.name or entry.name.startswith("timonel")]
    for at in range(rounds):
        for entry in random.Random(at).sample(ready, len(ready)):
            result = found.setdefault(entry.name, Found(entry.version))
            if result.reason:
                continue
            print(f"{trees} trees, round {at + 1}: {entry.name}", file=sys.stderr, flush=True)
            try:
                result.add(measure(entry, bounds))
            except (RuntimeError, subprocess.SubprocessError, KeyError, ValueError) as error:
                result.reason = f"not measured: {error}"[:300]
        yield found


_COLUMNS = (
    ("cpu_us_1", "CPU us/request", 0),
    ("p50_ms_1", "p50 ms", 2),
    ("p99_ms_1", "p99 ms", 2),
    ("per_s_1", "answers/s, 1", 0),
    ("cpu_us_32", "CPU us, 32", 0),
    ("p50_ms_32", "p50 ms, 32", 2),
    ("p99_ms_32", "p99 ms, 32", 2),
    ("per_s_32", "answers/s, 32", 0),
    ("cold_s", "cold start s", 2),
    ("mib", "MiB", 0),
)


def table(found: dict[str, Found]) -> str:
    """Write one model's table; in brackets how many times our figure (``written``) it is."""
    ours = found.get("timonel, written", Found("")).medians()
    heads = ["server", *(title for _, title, _ in _COLUMNS)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, result in found.items():
        if result.reason:
            lines.append(f"| {name} {result.version} | {result.reason} |" + " |" * (len(heads) - 2))
            continue
        cells, figures = [f"{name} {result.version}"], result.medians()
        for key, _, digits in _COLUMNS:
            shown = f"{figures[key]:,.{digits}f}"
            known = bool(ours.get(key))
            cells.append(f"{shown} ({figures[key] / ours[key]:.2g}x)" if known else shown)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    names = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": names[0].partition(":")[2].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": [round(value, 1) for value in os.getloadavg()],
    }


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trees", type=int, nargs="*", default=[100, 1400])
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", default="", help="Part of the name of one peer.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    facts, bounds = machine(), Bounds(options.requests, options.seconds)
    options.out.mkdir(exist_ok=True)
    results: dict[str, dict[str, Found]] = {}
    with tempfile.TemporaryDirectory(prefix="timonel-bench-") as scratch:
        for trees in options.trees:
            for found in compare(Path(scratch), trees, options.rounds, bounds, options.only):
                results[f"{trees} trees"] = found
                report = save(options.out, facts, results)  # a run that is cut short leaves a part
    print(report)


def save(folder: Path, facts: dict[str, Any], results: dict[str, dict[str, Found]]) -> str:
    """Write the JSON and the Markdown of what was found; give the latter."""
    rounds = max(
        len(one.figures.get("mib", ())) for found in results.values() for one in found.values()
    )
    lines = [
        f"Measured {facts['date']} on {facts['processor']}, {facts['cores']} cores, load average "
        f"{facts['load_average'][0]} at the start, {rounds} rounds.\n"
    ]
    lines += [f"## {model}\n\n{table(found)}\n" for model, found in results.items()]
    models = {
        model: {
            name: {"version": one.version, "reason": one.reason, "rounds": one.figures}
            for name, one in found.items()
        }
        for model, found in results.items()
    }
    name = f"compare-{facts['date'][:10]}-{platform.machine()}"
    document = {"machine": facts, "models": models}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    report = "\n".join(lines)
    (folder / f"{name}.md").write_text(report)
    return report


if __name__ == "__main__":
    main()
