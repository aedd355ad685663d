"""The control process as the supervisor starts it: a real process on a real Unix socket."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from timonel.app import open_app
from timonel.serving.config import ControlConfig

PROJECT = """
[project]
name = "taller"
timezone = "America/Santiago"
"""


@pytest.fixture
def control(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    (tmp_path / "timonel.toml").write_text(PROJECT)
    open_app(tmp_path).prepare()
    socket = tmp_path / "c.sock"
    socket.write_text("left by one that was killed")
    config = ControlConfig(folder=tmp_path, socket=socket, url="http://127.0.0.1:8000")
    argument = msgspec.json.encode(config, enc_hook=str).decode()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "timonel.http.control", argument],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TIMONEL_DATABASE_URL": f"sqlite:///{tmp_path}/.timonel/timonel.db"},
    )
    yield process, socket
    if process.poll() is None:
        process.kill()
    process.communicate()


def ask(process: subprocess.Popen[bytes], socket: Path, path: str) -> httpx.Response:
    until = time.monotonic() + 120
    while not socket.is_socket():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    transport = httpx.HTTPTransport(uds=str(socket))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        return client.get(path)


def test_it_answers_on_its_socket_and_ends_when_asked(
    control: tuple[subprocess.Popen[bytes], Path],
) -> None:
    process, socket = control
    found = ask(process, socket, "/v1").json()
    assert found["project"] == "taller"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert ask(process, socket, "/ui/").status_code == 200
    assert ask(process, socket, "/health").json()["status"] == "HEALTHY"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGTERM)
    assert b"Traceback" not in said


def test_it_ends_with_its_supervisor(control: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, socket = control
    ask(process, socket, "/livez")
    process.communicate(timeout=60)  # closes its standard input
    assert process.returncode is not None
