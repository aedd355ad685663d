"""Every process of a real server logs one JSON object a line where that is asked for."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

WAIT_S = 60
PROJECT = """
import timonel

timonel.get_logger("prices").warning("stale: %s", "tml_0123456789abcdef", extra={"model": "churn"})
print("words of a library")
churn = timonel.Model(
    name="churn",
    task="binary",
    target="left",
    schema=timonel.Schema(timonel.Number("age")),
    source=timonel.Csv("rows.csv"),
)
"""


@pytest.mark.slow
@pytest.mark.parametrize("to", ["stderr", "stdout", "files"])
def test_every_line_of_a_server_is_an_object_and_none_holds_a_secret(
    tmp_path: Path, to: str
) -> None:
    (tmp_path / "timonel.toml").write_text('[project]\nname = "harbour"\n')
    (tmp_path / "model.py").write_text(PROJECT)
    (tmp_path / "rows.csv").write_text("age,left\n30,0\n40,1\n")  # too few: training fails
    server = subprocess.Popen(
        [sys.executable, "-m", "timonel.cli.main", "up", "-C", str(tmp_path), "--port", "0"],
        env=os.environ | {"TIMONEL_LOG_FORMAT": "json", "TIMONEL_LOG_TO": to},
        stdout=subprocess.PIPE if to == "stdout" else subprocess.DEVNULL,
        stderr=subprocess.PIPE if to == "stderr" else subprocess.DEVNULL,
        text=True,
    )
    lines: list[str] = []
    seen = threading.Condition()

    def read() -> None:
        for line in followed(tmp_path) if to == "files" else server.stderr or server.stdout or ():
            with seen:
                lines.append(line)
                seen.notify_all()

    def followed(folder: Path) -> Iterator[str]:
        """Give what is appended to any log file, until the server has ended."""
        at: dict[Path, int] = {}
        ended = False
        while not ended:
            ended = server.poll() is not None
            for file in (folder / "logs").glob("*.log"):
                text = file.read_text()
                whole = text[at.get(file, 0) : text.rfind("\n") + 1]
                at[file] = at.get(file, 0) + len(whole)
                yield from whole.splitlines()
            time.sleep(0.05)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()

    def await_line(wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        with seen:
            found = seen.wait_for(
                lambda: [one for one in map(json.loads, lines) if wanted(one)], WAIT_S
            )
        assert found, lines
        first: dict[str, Any] = found[0]
        return first

    try:
        await_line(lambda one: one.get("event") == "ready")
        await_line(lambda one: one.get("event") == "training_failed")
        for process in ("worker-0", "worker"):
            await_line(lambda one, who=process: one["process"] == who)  # type: ignore[misc]
        died = subprocess.run(
            ["pgrep", "-P", str(server.pid), "-f", "timonel.serving.worker"],
            capture_output=True,
            text=True,
            check=True,
        )
        os.kill(int(died.stdout.split()[0]), signal.SIGKILL)
        told = await_line(lambda one: one.get("event") == "worker_died")
        assert (told["level"], told["child"], told["process"]) == (
            "ERROR",
            "worker-0",
            "supervisor",
        )
        server.send_signal(signal.SIGTERM)
        assert server.wait(WAIT_S) == 0
        reader.join(WAIT_S)
    finally:
        server.kill()
        server.communicate()
    objects = [json.loads(line) for line in lines]
    assert all({"time", "level", "logger", "message", "process"} <= one.keys() for one in objects)
    assert {"supervisor", "worker-0", "worker"} <= {one["process"] for one in objects}
    assert not any("tml_" in line for line in lines)
    ours = next(one for one in objects if one["logger"] == "timonel.project.prices")
    assert (ours["message"], ours["model"]) == ("stale: ***", "churn")
    said = {(one["logger"], one["message"]) for one in objects}
    assert ("timonel.process", "words of a library") in said
    if to == "files":
        names = {file.name.partition("_")[0] for file in (tmp_path / "logs").glob("*.log")}
        assert names == {"app", "prices", "training"}
