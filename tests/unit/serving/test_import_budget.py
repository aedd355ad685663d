"""A predict worker imports nothing heavy: seen from a real process that has answered a row."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from timonel.serving.config import encode
from timonel.testing.builders import open_registry
from timonel.testing.serving import ROW, ServingWorld, declared_manifest

THIRD_PARTY = {"msgspec", "numpy", "onnxruntime", "uvicorn", "uvloop", "httptools", "psycopg"}
# what those bring along by themselves, and what an environment puts into every process
COMPANIONS = {
    "click",
    "cython_runtime",
    "h11",
    "google",
    "flatbuffers",
    "packaging",
    "typing_extensions",
    "psycopg_binary",
    "psycopg_c",
    "tzdata",
    "coverage",
    "sitecustomize",
    "usercustomize",
    "distutils",
    "_distutils_hack",
}
OURS = {
    "access",
    "clock",
    "errors",
    "events",
    "experiments",
    "logging",
    "registry",
    "runtime",
    "schema",
    "serving",
    "store",
    "tracing",
    "wire",
}
CHILD = """
import asyncio, json, sys
import timonel.serving.worker  # with uvicorn and uvloop, as in service
from timonel.serving.application import build
from timonel.serving.config import WorkerConfig, decode

config, row = sys.argv[1], sys.argv[2].encode()
sent = []

async def main():
    app = build(decode(config, WorkerConfig))
    await app.start()
    async def receive():
        return {"type": "http.request", "body": row, "more_body": False}
    async def send(message):
        sent.append(message)
    scope = {"type": "http", "method": "POST", "path": "/v1/models/churn/predict",
             "client": ("127.0.0.1", 1), "headers": [(b"host", b"localhost")]}
    await app(scope, receive, send)
    await app.stop()

asyncio.run(main())
status = open("/proc/self/status").readlines() if sys.platform == "linux" else []
rss = [line for line in status if line.startswith("VmHWM")]
print(json.dumps({
    "status": sent[0]["status"],
    "answer": json.loads(sent[1]["body"]),
    "modules": sorted(sys.modules),
    "peak_mib": int(rss[0].split()[1]) / 1024 if rss else 0,
}))
"""


def test_role_predict_imports_what_it_may_and_stays_small(database: str, tmp_path: Path) -> None:
    with open_registry(database) as (_, registry):
        world = ServingWorld(tmp_path, database, registry)
        registry.declare(declared_manifest())
        world.promote()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, encode(world.config()), json.dumps({"inputs": ROW})],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["status"], said["answer"]["source"]) == (200, "model"), said["answer"]
    top = {name.partition(".")[0] for name in said["modules"]}
    foreign = top - set(sys.stdlib_module_names) - THIRD_PARTY - COMPANIONS - {"timonel"}
    assert {name for name in foreign if not name.startswith(("_", "timonel_rules_"))} == set()
    ours = {name.split(".")[1] for name in said["modules"] if name.startswith("timonel.")}
    assert ours <= OURS
    assert "timonel.store.tables" not in said["modules"]
    if database.startswith("sqlite"):
        assert "psycopg" not in top
    assert said["peak_mib"] <= 100


@pytest.mark.parametrize("module", ["timonel.serving.worker", "timonel.serving.application"])
def test_the_worker_can_be_imported_first(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, timeout=240)
