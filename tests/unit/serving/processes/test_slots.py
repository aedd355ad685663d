import os
import subprocess
import sys
from pathlib import Path

import pytest

from timonel.serving.processes.errors import StateInUse, UnsafeFolder
from timonel.serving.processes.slots import Ownership, StateFolder

HOLD = (
    "import sys; from pathlib import Path;"
    "from timonel.serving.processes.slots import Ownership, StateFolder;"
    "held = Ownership(StateFolder(Path(sys.argv[1]))); print('held', flush=True); sys.stdin.read()"
)


def test_slots_of_an_earlier_run_with_more_workers_are_found(tmp_path: Path) -> None:
    places = StateFolder(tmp_path)
    places.prepare(12)
    (places.spool / "slot-x").mkdir()
    found = places.prepare(2)
    slots = [f"slot-{index}" for index in range(12)]
    assert [path.name for path in found] == [*slots, "recorded"]
    assert places.slot(0).stat().st_mode & 0o077 == 0


def test_a_second_owner_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    places = StateFolder(tmp_path)
    with Ownership(places), pytest.raises(StateInUse) as raised:
        Ownership(places)
    assert raised.value.context["pid"] == str(os.getpid())
    with Ownership(places):
        pass


def test_the_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StateInUse, match=str(holder.pid)):
            Ownership(StateFolder(tmp_path))
        holder.kill()
        holder.wait()
        Ownership(StateFolder(tmp_path)).release()


def test_a_socket_path_too_long_for_the_system_moves_to_a_private_short_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    deep = StateFolder(tmp_path / ("x" * 120))
    path = deep.socket("control")
    assert path.parent.parent == tmp_path
    assert path == deep.socket("control")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert StateFolder(Path("/srv/p")).socket("control") == Path("/srv/p/run/control.sock")
    path.parent.chmod(0o755)
    with pytest.raises(UnsafeFolder):
        deep.socket("control")
