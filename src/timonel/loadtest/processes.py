"""What processes cost, as the kernel counts it: CPU time and memory. Linux only, else unknown."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_STILL_S = 0.3


def is_known() -> bool:
    """Whether this system says what a process costs."""
    return (_PROC / "self" / "stat").exists()


def tree(pid: int) -> list[int]:
    """Give a process and all that it started, directly or not, and that still run."""
    parents: dict[int, list[int]] = {}
    for folder in _PROC.iterdir() if is_known() else ():
        if folder.name.isdecimal():
            with suppress(OSError):
                parents.setdefault(int(_stat(int(folder.name))[1]), []).append(int(folder.name))
    found = [pid]
    for parent in found:
        found.extend(parents.get(parent, ()))
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """Add up the CPU seconds (user and system) that running processes have used."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            fields = _stat(pid)
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pids: Iterable[int]) -> float:
    """Add up the resident memory of one server's processes in MiB.

    Private pages of all, and the shared pages of the process that has the most: libraries that they
    share are counted once, whoever else on the machine maps them too.
    """
    private, shared = 0, 0
    for pid in pids:
        with suppress(OSError):
            own, others = _resident_kib(pid)
            private, shared = private + own, max(shared, others)
    return round((private + shared) / 1024, 1)


def settle(pid: int, limit_s: float = 10.0) -> None:
    """Wait until a process and its children rest: what they do after the answers counts too."""
    until = time.monotonic() + limit_s
    before = cpu_s(tree(pid))
    while time.monotonic() < until:
        time.sleep(_STILL_S)
        now = cpu_s(tree(pid))
        if now - before <= 0.03 * _STILL_S + 0.01:
            return
        before = now


def _stat(pid: int) -> list[str]:
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _resident_kib(pid: int) -> tuple[int, int]:
    private, resident = 0, 0
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Private_"):
            private += int(line.split()[1])
        elif line.startswith("Rss:"):
            resident = int(line.split()[1])
    return private, resident - private
