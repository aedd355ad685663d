"""``timonel.asgi(project)``: predictions answered inside another application's processes.

Each process that has mounted us answers by itself and writes its own spool, so ``kill -9`` of it
loses nothing that it acknowledged. What only one may do on a host is the keeper's
(``timonel.serving.embedding.keeper``), which the first of them starts.
"""

import asyncio
import fcntl
import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from timonel.errors import TimonelError
from timonel.project.config import read_settings
from timonel.serving.application import ServingApplication, build
from timonel.serving.config import WorkerConfig, decode, encode
from timonel.serving.embedding.orders import MOST_GUESTS, SOCKET, Hello, KeeperOrders, Sign
from timonel.serving.errors import NotReady
from timonel.serving.processes.children import python
from timonel.serving.processes.slots import StateFolder
from timonel.serving.routes.exchange import Exchange, Receive, Scope, Send

START_S = 60.0
RETRY_S = 5.0  # after a start that failed, requests are refused this long before it is tried again
SIGN_S = 0.2
_IN_USE = 4
_log = logging.getLogger("timonel.serving")


def asgi(project: str | Path, *, worker: bool = True, **settings: Any) -> "Mounted":
    """Make an ASGI application that serves a project's models inside another one.

    Parameters
    ----------
    project : str or Path
        The project's folder.
    worker : bool
        Whether checks, alerts and retrainings run beside it (on this host, once); False where
        ``timonel worker`` runs elsewhere.
    **settings
        As environment variables ``TIMONEL_<NAME>`` would set them.

    Returns
    -------
    Mounted
        To be mounted: ``app.mount("/ml", timonel.asgi("churn"))``. It starts at its first request,
        or by ``Mounted.lifespan``. Nothing is opened before, so a server may fork after import.
    """
    return Mounted(Path(project), worker=worker, settings=settings)


class Mounted:
    """The application that ``asgi`` gives; belongs to one event loop once it has started."""

    def __init__(self, folder: Path, *, worker: bool, settings: dict[str, Any]) -> None:
        self._folder = folder.resolve()
        self._worker = worker
        self._settings = settings
        self._app: ServingApplication | None = None
        self._link: _Link | None = None
        self._starting = asyncio.Lock()
        self._refused: TimonelError | None = None
        self._again_at = 0.0

    async def start(self) -> None:
        """Find or start the keeper, and load what is to be served; a second call does nothing.

        Raises
        ------
        TimonelError
            If the project cannot be opened, or its state folder belongs to another server.
        """
        async with self._starting:
            if self._app is not None:
                return
            if self._refused is not None and time.monotonic() < self._again_at:
                raise self._refused
            link = None
            try:
                link = _Link(self._folder, self._worker, self._settings)
                app = build(await asyncio.to_thread(link.open))
                await app.start()
            except TimonelError as error:
                self._refused, self._again_at = error, time.monotonic() + RETRY_S
                if link is not None:
                    link.close()
                raise
            link.watch(app)
            self._link, self._app = link, app

    async def stop(self) -> None:
        """End what was begun and close the spool; the keeper drains it."""
        async with self._starting:
            app, self._app = self._app, None
            link, self._link = self._link, None
        if app is not None:
            await app.stop()
        if link is not None:
            await asyncio.to_thread(link.close)

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Start and stop with the application that mounts it: ``FastAPI(lifespan=ml.lifespan)``."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; as an application of its own, also start and stop by lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        if self._app is None:
            try:
                await self.start()
            except TimonelError as error:
                exchange = Exchange(scope, receive, send, None)
                await exchange.refuse(NotReady(found=str(error), project=self._folder.name))
                return
        app = self._app
        assert app is not None  # noqa: S101 - started above
        await app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except TimonelError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


class _Link:
    """A process's connection to the keeper, made again when that one ends.

    Its end, however this process ends, tells the keeper that one is gone.
    """

    def __init__(self, folder: Path, worker: bool, settings: dict[str, Any]) -> None:
        _, found = read_settings(folder, settings)
        self._places = StateFolder((folder / found.state).resolve())
        self._project = folder.name
        self._orders = encode(KeeperOrders(folder=folder, settings=settings, worker=worker))
        self._slot, self._lock = -1, -1
        self._connection: socket.socket | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> WorkerConfig:
        """Take a slot of one's own, connect to the keeper, and hear what to serve; may wait."""
        self._places.prepare(0)
        self._take_slot()
        return self._connect()

    def watch(self, app: ServingApplication) -> None:
        """Keep telling the keeper what is served, in a thread; start another where it ended."""
        self._thread = threading.Thread(
            target=self._watch, args=(app,), name="timonel-link", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Go; the keeper drains what is left."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(5.0)
        if self._connection is not None:
            self._connection.close()
        if self._lock >= 0:
            os.close(self._lock)

    def _take_slot(self) -> None:
        # a lock, not a number that the keeper gives: it holds also while there is no keeper
        for slot in range(MOST_GUESTS):
            path = self._places.run / f"mounted-{slot}.lock"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                continue
            self._slot, self._lock = slot, fd
            return
        found = f"{MOST_GUESTS} processes that have mounted it already"
        raise NotReady(found=found, project=self._project)

    def _connect(self) -> WorkerConfig:
        until = time.monotonic() + START_S
        while time.monotonic() < until and not self._ending.is_set():
            with suppress(OSError):
                return self._greet()
            said = self._see_to_keeper()
            if said:
                raise NotReady(found=said, project=self._project)
            time.sleep(0.05)
        raise NotReady(found="no keeper within its time", project=self._project)

    def _greet(self) -> WorkerConfig:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(5.0)
            connection.connect(str(self._places.socket(SOCKET)))
            connection.sendall(msgspec.json.encode(Hello(self._slot, os.getpid())) + b"\n")
            line = bytearray()
            while not line.endswith(b"\n"):
                piece = connection.recv(65_536)
                if not piece:
                    raise ConnectionResetError
                line += piece
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return decode(bytes(line), WorkerConfig)

    def _see_to_keeper(self) -> str:
        """Start a keeper where none is coming; say why it cannot be."""
        child = self._child
        if child is None:
            # a session of its own: it outlives this process, whose siblings it keeps house for
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                python("timonel.keeper"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            assert self._child.stdin is not None  # noqa: S101
            with suppress(BrokenPipeError):
                self._child.stdin.write(self._orders + b"\n")
                self._child.stdin.close()
            return ""
        if child.poll() is None:
            return ""
        self._child = None
        assert child.stdout is not None  # noqa: S101
        said = child.stdout.read().decode("utf-8", "replace").strip()
        child.stdout.close()
        if child.returncode == _IN_USE:
            with suppress(OSError):  # by the keeper that a sibling started, most likely
                self._greet_briefly()
                return ""
        return said or f"a keeper that ended with code {child.returncode}"

    def _greet_briefly(self) -> None:
        """Wait for the owner of the state folder to listen as a keeper does; raises ``OSError``."""
        until = time.monotonic() + START_S / 4
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(self._places.socket(SOCKET)))
                    return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def _watch(self, app: ServingApplication) -> None:
        while not self._ending.wait(SIGN_S):
            connection = self._connection
            if connection is None:
                self._return()
                continue
            try:
                connection.sendall(msgspec.json.encode(Sign(app.generation, app.ready)) + b"\n")
            except OSError:
                _log.warning("the keeper has ended: finding or starting another")
                connection.close()
                self._connection = None

    def _return(self) -> None:
        try:
            self._connect()
        except TimonelError as error:
            _log.error("%s", error)
