"""The servers that are compared: how each is installed, started and asked. One worker each."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".peers"
APPS = HERE / "peers"
# the same libraries under all: what differs is the server around them
LIBRARIES = ("numpy", "pandas", "scikit-learn", "xgboost-cpu")
TIMEOUT_S = 1800


@dataclass(frozen=True)
class Peer:
    """A server of others.

    Parameters
    ----------
    name : str
    packages : tuple of str
    path : str
        Where a row is sent to.
    body : callable
        From a row to the request's document.
    score : callable
        From the answer's document to the probability in it.
    command : callable
        From its environment's ``bin``, the model's file, a scratch folder and a port to arguments.
    environment : callable
        Variables from the model's file and the port.
    prepare : callable
        Brings the model into the server's own form, once and before anything is measured.
    """

    name: str
    packages: tuple[str, ...]
    path: str
    body: Callable[[dict[str, Any]], Any]
    score: Callable[[Any], float]
    command: Callable[[Path, Path, Path, int], list[str]]
    environment: Callable[[Path, int], dict[str, str]] = lambda model, port: {}
    prepare: Callable[[Path, Path, Path], None] = lambda bin, model, scratch: None

    @property
    def bin(self) -> Path:
        return ENVIRONMENTS / self.name / "bin"


def _script(name: str) -> Callable[[Path, Path, Path, int], list[str]]:
    return lambda bin, model, scratch, port: [
        str(bin / "python"),
        str(APPS / name),
        str(model),
        str(port),
    ]


def _mlflow_save(bin: Path, model: Path, scratch: Path) -> None:
    folder = scratch / f"mlflow-{model.stem}"
    command = [str(bin / "python"), str(APPS / "mlflow_save.py"), str(model), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)


def _mlflow(bin: Path, model: Path, scratch: Path, port: int) -> list[str]:
    folder = scratch / f"mlflow-{model.stem}"
    serve = f"models serve -m {folder} --env-manager local -h 127.0.0.1 -p {port} -w 1"
    return [str(bin / "mlflow"), *serve.split()]


def _mlserver(bin: Path, model: Path, scratch: Path, port: int) -> list[str]:
    folder = scratch / f"mlserver-{model.stem}"
    folder.mkdir(exist_ok=True)
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": 0,  # in the one process: faster than a process beside it
        "debug": False,
    }
    described = {
        "name": "bench",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(model)},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(described))
    return [str(bin / "mlserver"), "start", str(folder)]


def _v2(row: dict[str, Any]) -> Any:
    kinds = {str: "BYTES", bool: "BOOL", int: "INT64", float: "FP64"}
    inputs = [
        {"name": name, "shape": [1, 1], "datatype": kinds[type(value)], "data": [value]}
        | ({"parameters": {"content_type": "str"}} if isinstance(value, str) else {})
        for name, value in row.items()
    ]
    return {
        "parameters": {"content_type": "pd"},
        "inputs": inputs,
        "outputs": [{"name": "predict_proba"}],
    }


PEERS = (
    Peer(
        "fastapi",
        ("fastapi", "uvicorn[standard]"),
        "/predict",
        lambda row: row,
        lambda answer: float(answer["score"]),
        _script("fastapi_app.py"),
    ),
    Peer(
        "litserve",
        ("litserve",),
        "/predict",
        lambda row: row,
        lambda answer: float(answer["score"]),
        _script("litserve_app.py"),
    ),
    Peer(
        "mlserver",
        ("mlserver", "mlserver-sklearn"),
        "/v2/models/bench/infer",
        _v2,
        lambda answer: float(answer["outputs"][0]["data"][1]),
        _mlserver,
    ),
    Peer(
        "bentoml",
        ("bentoml",),
        "/predict",
        lambda row: {"row": row},
        lambda answer: float(answer["score"]),
        lambda bin, model, scratch, port: [
            *(str(bin / "bentoml"), "serve", "bentoml_app:Peer", "--working-dir", str(APPS)),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        lambda model, port: {"BENCH_MODEL": str(model), "BENTOML_DO_NOT_TRACK": "1"},
    ),
    Peer(
        "mlflow",
        ("mlflow",),
        "/invocations",
        lambda row: {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        lambda answer: float(answer["predictions"][0][1]),
        _mlflow,
        prepare=_mlflow_save,
    ),
)


def install() -> None:
    """Install each peer into an environment of its own, and note why where that fails."""
    pins = [f"{name}=={_version(sys.executable, name)}" for name in LIBRARIES]
    for peer in PEERS:
        folder = ENVIRONMENTS / peer.name
        failed = ENVIRONMENTS / f"{peer.name}.failed"
        for note in (failed, ENVIRONMENTS / f"{peer.name}.version"):
            note.unlink(missing_ok=True)
        print(f"{peer.name}: {' '.join(peer.packages)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        command = [str(peer.bin / "python"), "-m", "pip", "install", "-q", "--no-compile"]
        done = subprocess.run(
            [*command, *pins, *peer.packages], capture_output=True, text=True, timeout=TIMEOUT_S
        )
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            failed.write_text((said or ["pip failed"])[0])
            print(f"  not installed: {failed.read_text()}", flush=True)
        else:
            package = peer.packages[0].partition("[")[0]
            (ENVIRONMENTS / f"{peer.name}.version").write_text(
                _version(peer.bin / "python", package)
            )


def why_absent(peer: Peer) -> str | None:
    """Say why a peer cannot be started; None: it is there."""
    failed = ENVIRONMENTS / f"{peer.name}.failed"
    if failed.exists():
        return f"not installed: {failed.read_text()[:200]}"
    if not (ENVIRONMENTS / f"{peer.name}.version").exists():
        return "not installed (make bench-peers)"
    return None


def version_of(peer: Peer) -> str:
    """Give the version that is installed."""
    return (ENVIRONMENTS / f"{peer.name}.version").read_text()


def _version(python: str | Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def environment(peer: Peer, model: Path, port: int) -> dict[str, str]:
    """Give a peer's variables: its own ``bin`` first, and one thread a process as ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = f"{peer.bin}{os.pathsep}{kept.get('PATH', '')}"
    return kept | {"PATH": path, "OMP_NUM_THREADS": "1"} | peer.environment(model, port)


def gone() -> AbstractContextManager[None]:
    """Take it that a process ended already."""
    return suppress(ProcessLookupError)


if __name__ == "__main__":
    install()
