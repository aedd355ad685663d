"""How much memory and disk a host uses, as its system tells; None where it does not say.

Linux is read (``/proc``, cgroups 1 and 2). Elsewhere nothing is measured, which is said.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from timonel.serving.processes.children import State
from timonel.settings import Settings
from timonel.store.control import DISK, MACHINE, HostReading

WORKER = "worker"
DISK_RESERVE = 2_000_000_000  # bytes; of a small disk a tenth
_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_V2 = ("memory.current", "memory.max", "inactive_file")
_V1 = ("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file")


def measure_host(
    own: State, others: Sequence[State], *, state: Path, settings: Settings
) -> list[HostReading]:
    """Measure the processes of a server, the machine's memory and the disk of the state folder.

    Parameters
    ----------
    own : State
        This process.
    others : sequence of State
        The children that are told apart from it; those that do not run are passed over.
    state : Path
    settings : Settings
        ``memory_mb``, to which those that train are not held, and ``memory_share``.
    """
    readings = []
    for one in (own, *others):
        apart = one is own and bool(others)
        used = None if one.pid == 0 else resident_bytes(one.pid, alone=apart)
        if used is not None:
            allowed = None if one.role == WORKER else settings.memory_mb << 20
            readings.append(HostReading(one.name, used, allowed, pid=one.pid))
    machine = machine_memory()
    if machine is not None:
        used, total = machine
        readings.append(HostReading(MACHINE, used, round(total * settings.memory_share), total))
    with contextlib.suppress(OSError):
        disk = shutil.disk_usage(state)
        reserve = min(DISK_RESERVE, disk.total // 10)
        readings.append(HostReading(DISK, disk.total - disk.free, disk.total - reserve, disk.total))
    return readings


def this_process(role: str) -> State:
    """Give the state of this process."""
    return State(role, role, os.getpid(), 0, ready=True)


def resident_bytes(pid: int, *, alone: bool = False) -> int | None:
    """Give the memory of a process with those that it started; None where it cannot be read."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    below = () if alone else _children(pid)
    return pages * _PAGE + sum(resident_bytes(child) or 0 for child in below)


def _children(pid: int) -> Iterator[int]:
    for listed in (_PROC / str(pid) / "task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            yield from map(int, listed.read_text("ascii").split())


def machine_memory(
    proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> tuple[int, int] | None:
    """Give the bytes in use and in all: of the narrowest cgroup that has a limit, else of all.

    Returns
    -------
    tuple of int, or None
        None where the system does not say.
    """
    try:
        lines = (proc / "meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    total = kib["MemTotal"] << 10
    used = total - (kib.get("MemAvailable", kib["MemFree"]) << 10)
    limited = [found for found in _cgroups(proc, cgroups) if found[1] < total]
    return min(limited, key=lambda found: found[1], default=(used, total))


def _cgroups(proc: Path, cgroups: Path) -> Iterator[tuple[int, int]]:
    """Give the bytes in use and allowed of each cgroup that this process is in."""
    with contextlib.suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text("utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                root, names = cgroups, _V2
            elif "memory" in controllers.split(","):
                root, names = cgroups / "memory", _V1
            else:
                continue
            place = root / path.strip("/")
            # up to the root, which is where a container sees its own
            for folder in (place, *place.parents):
                if folder.is_relative_to(root):
                    yield from _cgroup(folder, *names)


def _cgroup(folder: Path, current: str, limit: str, cache: str) -> Iterator[tuple[int, int]]:
    # "max" is no number: there is no limit
    with contextlib.suppress(OSError, ValueError):
        allowed = int((folder / limit).read_text("ascii"))
        used = int((folder / current).read_text("ascii"))
        lines = (folder / "memory.stat").read_text("ascii").splitlines()
        told = dict(line.split() for line in lines)
        # as Kubernetes counts: what the system would take back first is not in use
        yield max(0, used - int(told.get(cache, 0))), allowed
