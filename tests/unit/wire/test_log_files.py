"""Log files that several processes write, rotate, and are killed or stopped over."""

import fcntl
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from timonel.logging import REQUEST, Files, JsonLines, file_of, get_logger, pass_on

WRITER = """
import sys
from timonel.logging import Files, configure, get_logger
from pathlib import Path

folder, who, n = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
files = Files(folder, max_bytes=20_000, backup_count=1000)
configure("json", "info", who, files)
log = get_logger("training")
print("ready", flush=True)
for i in range(n):
    log.info("%s %d %s", who, i, "x" * (i % 90))
"""
TODAY = f"{datetime.now(UTC):%Y%m%d}"


def start(folder: Path, who: str, n: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), who, str(n)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def lines_of(folder: Path) -> list[dict[str, str]]:
    files = sorted(folder.glob("training_*.log*"))
    assert all(re.fullmatch(r"training_\d{8}\.log(\.\d+)?", file.name) for file in files)
    assert all(file.stat().st_size <= 20_000 for file in files)
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_many_processes_write_and_rotate_and_no_line_is_lost_or_broken(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    killed = start(folder, "killed", 1_000_000)
    writers = [start(folder, f"writer-{index}", 400) for index in range(3)]
    killed.send_signal(signal.SIGKILL)
    for process in (*writers, killed):
        process.communicate(timeout=120)
    assert [process.returncode for process in (*writers, killed)] == [0, 0, 0, -9]
    found = Counter(line["process"] for line in lines_of(folder))
    assert {who: n for who, n in found.items() if who.startswith("writer")} == {
        f"writer-{index}": 400 for index in range(3)
    }
    assert len(list(folder.glob("training_*.log*"))) > 5
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_a_full_file_makes_room_and_the_oldest_go(tmp_path: Path) -> None:
    for name in ("app_20200101.log", "app_20200102.log", "app_20200102.log.1", "other.log"):
        (tmp_path / name).write_text("old\n")
    files = Files(tmp_path, max_bytes=30, backup_count=4)
    for index in range(4):
        files.write("timonel.serving", f"line {index} {'x' * 15}")
    today = f"app_{TODAY}.log"
    assert {file.name for file in tmp_path.iterdir()} == {
        *(today, f"{today}.1", f"{today}.2", f"{today}.3"),
        *("app_20200102.log", "other.log", ".lock"),
    }
    assert [(tmp_path / name).read_text()[5] for name in (f"{today}.3", today)] == ["0", "3"]
    files.write("timonel.serving", "y" * 100)  # longer than a file: whole, in a file of its own
    assert (tmp_path / today).read_text() == "y" * 100 + "\n"


def test_a_lock_that_is_never_given_back_loses_no_line(tmp_path: Path) -> None:
    files = Files(tmp_path, max_bytes=30, backup_count=4)
    files.write("timonel.serving", "first")
    with (tmp_path / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for index in range(100):  # a second each would be too long
            files.write("timonel.serving", f"line {index}")
    assert len((tmp_path / f"app_{TODAY}.log").read_text().splitlines()) == 101
    files.write("timonel.serving", "last")
    assert (tmp_path / f"app_{TODAY}.log").read_text() == "last\n"


def test_what_the_disk_does_not_take_is_not_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("a file stands there")
    files = Files(tmp_path / "logs", max_bytes=1000, backup_count=1)
    files.write("timonel.serving", "one")
    files.write("timonel.serving", "two")
    told, one, two = capsys.readouterr().err.splitlines()
    assert told.startswith("logs cannot be written")
    assert (one, two) == ("one", "two")


@pytest.mark.parametrize(
    ("logger", "file"),
    [
        ("timonel.serving", "app"),
        ("timonel.registry", "mlops"),
        ("timonel.jobs.runner", "mlops"),
        ("timonel.alerts", "monitoring"),
        ("timonel.training", "training"),
        ("timonel.retraining", "retraining"),
        ("timonel.project.retraining", "retraining"),
        ("timonel.project.Precios del día/../x", "precios-del-d-a-x"),
        ("timonel.project.../..", "app"),
        ("sqlalchemy.engine", "app"),
    ],
)
def test_each_logger_has_its_file(logger: str, file: str) -> None:
    assert file_of(logger) == file


def test_names_by_the_thousand_fill_no_folder(tmp_path: Path) -> None:
    files = Files(tmp_path, max_bytes=1000, backup_count=1)
    for index in range(60):
        files.write(f"timonel.project.n{index}", "line")
    assert len(list(tmp_path.glob("*.log"))) == 41
    assert (tmp_path / f"app_{TODAY}.log").read_text().count("line") == 20


def test_what_a_child_said_goes_where_its_logger_goes(tmp_path: Path) -> None:
    files = Files(tmp_path, max_bytes=10_000, backup_count=1)
    pass_on(files, "worker-0", "Segmentation fault of tml_0123456789")
    own = '{"time":"2026-01-01T00:00:00.000+00:00","logger":"timonel.project.training"}'
    pass_on(files, "worker-0", own)
    said = json.loads((tmp_path / f"app_{TODAY}.log").read_text())
    assert (said["message"], said["process"]) == ("Segmentation fault of ***", "worker-0")
    assert (tmp_path / f"training_{TODAY}.log").read_text() == own + "\n"


def test_a_line_carries_the_request_that_is_answered() -> None:
    log = get_logger("app")
    form = JsonLines("worker-0").format
    record = log.makeRecord(log.name, 20, __file__, 1, "slow", (), None)
    token = REQUEST.set(b"r-17")
    try:
        inside = json.loads(form(record))
    finally:
        REQUEST.reset(token)
    assert inside["request_id"] == "r-17"
    assert "request_id" not in json.loads(form(record))
