"""The supervisor of ``serve``: binds the port, keeps the processes alive, drains the spools.

The processes: N predict workers over one listening socket, one control process behind a Unix
socket (imported after the workers are ready, so that it does not delay them), and one pool for
models that are not compiled, started by the first connection to its socket.
"""

import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from timonel.access.book import KeyBook
from timonel.access.usage import KeyUsage
from timonel.installs import brings_native
from timonel.serving.processes.children import Child, Command, end_all
from timonel.serving.processes.drainers import DrainerFactory, DrainerThreads
from timonel.serving.processes.exposing import Exposing
from timonel.serving.processes.launch import (
    ServeConfig,
    control_command,
    pool_command,
    worker_command,
)
from timonel.serving.processes.memory import measure_host, this_process
from timonel.serving.processes.notices import Notice, OnNotice
from timonel.serving.processes.ports import (
    BACKLOG,
    is_loopback,
    listen,
    listen_privately,
    require_allowed,
)
from timonel.serving.processes.presence import Presence
from timonel.serving.processes.reports import ProcessReports, owner_name
from timonel.serving.processes.slots import Ownership, StateFolder
from timonel.store.control import HostReading
from timonel.store.engine import make_engine

__all__ = ["ServeConfig", "Supervisor"]

CHECK_S = 0.05
STALLED_S = 1.0  # a watcher that stood still as long as this forgives the silence of its children
FINISH_S = 20.0
DRAIN_S = 30.0
READY_PATIENCE_S = 10.0  # control and drainers wait no longer than this for slow workers
_SECOND = 1_000_000_000


class Supervisor:
    """Runs a server until it is told to stop.

    Parameters
    ----------
    config : ServeConfig
    drainer_factory : callable
        Makes a drainer from spool folders and an id.
    on_event : callable
        Told what happens (``timonel.serving.processes.notices``); called from several threads.
    companions : sequence of Command
        Further processes that live and die with this server: the worker of ``timonel up``.
    """

    def __init__(
        self,
        config: ServeConfig,
        drainer_factory: DrainerFactory,
        on_event: OnNotice,
        companions: Sequence[Command] = (),
    ) -> None:
        self._companions = tuple(companions)
        self._config = config
        self._factory = drainer_factory
        self._notify = on_event
        # A number, not an Event: a signal's handler runs in the midst of whatever the main thread
        # does, and must not wait for a lock that it holds.
        self._n_asked = 0
        self.ready = threading.Event()
        """Set when every worker has loaded its models and answers."""
        self.url = ""
        """Where it listens, once it does."""

    def stop(self) -> None:
        """Ask the server to end; asked a second time, it ends without finishing its work."""
        self._n_asked += 1

    def run(self) -> int:
        """Serve until ``stop`` or a signal (SIGTERM, SIGINT; in the main thread only).

        Returns
        -------
        int
            Bytes of predictions that could not be drained in time; 0 in the good case.

        Raises
        ------
        RemoteHostRefused, PortBusy, AddressUnusable, StateInUse, UnsafeFolder
            Before anything is started.
        """
        settings = self._config.settings
        require_allowed(
            settings.host,
            allow_remote=settings.allow_remote,
            has_key=settings.admin_key is not None or self._has_keys(),
        )
        with ExitStack() as stack:
            stack.enter_context(Ownership(StateFolder(self._config.state)))
            listener = stack.enter_context(listen(settings.host, settings.port))
            stack.enter_context(_signals(self.stop))
            self.url = _url(settings.host, listener)
            self._notify(Notice.LISTENING, {"url": self.url})
            life = _Run(
                self._config, listener, self.url, self._factory, self._notify, self._companions
            )
            try:
                life.serve(self.ready, lambda: self._n_asked > 0)
            finally:
                left = life.finish(lambda: self._n_asked > 1)
        return left

    def _has_keys(self) -> bool:
        if is_loopback(self._config.settings.host):
            return False  # none is needed: the database is not asked
        engine = make_engine(self._config.database_url)
        try:
            return bool(KeyBook(engine, self._config.project).list())
        finally:
            engine.dispose()


class _Run:
    """One life of a server: its children, threads and sockets."""

    def __init__(
        self,
        config: ServeConfig,
        listener: socket.socket,
        url: str,
        drainer_factory: DrainerFactory,
        notify: OnNotice,
        companions: Sequence[Command],
    ) -> None:
        self._companions = companions
        self._config = config
        self._settings = config.settings
        # in role control a worker only forwards: one is enough
        self._n_workers = 1 if config.settings.role == "control" else config.settings.workers
        self._listener = listener
        self._url = url
        self._notify = notify
        self._places = StateFolder(config.state)
        self._control_socket = self._places.socket("control") if self._has_control else None
        slots = self._places.prepare(self._n_workers)
        self._pool_listener = self._listen_for_pool()
        self._owner = owner_name(config.state)
        self._drainers = DrainerThreads(
            drainer_factory,
            slots,
            n_workers=self._n_workers,
            owner=self._owner,
            notify=notify,
        )
        self._engine = make_engine(config.database_url)
        self._usage = KeyUsage(self._places.key_usage)
        reports = ProcessReports(
            self._engine, config.project, self._owner, self._usage, self._measure
        )
        self._presence = Presence(reports, notify)
        self._exposing = Exposing(
            self._engine,
            config.project,
            self._owner,
            slots,
            self._places.exposition,
            self._measure,
        )
        self._workers = [self._make_worker(index) for index in range(self._n_workers)]
        self._others = list(self._make_others())

    @property
    def _has_control(self) -> bool:
        return self._settings.role != "predict"

    def serve(self, ready: threading.Event, stopping: Callable[[], bool]) -> None:
        """Keep everything running until told to stop."""
        began = last = time.monotonic_ns()
        secondary = False
        while not stopping():
            now = time.monotonic_ns()
            children = [*self._workers, *(self._others if secondary else [])]
            if now - last > STALLED_S * _SECOND:
                for child in children:
                    child.pardon(now)
            last = now
            for child in children:
                child.check(now)
            states = [child.state() for child in self._workers]
            all_ready = all(state.ready for state in states)
            if all_ready and not ready.is_set():
                self._announce(ready, (now - began) / _SECOND)
            if not secondary and (all_ready or now - began > READY_PATIENCE_S * _SECOND):
                secondary = True
                self._drainers.start()
                self._presence.start()
                self._exposing.start()
            self._drainers.check()
            self._presence.update(states)
            time.sleep(CHECK_S)

    def finish(self, hastened: Callable[[], bool]) -> int:
        """Stop accepting, let the workers finish, drain, stop the rest; give the bytes left."""
        began = time.monotonic()
        self._notify(Notice.STOPPING, {})
        self._listener.close()
        end_all(self._workers, FINISH_S, hastened)
        for child in self._others:
            child.signal(signal.SIGTERM)
        left = self._drainers.finish(DRAIN_S, hastened)
        if left:
            facts = {"n_bytes": left, "folder": str(self._places.spool)}
            self._notify(Notice.UNDRAINED, facts)
        end_all(self._others, FINISH_S, hastened)
        self._presence.update(())
        self._presence.stop(1.0)
        self._exposing.stop(1.0)
        self._engine.dispose()
        self._usage.close()
        if self._pool_listener is not None:
            self._pool_listener.close()
        self._notify(Notice.STOPPED, {"seconds": time.monotonic() - began})
        return left

    def _measure(self) -> list[HostReading]:
        states = [child.state() for child in (*self._workers, *self._others)]
        return measure_host(
            this_process("supervisor"), states, state=self._config.state, settings=self._settings
        )

    def _announce(self, ready: threading.Event, seconds: float) -> None:
        ready.set()
        facts = {"url": self._url, "n_workers": len(self._workers), "seconds": seconds}
        self._notify(Notice.READY, facts)

    def _make_worker(self, index: int) -> Child:
        pool = self._pool_listener
        command = worker_command(
            self._config,
            index,
            self._listener.fileno(),
            control_socket=self._control_socket,
            native_socket=None if pool is None else Path(pool.getsockname()),
        )
        return Child(command, self._notify)

    def _make_others(self) -> Iterator[Child]:
        if self._control_socket is not None:
            self._control_socket.unlink(missing_ok=True)
            command = control_command(self._config, self._control_socket, self._url)
            yield Child(command, self._notify)
        pool = self._pool_listener
        if pool is not None:
            yield Child(
                pool_command(self._config, pool.fileno()),
                self._notify,
                wanted=lambda: bool(select.select([pool], [], [], 0)[0]),
            )
        for command in self._companions:
            yield Child(command, self._notify)

    def _listen_for_pool(self) -> socket.socket | None:
        """Listen in the pool's place: it costs nothing until a worker connects.

        A serving-only installation has no pool: loading a native version there says so.
        """
        if not self._settings.native_processes or not brings_native():
            return None
        return listen_privately(self._places.socket("native"), BACKLOG)


def _url(host: str, listener: socket.socket) -> str:
    address = listener.getsockname()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{address[1]}"


@contextmanager
def _signals(on_signal: Callable[[], None]) -> Iterator[None]:
    """Take SIGTERM, SIGINT and SIGHUP while serving, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` means it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: on_signal()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
