"""Mounted in an application of FastAPI: real servers, several processes, kill -9."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import timonel
from timonel.serving.config import decode, encode
from timonel.serving.embedding.orders import KeeperOrders
from timonel.serving.processes.ports import next_free

TOML = '[project]\nname = "ana"\ntimezone = "America/Santiago"\n'
MODEL = """
from timonel import Csv, Model, Number, Outcome, Schema, recipes

churn = Model(
    name="churn", task="binary", target="leaves", schema=Schema(Number("visits", ge=0)),
    source=Csv("rows.csv"), recipe=recipes.logistic(), fallback="rules:stay",
    outcome=Outcome(key="rut"),
)
"""
RULES = """
from timonel import Answer

def stay(row):
    return Answer("yes" if row["visits"] < 1 else "no")
"""
HOST = """
import os
import timonel
from fastapi import FastAPI

ml = timonel.asgi("project", worker=False, max_rows="2")
app = FastAPI({lifespan})
app.mount("/ml", ml)

@app.get("/pid")
def pid() -> int:
    return os.getpid()
"""
PREDICT = "/ml/v1/models/churn/predict"
SERVERS = {
    "uvicorn": ("-m", "uvicorn", "host:app", "--port", "PORT"),
    "uvicorn-2": ("-m", "uvicorn", "host:app", "--port", "PORT", "--workers", "2"),
    "gunicorn-2": (
        *("-m", "gunicorn", "host:app", "-b", "127.0.0.1:PORT", "-w", "2"),
        *("-k", "uvicorn.workers.UvicornWorker"),
    ),
}


@contextmanager
def running(folder: Path, kind: str, lifespan: str = "") -> Iterator[httpx.Client]:
    project = folder / "project"
    project.mkdir(exist_ok=True)
    (project / "timonel.toml").write_text(TOML)
    (project / "model.py").write_text(MODEL)
    (project / "rules.py").write_text(RULES)
    (project / "rows.csv").write_text("visits,leaves\n" + "0,yes\n3,no\n" * 40)
    (folder / "host.py").write_text(HOST.format(lifespan=lifespan))
    port = str(next_free("127.0.0.1", random.randrange(15_000, 30_000)))
    arguments = [one.replace("PORT", port) for one in SERVERS[kind]]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONWARNINGS": "ignore"}
    server = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment, process_group=0
    )
    try:
        # a connection a request, so that all processes are asked
        limits = httpx.Limits(max_keepalive_connections=0)
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=120, limits=limits) as client:
            until = time.monotonic() + 240
            while True:
                try:
                    client.get("/pid").raise_for_status()
                    break
                except httpx.HTTPError:
                    assert server.poll() is None
                    assert time.monotonic() < until
                    time.sleep(0.1)
            yield client
    finally:
        server.terminate()
        server.wait(60)


def stored(folder: Path) -> set[str]:
    file = folder / "project" / ".timonel" / "timonel.db"
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        return {
            str(row[0]).replace("-", "")
            for row in database.execute("SELECT prediction_id FROM predictions")
        }


def ask(client: httpx.Client, visits: float = 3.0) -> str:
    answer = client.post(PREDICT, json={"inputs": {"visits": visits}})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert (document["source"], document["prediction"]) == ("rules", "yes" if visits < 1 else "no")
    return str(document["prediction_id"])


def keeper(folder: Path) -> int:
    return int((folder / "project" / ".timonel" / "spool" / "owner.lock").read_text())


def await_true(held: Callable[[], bool]) -> None:
    until = time.monotonic() + 240
    while not held():
        assert time.monotonic() < until
        time.sleep(0.05)


def await_more(given: set[str]) -> None:
    n_before = len(given)
    await_true(lambda: len(given) >= n_before + 100)


@contextmanager
def asking(client: httpx.Client, given: set[str]) -> Iterator[None]:
    """Ask all the while in two threads; what is answered is added to ``given``."""
    over = threading.Event()

    def ask_on() -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=client.base_url, timeout=30, limits=limits) as mine:
            while not over.is_set():
                try:
                    answer = mine.post(PREDICT, json={"inputs": {"visits": 3}})
                    given.add(answer.json()["prediction_id"])
                except (httpx.HTTPError, json.JSONDecodeError, KeyError):
                    continue  # its process was killed: nothing was acknowledged

    threads = [threading.Thread(target=ask_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def check_control(client: httpx.Client) -> None:
    """Routes of the control process, which starts after predictions are answered."""
    await_true(lambda: client.get("/ml/v1/models").status_code == 200)
    models = client.get("/ml/v1/models").json()["models"]
    assert [model["name"] for model in models] == ["churn"]
    assert "docs-assets/swagger-ui.css" in client.get("/ml/docs").text
    assert client.get("/ml/docs-assets/swagger-ui.css").status_code == 200
    document = client.get("/ml/openapi.json").json()
    assert document["servers"] == [{"url": "/ml"}]
    assert "/v1/models/churn/predict" in document["paths"]
    assert client.get("/docs").status_code == 200  # the host's own are left alone
    assert client.get("/ml/readyz").json()["status"] == "ready"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "lifespan"),
    [
        ("gunicorn-2", ""),
        pytest.param("uvicorn", "lifespan=ml.lifespan", marks=pytest.mark.interop),
        pytest.param("uvicorn-2", "lifespan=ml.lifespan", marks=pytest.mark.interop),
    ],
)
def test_kill_9_of_workers_and_keeper_loses_nothing(
    tmp_path: Path, kind: str, lifespan: str
) -> None:
    given: set[str] = set()
    with running(tmp_path, kind, lifespan) as client:
        given |= {ask(client), ask(client, 0.0)}
        assert client.post(PREDICT, json={"inputs": {"visits": -1}}).status_code == 422
        three = client.post(PREDICT, json={"inputs": [{"visits": 1}] * 3})
        assert (three.status_code, "max_rows" in three.text) == (413, True)  # as the host set it
        check_control(client)
        first = keeper(tmp_path)
        with asking(client, given):
            if kind != "uvicorn":
                await_more(given)
                os.kill(client.get("/pid").json(), signal.SIGKILL)
            await_more(given)
            os.kill(first, signal.SIGKILL)
            await_more(given)  # answers go on without a keeper
        await_true(lambda: {one.replace("-", "") for one in given} <= stored(tmp_path))
        # a killed process may have written what it never got to say
        assert len(stored(tmp_path)) - len(given) <= 2
        assert keeper(tmp_path) != first
        last = keeper(tmp_path)
    # the house is closed when all have gone
    await_true(lambda: not Path(f"/proc/{last}").exists())


async def test_a_project_that_cannot_be_opened_is_a_503_that_says_why(tmp_path: Path) -> None:
    transport = httpx.ASGITransport(timonel.asgi(tmp_path / "nothing"))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/v1/models")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert "timonel.toml" in answer.text


def test_settings_of_the_host_reach_the_keeper() -> None:
    settings: dict[str, Any] = {"max_rows": 2, "timezone": "America/Santiago", "port": None}
    sent = KeeperOrders(folder=Path("a folder"), settings=settings)
    assert decode(encode(sent), KeeperOrders) == sent


def test_the_host_imports_no_more_than_a_predict_worker_and_the_settings_need() -> None:
    code = "import sys, timonel; timonel.asgi('project'); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"sqlalchemy", "polars", "fastapi", "sklearn", "scipy"}.isdisjoint(loaded)
