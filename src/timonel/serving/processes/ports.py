"""Listening on an address, and naming who is in the way."""

import contextlib
import errno
import ipaddress
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from timonel.serving.processes.errors import AddressUnusable, PortBusy, RemoteHostRefused

BACKLOG = 2048
_LISTENING = "0A"  # the kernel's number of the state, in /proc/net/tcp
_ORPHAN_MARK = "timonel.serving.worker"


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that listens on a port; both "?" where the system does not tell."""

    pid: str = "?"
    command: str = "?"


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_allowed(host: str, *, allow_remote: bool, has_key: bool) -> None:
    """Refuse an address that others can reach, unless that is wished and guarded by a key.

    Raises
    ------
    RemoteHostRefused
        Naming what is missing.
    """
    if is_loopback(host) or (allow_remote and has_key):
        return
    missing = [
        name
        for name, is_set in (("TIMONEL_ALLOW_REMOTE", allow_remote), ("TIMONEL_ADMIN_KEY", has_key))
        if not is_set
    ]
    raise RemoteHostRefused(host=host, missing=", ".join(missing))


def listen(host: str, port: int, *, patience_s: float = 3.0) -> socket.socket:
    """Bind and listen; port 0 takes any free one.

    A port still held by workers of a server that was killed is waited for: they are ending.
    So is one whose owner cannot be named: it ended as we looked.

    Raises
    ------
    PortBusy
        With the owner and the next free port.
    AddressUnusable
        If the address cannot be bound for another reason.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            return _bind(host, port, listening=True)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                found = error.strerror or str(error)
                raise AddressUnusable(host=host, port=port, found=found) from error
        owner = owner_of(port)
        # an owner that nobody can name has most likely just ended
        passing = _ORPHAN_MARK in owner.command or owner == Owner()
        if not passing or time.monotonic() > until:
            raise PortBusy(
                host=host,
                port=port,
                pid=owner.pid,
                command=owner.command,
                next_port=next_free(host, port),
            )
        time.sleep(0.05)


def listen_privately(path: Path, backlog: int) -> socket.socket:
    """Listen on a Unix socket that only this user may open, in a dead process's place."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(backlog)
    return listener


def next_free(host: str, port: int) -> int:
    """Find a port above ``port`` that can be bound now; 0 (any) where a hundred are taken."""
    for candidate in range(port + 1, min(port + 101, 65_536)):
        with contextlib.suppress(OSError):
            _bind(host, candidate, listening=False).close()
            return candidate
    return 0


def is_for_clients(port: int) -> bool:
    """Whether the system may give this port to a client, which then holds it against a server."""
    try:
        low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    except (OSError, ValueError):  # another system: its range by RFC 6335
        low, high = "49152", "65535"
    return int(low) <= port <= int(high)


def owner_of(port: int) -> Owner:
    """Name the process that listens on a TCP port of this machine."""
    if Path("/proc/net/tcp").exists():
        return _owner_by_proc(port)
    return _owner_by_lsof(port)


def _bind(host: str, port: int, *, listening: bool) -> socket.socket:
    name = "127.0.0.1" if host == "localhost" else host
    family, kind, protocol, _, address = socket.getaddrinfo(
        name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        if listening:
            bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def _owner_by_proc(port: int) -> Owner:
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        # processes end while we look, and those of other users do not let us
        with contextlib.suppress(OSError):
            if any(str(fd.readlink()) in wanted for fd in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                return Owner(process.name, command.decode("utf-8", "replace").strip()[:200])
    return Owner()


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _owner_by_lsof(port: int) -> Owner:
    lsof = shutil.which("lsof")
    if lsof is None:
        return Owner()
    try:
        listing = subprocess.run(  # noqa: S603 - our own arguments, no shell
            [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return Owner()
    fields = {line[0]: line[1:] for line in reversed(listing.splitlines()) if line}
    return Owner(fields.get("p", "?"), fields.get("c", "?"))
