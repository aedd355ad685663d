"""Ana's afternoon: an Excel file in Santiago becomes a served, measured model; counted outside."""

import csv
import json
import os
import random
import re
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from timonel.serving.processes.ports import next_free

N_ROWS = 900
N_ASKED = 300
# made anew for each client, certificates and all, it would take 20 ms of CPU
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
FROM_SANTIAGO = {"TZ": "America/Santiago", "LANG": "es_CL.UTF-8"}


class Customer(NamedTuple):
    """One line of the file, as Excel wrote it."""

    rut: str
    months: int
    debt: str
    commune: str
    automatic: str
    since: str
    leaves: str


def customers(n: int) -> list[Customer]:
    draw = random.Random(3)
    made = []
    for i in range(n):
        months, debt = draw.randint(1, 79), draw.gauss(45_000, 20_000)
        commune = draw.choice(["Ñuñoa", "Maipú", "Providencia"])
        automatic = draw.random() < 0.5
        pull = -0.04 * months + debt / 30_000 + (commune == "Maipú") - automatic - 0.3
        leaves = draw.random() < 1 / (1 + 2.718 ** (-2 * pull))
        since = f"{draw.randint(1, 28):02d}/{draw.randint(1, 12):02d}/{draw.randint(2019, 2025)}"
        made.append(
            Customer(
                f"{10_000_000 + 7 * i}-{i % 10}",
                months,
                f"{debt:.2f}".replace(".", ","),
                commune,
                "Sí" if automatic else "No",
                since,
                "Sí" if leaves else "No",
            )
        )
    return made


def save_as_excel_does(path: Path, rows: list[tuple[Any, ...]]) -> None:
    lines = [";".join(map(str, row)) for row in rows]
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode("cp1252"))


class Shell:
    """Runs `timonel` as a person does, in one folder, with one environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        hidden = ("LC_", "LANG", "TZ", "TIMONEL_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        self.environment = kept | environment | {"COLUMNS": "120"}
        self.folder = folder
        self.servers: list[subprocess.Popen[str]] = []

    def start(self, *words: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "timonel.cli.main", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self.servers.append(process)
        return process

    def run(self, *words: str, status: int = 0) -> str:
        return self.end(self.start(*words), status)

    def end(self, process: "subprocess.Popen[str]", status: int = 0) -> str:
        said, _ = process.communicate(timeout=240)
        assert process.returncode == status, said
        return said

    def stop(self, server: "subprocess.Popen[str]") -> str:
        server.send_signal(signal.SIGINT)
        said, _ = server.communicate(timeout=120)
        assert server.returncode == 0, said
        return said


@pytest.fixture
def shells() -> Iterator[Callable[[Path, dict[str, str]], Shell]]:
    made: list[Shell] = []

    def make(folder: Path, environment: dict[str, str]) -> Shell:
        folder.mkdir(parents=True, exist_ok=True)
        made.append(Shell(folder, environment))
        return made[-1]

    yield make
    for shell in made:
        for process in shell.servers:
            if process.poll() is None:
                process.kill()
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()


def until(found: Callable[[], Any], limit_s: float = 240.0) -> Any:
    """Ask again and again until there is an answer."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            answer = found()
        except httpx.TransportError:
            answer = None
        if answer:
            return answer
        time.sleep(0.1)
    message = f"nothing within {limit_s} s"
    raise TimeoutError(message)


def visible(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_ana_from_an_excel_file_to_a_measured_model(
    tmp_path: Path, shells: Callable[[Path, dict[str, str]], Shell]
) -> None:
    file, people = tmp_path / "Año nuevo" / "clientes.csv", customers(N_ROWS)
    port = str(next_free("127.0.0.1", random.randrange(15_000, 30_000)))
    at_home = shells(file.parent, FROM_SANTIAGO)
    heading = ("rut", "antigüedad", "deuda", "comuna", "pago_automatico", "alta", "abandona")
    save_as_excel_does(file, [heading, *people])

    said = at_home.run("init", "--from", "clientes.csv", "--target", "abandona")
    assert "Leído como: Csv, cp1252, separator ';', decimal ','" in said
    assert "Los resultados pueden nombrar predicciones por rut" in said
    ana = shells(file.parent / "clientes", FROM_SANTIAGO | {"TIMONEL_PORT": port})
    model = ana.folder / "model.py"
    assert "Maipú" in model.read_text("utf-8")

    url = f"http://127.0.0.1:{port}"
    sample = json.loads((ana.folder / "sample_request.json").read_text("utf-8"))
    acknowledged: list[str] = []

    def ask() -> dict[str, Any] | None:
        # a connection of its own, so that any of the workers may take it
        with httpx.Client(verify=TLS) as client:
            reply = client.post(f"{url}/v1/models/clientes/predict", json=sample)
        if reply.status_code == 503:  # it starts
            return None
        answer: dict[str, Any] = reply.raise_for_status().json()
        acknowledged.append(answer["prediction_id"])
        return answer

    def version() -> str:
        return str((ask() or {}).get("version"))

    # up: the base rate answers at once, the model when it is trained
    server = ana.start("up", "--workers", "2")
    first = until(ask)
    assert (first["source"], first["reason"]) == ("baseline", "no_version")
    assert first["prediction"] == Counter(one.leaves for one in people).most_common(1)[0][0]
    by_model = until(lambda: (a := ask()) and a["source"] == "model" and a)
    assert (by_model["version"], by_model["reason"]) == ("1.0.0", "assigned")

    # a file of rows, and later the truth about most of them
    asked = people[:N_ASKED]
    save_as_excel_does(file.with_name("pedir.csv"), [heading[:-1], *(one[:-1] for one in asked)])
    summary = json.loads(ana.run("predict", "clientes", "../pedir.csv", "--json"))
    assert (summary["n"], summary["model_n"], summary["errors"]) == (N_ASKED, N_ASKED, 0)
    # written as her own file is, so that her Excel opens it
    written = (ana.folder / "../pedir.csv.predictions.csv").read_text("utf-8-sig")
    answers = list(csv.DictReader(written.splitlines(), delimiter=";"))
    assert all(0 <= float(row["score"].replace(",", ".", 1)) <= 1 for row in answers)
    acknowledged += [row["prediction_id"] for row in answers]
    truth = [("rut", "abandona"), *((one.rut, one.leaves) for one in asked[:250])]
    strays = [("1-9", "Sí"), (asked[0].rut, "quizás"), ("", "No")]
    save_as_excel_does(file.with_name("verdad.csv"), truth + strays)
    report = json.loads(ana.run("outcome", "import", "../verdad.csv", "--key", "rut", "--json"))
    fates = {k: v for k, v in report.items() if isinstance(v, int)}
    assert fates == {"rows": 253, "joined": 250, "unknown": 1, "invalid": 2}
    rejected = (ana.folder / "rejected.csv").read_text("utf-8-sig")
    assert "nunca se hizo una predicción para la llave 1-9" in rejected
    assert "hay 'quizás', se esperaba uno de No, Sí" in rejected
    turned = [(rut, "No" if leaves == "Sí" else "Sí") for rut, leaves in truth[1:6]]
    save_as_excel_does(file.with_name("corregida.csv"), [truth[0], *turned, *truth[6:]])
    said = ana.run("outcome", "import", "../corregida.csv", "--key", "rut")
    assert re.search(r"\b5 corrigen", said), said
    assert re.search(r"\b245 ya ", said), said

    # how good it was, counted here from the answers and the latest truths
    latest = dict(truth[1:] + turned)
    right = [latest[row["rut"]] == row["prediction"] for row in answers if row["rut"] in latest]
    performance = httpx.get(f"{url}/v1/models/clientes/performance").json()["overall"]
    assert (performance["n_labels"], performance["metric"]) == (250, "accuracy")
    assert performance["value"] == pytest.approx(sum(right) / 250)
    assert performance["low"] < performance["value"] < performance["high"]
    page = visible(httpx.get(f"{url}/ui/?lang=es").text)
    assert f"{100 * performance['value']:.1f} %".replace(".", ",") in page
    assert "intervalo del 95 %" in page

    # another recipe: a second version, into production, and back
    model.write_text(model.read_text("utf-8").replace("automatic()", "logistic()"), "utf-8")
    second = json.loads(ana.run("train", "clientes", "--json"))
    assert (second["version"], second["promoted"]) == ("1.1.0", False)
    assert version() == "1.0.0"
    promoted = httpx.post(
        f"{url}/v1/models/clientes/versions/1.1.0/promote", json={"who": "ana", "reason": "simple"}
    )
    promoted.raise_for_status()
    began = last_old = time.monotonic()
    while time.monotonic() - began < 1.5:
        if version() != "1.1.0":
            last_old = time.monotonic()
        time.sleep(0.02)
    assert last_old - began < 1.0
    back = json.loads(ana.run("rollback", "clientes", "--json"))
    assert (back["version"], back["processes_current"], back["processes_live"]) == ("1.0.0", 2, 2)
    assert {version() for _ in range(20)} == {"1.0.0"}
    # at once: each mostly waits for its imports
    history, doctor = ana.start("versions", "--history", "--json"), ana.start("doctor", "--json")
    rows = json.loads(ana.end(history))
    served = [row["version"] for row in rows if row["to_stage"] == "production"]
    assert served == ["1.0.0", "1.1.0", "1.0.0"]
    findings = {one["name"]: one for one in json.loads(ana.end(doctor))}
    assert {one["state"] for name, one in findings.items() if name != "disk"} == {"ok"}, findings
    assert "el servidor de este proyecto" in findings["port"]["detail"]

    # it stops cleanly and loses nothing
    assert "Todo lo confirmado está en la base de datos" in ana.stop(server)
    with sqlite3.connect(ana.folder / ".timonel" / "timonel.db") as database:
        stored = [str(row[0]) for row in database.execute("SELECT prediction_id FROM predictions")]
    database.close()
    assert Counter(one.replace("-", "") for one in stored) == Counter(
        one.replace("-", "") for one in acknowledged
    )

    # the next start serves the same version with its first answer
    server = ana.start("up")
    answer = until(ask)
    assert (answer["version"], answer["source"]) == ("1.0.0", "model")
    ana.stop(server)


@pytest.mark.slow
def test_a_plain_terminal_and_a_training_cut_short(
    tmp_path: Path, shells: Callable[[Path, dict[str, str]], Shell]
) -> None:
    heading = ("rut", "antigüedad", "deuda", "comuna", "pago_automatico", "alta", "abandona")
    save_as_excel_does(tmp_path / "ñandú.csv", [heading, *customers(400)])
    port = str(next_free("127.0.0.1", random.randrange(15_000, 30_000)))
    plain = shells(tmp_path, {"LANG": "C", "TIMONEL_PORT": port})
    assert "Read as: Csv, cp1252" in plain.run(
        "init", "--from", "ñandú.csv", "--target", "abandona", "--name", "aves", "-o", "aves"
    )

    # Ctrl-C in the first training, then kill -9: the next start trains and serves
    server = plain.start("up", "-C", "aves")
    url = f"http://127.0.0.1:{port}/v1/models/aves"
    sample = json.loads((tmp_path / "aves" / "sample_request.json").read_text("utf-8"))

    def ask() -> dict[str, Any] | None:
        reply = httpx.post(f"{url}/predict", json=sample)
        return reply.json() if reply.status_code == 200 else None

    until(ask)
    assert "Stopped. Everything acknowledged is in the database." in plain.stop(server)
    server = plain.start("up", "-C", "aves")
    until(ask)
    server.kill()
    server.wait()
    server = plain.start("up", "-C", "aves")
    until(lambda: (a := ask()) and a["source"] == "model")

    # a truth for a name that is none is refused at the door, never a dead letter
    for key in ("x" * 257, "a\0b", ""):
        reply = httpx.post(f"{url}/outcomes", json={"key": key, "value": "No"})
        assert (reply.status_code, reply.json()["code"]) == (422, "invalid_outcome")
        row = sample["inputs"] | {"rut": key}
        reply = httpx.post(
            f"{url}/predict", json={"inputs": row}, headers={"accept-language": "es"}
        )
        assert reply.status_code == 422
        assert "se esperaba un texto de 1 a 256 caracteres imprimibles" in reply.json()["detail"]
    assert "Stopped." in plain.stop(server)
    assert not list((tmp_path / "aves" / ".timonel").rglob("dead-letters*"))
