"""With --json a script gets one JSON document on standard output, whatever goes wrong."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from timonel.cli import checks, main

TABLE = "edad,zona,sale\n" + "".join(f"{20 + i % 40},{'ab'[i % 2]},{i % 2}\n" for i in range(60))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("datos.csv").write_text(TABLE)
        assert run("init", "--from", "datos.csv", "--target", "sale", "--json", at=patch) == 0
        assert run("db", "upgrade", "-C", "datos", at=patch) == 0
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIMONEL_LANGUAGE", "es")
    return tmp_path / "datos"


def run(*words: str, at: pytest.MonkeyPatch) -> Any:
    at.setattr("sys.argv", ["timonel", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return ended.value.code or 0


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        ("versions nada", "unknown_model", 1),
        ("train nada", "undeclared_model", 1),
        ("promote datos", "invalid_usage", 2),
        ("promote", "invalid_usage", 2),
        ("versions --foo", "invalid_usage", 2),
        ("init --from datos.csv --target sale --kind x", "invalid_usage", 2),
        ("init --from nada.csv --target sale", "missing_file", 1),
        ("rollback datos", "unknown_model", 1),
        ("predict datos datos/sample_request.json", "server_unreachable", 1),
        ("predict datos datos.csv --out nada/x.csv", "system_refused", 1),
        ("outcome import datos.csv --key x --rejected nada/x.csv", "system_refused", 1),
        ("outcome show x", "unknown_outcome", 1),
    ],
)
def test_an_error_is_the_one_document(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    code: str,
    status: int,
) -> None:
    monkeypatch.setenv("TIMONEL_PORT", "1")
    command = words.split()
    if command[0] != "init":
        command += ["-C", str(project)]
    capsys.readouterr()
    assert run(*command, "--json", at=monkeypatch) == status
    document = json.loads(capsys.readouterr().out)
    assert (document["code"], bool(document["remedy"])) == (code, True), document


def test_what_the_system_refuses_and_what_we_broke_are_explained(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = project.parent / "roto"
    broken.mkdir()
    (broken / "timonel.toml").write_text((project / "timonel.toml").read_text())
    (broken / ".timonel").write_text("a file where a folder belongs")
    assert run("db", "upgrade", "-C", str(broken), at=monkeypatch) == 1
    assert ".timonel" in capsys.readouterr().err

    def defect(folder: Path) -> list[checks.Finding]:
        message = "nobody thought of this"
        raise RuntimeError(message)

    monkeypatch.setattr(checks, "diagnose", defect)
    assert run("doctor", "--json", "-C", str(project), at=monkeypatch) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["code"] == "unexpected_stop"
    assert "Traceback" in said.err


def test_a_reader_that_has_enough_is_no_error(project: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "timonel.cli.main", "doctor", "-C", str(project)]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, b"")


def test_a_setting_that_cannot_be_used_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIMONEL_PORT", "ocho")
    assert run("versions", "-C", str(project), "--json", at=monkeypatch) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["code"] == "invalid_setting"
    assert "se esperaba un número entero" in document["detail"]


def test_the_doctor_names_who_holds_the_port_and_counts_what_is_undrained(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slot = project / ".timonel" / "spool" / "slot-0"
    slot.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("TIMONEL_PORT", str(port))
        capsys.readouterr()
        assert run("doctor", "--json", "-C", str(project), at=monkeypatch) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["port"]["state"] == "warning"
    assert f"{port} lo ocupa el proceso" in found["port"]["detail"]
    assert "--port" in found["port"]["remedy"]
    assert found["spool"]["detail"] == "0 bytes aún fuera de la base de datos"
