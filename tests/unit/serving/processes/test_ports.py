import os
import socket
import subprocess
import sys

import pytest

from timonel.serving.processes.errors import AddressUnusable, PortBusy, RemoteHostRefused
from timonel.serving.processes.ports import (
    is_for_clients,
    is_loopback,
    listen,
    next_free,
    require_allowed,
)


def test_port_zero_takes_any_free_port_and_listens() -> None:
    with (
        listen("127.0.0.1", 0) as bound,
        socket.create_connection(bound.getsockname()) as client,
    ):
        assert client.getpeername() == bound.getsockname()


def test_a_busy_port_names_its_owner_and_the_next_free_one() -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import socket, sys; s = socket.create_server(('127.0.0.1', 0));"
            "print(s.getsockname()[1], flush=True); sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        with pytest.raises(PortBusy) as raised:
            listen("127.0.0.1", port)
        holder.communicate()
    facts = raised.value.context
    assert facts["pid"] == str(holder.pid)
    assert "create_server" in facts["command"]
    assert facts["next_port"] > port
    assert f"--port {facts['next_port']}" in raised.value.remedy()
    assert str(holder.pid) in raised.value.message("es")


def test_the_next_free_port_can_be_bound() -> None:
    with listen("127.0.0.1", 0) as bound:
        taken = bound.getsockname()[1]
        port = next_free("127.0.0.1", taken)
        with listen("127.0.0.1", port) as beside:
            assert beside.getsockname()[1] == port > taken


def test_ports_of_clients_are_told_from_those_of_servers() -> None:
    with listen("127.0.0.1", 0) as bound:  # the system gives a server that asks one of them too
        assert is_for_clients(bound.getsockname()[1])
    assert not is_for_clients(8000)


def test_an_address_of_another_machine_is_refused_with_its_reason() -> None:
    with pytest.raises(AddressUnusable, match=r"192\.0\.2\.1"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.5", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_judged_by_the_address(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("allow_remote", "has_key", "missing"),
    [
        (False, False, "TIMONEL_ALLOW_REMOTE, TIMONEL_ADMIN_KEY"),
        (True, False, "TIMONEL_ADMIN_KEY"),
        (False, True, "TIMONEL_ALLOW_REMOTE"),
    ],
)
def test_a_remote_host_needs_leave_and_a_key(
    allow_remote: bool, has_key: bool, missing: str
) -> None:
    with pytest.raises(RemoteHostRefused) as raised:
        require_allowed("0.0.0.0", allow_remote=allow_remote, has_key=has_key)
    assert raised.value.context["missing"] == missing
    require_allowed("0.0.0.0", allow_remote=True, has_key=True)
    require_allowed("127.0.0.1", allow_remote=False, has_key=False)


def test_our_own_process_is_named_too() -> None:
    with listen("127.0.0.1", 0) as bound, pytest.raises(PortBusy) as raised:
        listen("127.0.0.1", bound.getsockname()[1])
    assert raised.value.context["pid"] == str(os.getpid())
