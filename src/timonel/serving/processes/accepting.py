"""Connections shared by the workers of one listening socket.

The kernel wakes whoever it likes, and uvloop then takes all that wait: of 32 connections that a
client's pool opened at once, one of two workers got up to all 32, and kept them. Here a worker
takes one at a time, and while another has fewer it leaves the next to that one for some
milliseconds. A worker that is busy or gone thus costs a connection a moment, never its answer.
"""

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn

from timonel.serving.processes.liveness import Heartbeat, beats_beside

PATIENCE = 5
WAIT_S = 0.002
_SILENT_NS = 1_000_000_000
_PAUSE_S = 0.5
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_log = logging.getLogger("timonel.serving")


class FairServer(uvicorn.Server):
    """Uvicorn's server over sockets that other workers accept from too.

    Parameters
    ----------
    config : uvicorn.Config
    beat : Heartbeat
        Of this worker; says how many connections it has.
    place : Path
        Its file; the others' lie beside it.
    """

    def __init__(self, config: uvicorn.Config, beat: Heartbeat, place: Path) -> None:
        super().__init__(config)
        self._beat = beat
        self._place = place

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await super().startup(sockets=[])
        for sock in sockets or ():
            acceptor = _Acceptor(sock, self._protocol, self._may_take)
            self.servers.append(acceptor)  # type: ignore[arg-type]  # it is closed and waited for

    def tell_connections(self, opening: int = 0) -> int:
        """Say, where the others read it, how many connections there are; give the number."""
        n = len(self.server_state.connections) + opening
        self._beat.connected(n)
        return n

    def _may_take(self, opening: int) -> bool:
        mine = self.tell_connections(opening)
        if not mine:
            return True
        since_ns = time.monotonic_ns() - _SILENT_NS
        others = (one for one in beats_beside(self._place) if one.ready and one.at_ns > since_ns)
        return all(mine <= one.connections for one in others)

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


class _Acceptor:
    """Accepts from one socket, in the running loop, until it is closed."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        may_take: Callable[[int], bool],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._may_take = may_take
        self._opening: set[asyncio.Task[object]] = set()
        self._patience = PATIENCE
        self._closed = False
        listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Accept no more."""
        self._closed = True
        self._loop.remove_reader(self._listener)

    async def wait_closed(self) -> None:
        """Wait until what was accepted last is a connection."""
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _listen(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener, self._accept)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._loop.call_later(seconds, self._listen)

    def _accept(self) -> None:
        if self._patience and not self._may_take(len(self._opening)):
            self._patience -= 1
            self._pause(WAIT_S)
            return
        self._patience = PATIENCE
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _SHORT:  # it stays readable: without a pause the loop would spin
                _log.error("cannot take a connection: %s", error.strerror)
                self._pause(_PAUSE_S)
            return  # else another worker took it, or its client left
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.ensure_future(self._loop.connect_accepted_socket(self._protocol, connection))
        self._opening.add(task)
        task.add_done_callback(self._opened)
        self._may_take(len(self._opening))

    def _opened(self, task: "asyncio.Task[object]") -> None:
        self._opening.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.debug("a connection was lost as it was taken: %r", task.exception())
