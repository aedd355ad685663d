"""What a predict worker costs, and what it never imports."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from timonel.registry.artifacts import ArtifactStore
from timonel.registry.manifest import ServingManifest
from timonel.serving.processes.slots import StateFolder
from timonel.testing.builders import PROJECT, make_manifest, open_registry, register_version
from timonel.testing.server import Server, ServerPlan

ALLOWED = {
    "_distutils_hack",
    "click",  # of uvicorn
    "cython_runtime",
    "flatbuffers",  # of onnxruntime
    "httptools",
    "msgspec",
    "numpy",
    "onnxruntime",
    "psycopg",
    "psycopg_binary",
    "timonel",
    "typing_extensions",
    "tzdata",
    "uvicorn",
    "uvloop",
}
EVERYTHING = """
import json, sys
import timonel.serving.worker
import timonel.runtime.graphs
import onnxruntime, psycopg, httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from timonel.store.lean import LeanStore
LeanStore("postgresql://nowhere/db").close()
tops = {name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(json.dumps(sorted(tops)))
"""


def test_a_worker_imports_what_answers_need_and_nothing_else() -> None:
    said = subprocess.run(
        [sys.executable, "-P", "-c", EVERYTHING], capture_output=True, text=True, check=True
    )
    tops = set(json.loads(said.stdout))
    ours = {name for name in tops if not name.startswith(("_sysconfigdata", "_cython_", "__"))}
    assert not ours - ALLOWED, sorted(ours - ALLOWED)


def test_importing_a_worker_does_not_load_what_its_models_may_not_need() -> None:
    code = "import sys, timonel.serving.worker; print(*sorted(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(said.stdout.split())
    assert not loaded & {"onnxruntime", "psycopg", "sqlalchemy", "fastapi", "sklearn", "pydantic"}


def onnx_manifest(artifacts: ArtifactStore) -> ServingManifest:
    """Compile a small forest to a graph, as training does."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    rows = np.random.default_rng(7).normal(size=(200, 1)).astype(np.float32)
    forest = RandomForestClassifier(20, random_state=7).fit(rows, (rows[:, 0] > 0).astype(int))
    graph = to_onnx(forest, rows[:1], options={"zipmap": False}).SerializeToString()
    number = {"kind": "number", "input": 0, "fill": 0.0, "mean": 0.0, "scale": 1.0}
    member = {
        "artifact": "model.onnx",
        "output": "probabilities",
        "link": "identity",
        "weight": 1.0,
    }
    plan = {
        "format": 1,
        "timezone": "UTC",
        "n_inputs": 1,
        "precision": "float32",
        "steps": [number],
        "members": [member],
    }
    return make_manifest(
        predictor="onnx", plan=plan, artifacts={"model.onnx": artifacts.put(graph)}
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="costs are read from /proc")
def test_a_worker_with_a_graph_is_small_and_starts_on_little_work(
    tmp_path: Path, sqlite_database: str
) -> None:
    with open_registry(sqlite_database) as (_, registry):
        manifest = onnx_manifest(ArtifactStore(StateFolder(tmp_path).artifacts))
        version = register_version(registry, manifest=manifest).version
        registry.declare(make_manifest())
        registry.promote("churn", version, who="ana", reason="first")
        plan = ServerPlan(
            state=tmp_path,
            database_url=sqlite_database,
            project=PROJECT,
            settings={"port": 0, "workers": 1, "role": "predict", "native_processes": 1},
        )
        with Server(plan) as server:
            ask = {"inputs": {"visits": 1.5}}
            said = httpx.post(f"{server.url}/v1/models/churn/predict", json=ask).json()
            assert (said["source"], said["version"]) == ("model", version)
            (pid,) = server.worker_pids()
            assert resident_mib(pid) <= 100
            # what it takes on an idle core; the time by the clock depends on the neighbours
            assert cpu_s(pid) <= 0.8
            assert not children_of(server.pid) - {pid}, "no model needs the pool"


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> set[int]:
    time.sleep(0.2)
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}
