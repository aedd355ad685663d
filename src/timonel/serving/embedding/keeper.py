"""What answers inside another application cannot do itself: one keeper a host does it.

It drains the spools of all processes that have mounted us, runs the control process and the pool
of native models, and tells the database who answers. It is started by whichever of those processes
finds none, is alone by the lock on the state folder, and ends when the last of them has gone and
their spools are empty.
"""

import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from timonel.access.usage import KeyUsage
from timonel.installs import brings_native
from timonel.serving.config import encode
from timonel.serving.embedding.orders import MOST_GUESTS, SOCKET, Hello, Sign
from timonel.serving.processes.children import Child, Command, State, end_all
from timonel.serving.processes.drainers import DrainerFactory, DrainerThreads
from timonel.serving.processes.exposing import Exposing
from timonel.serving.processes.launch import (
    ServeConfig,
    control_command,
    pool_command,
    worker_orders,
)
from timonel.serving.processes.memory import measure_host, this_process
from timonel.serving.processes.notices import Notice, OnNotice
from timonel.serving.processes.ports import BACKLOG, listen_privately
from timonel.serving.processes.presence import Presence
from timonel.serving.processes.reports import ProcessReports, owner_name
from timonel.serving.processes.slots import Ownership, StateFolder
from timonel.store.control import HostReading
from timonel.store.engine import make_engine

CHECK_S = 0.05
FIRST_S = 60.0  # for the process that started it to come
GRACE_S = 3.0  # after the last one has gone: a server that reloads its workers is back by then
FINISH_S = 20.0
DRAIN_S = 30.0


class Keeper:
    """Keeps house for the processes that connect to its socket, until none is left.

    Parameters
    ----------
    config : ServeConfig
    drainer_factory : callable
    on_event : callable
        Told what happens; called from several threads.
    companions : sequence of Command
        Further processes that live and die with it: the worker.
    """

    def __init__(
        self,
        config: ServeConfig,
        drainer_factory: DrainerFactory,
        on_event: OnNotice,
        companions: Sequence[Command],
    ) -> None:
        self._config = config
        self._places = StateFolder(config.state)
        self._notify = on_event
        self._companions = companions
        self._factory = drainer_factory
        self._stopping = False

    def run(self, prepare: Callable[[], None]) -> int:
        """Keep house until nobody is left, or SIGTERM; give the bytes that could not be drained.

        Parameters
        ----------
        prepare : callable
            Done alone on this host, before anybody is answered.

        Raises
        ------
        StateInUse
            If another keeper, or a server, owns the state folder.
        """
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with ExitStack() as stack:
            stack.enter_context(Ownership(self._places))
            prepare()
            self._places.prepare(1)
            control = self._places.socket("control")
            control.unlink(missing_ok=True)
            pool = stack.enter_context(self._pool())
            guests = stack.enter_context(
                _Guests(self._config, self._places.socket(SOCKET), control, pool)
            )
            children = list(self._children(control, pool))
            engine = make_engine(self._config.database_url)
            stack.callback(engine.dispose)
            owner = owner_name(self._config.state)
            usage = KeyUsage(self._places.key_usage)
            stack.callback(usage.close)
            project = self._config.project

            def measure() -> list[HostReading]:
                states = [*guests.states(), *(child.state() for child in children)]
                return measure_host(
                    this_process("keeper"),
                    states,
                    state=self._config.state,
                    settings=self._config.settings,
                )

            reports = ProcessReports(engine, project, owner, usage, measure)
            presence = Presence(reports, self._notify)
            slots = [self._places.slot(index) for index in range(MOST_GUESTS)]
            slots.append(self._places.recorded)
            exposing = Exposing(engine, project, owner, slots, self._places.exposition, measure)
            drainers = DrainerThreads(
                self._factory, slots, n_workers=1, owner=owner, notify=self._notify
            )
            drainers.start()
            presence.start()
            exposing.start()
            while not self._stopping and not guests.gone():
                guests.serve(CHECK_S)
                now = time.monotonic_ns()
                for child in children:
                    child.check(now)
                drainers.check()
                presence.update(guests.states())
            left = drainers.finish(DRAIN_S, lambda: False)
            if left:
                facts = {"n_bytes": left, "folder": str(self._places.spool)}
                self._notify(Notice.UNDRAINED, facts)
            end_all(children, FINISH_S, lambda: False)
            presence.update(())
            presence.stop(1.0)
            exposing.stop(1.0)
        return left

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _children(self, control: Path, pool: socket.socket | None) -> Iterator[Child]:
        url = self._config.settings.public_url or ""
        yield Child(control_command(self._config, control, url), self._notify)
        if pool is not None:
            yield Child(
                pool_command(self._config, pool.fileno()),
                self._notify,
                wanted=lambda: bool(select.select([pool], [], [], 0)[0]),
            )
        for command in self._companions:
            yield Child(command, self._notify)

    @contextmanager
    def _pool(self) -> Iterator[socket.socket | None]:
        if not self._config.settings.native_processes or not brings_native():
            yield None
            return
        with listen_privately(self._places.socket("native"), BACKLOG) as listener:
            yield listener


class _Guests:
    """The connections of the processes that have mounted us; a connection that ends is one gone."""

    def __init__(
        self, config: ServeConfig, path: Path, control: Path, pool: socket.socket | None
    ) -> None:
        self._config = config
        self._control = control
        self._native = None if pool is None else Path(pool.getsockname())
        self._listener = listen_privately(path, BACKLOG)
        self._guests: dict[socket.socket, _Guest] = {}
        self._alone_until = time.monotonic() + FIRST_S

    def __enter__(self) -> "_Guests":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for connection in self._guests:
            connection.close()

    def gone(self) -> bool:
        """Whether nobody has been there for long enough."""
        return not self._guests and time.monotonic() > self._alone_until

    def states(self) -> list[State]:
        """Give what each of them serves."""
        guests = list(self._guests.values())  # at once: other threads ask too
        return [guest.state for guest in guests if guest.state is not None]

    def serve(self, wait_s: float) -> None:
        """Take in who comes, hear what they say, and let go of who has gone."""
        readable, _, _ = select.select([self._listener, *self._guests], [], [], wait_s)
        for one in readable:
            if one is self._listener:
                connection, _ = self._listener.accept()
                self._guests[connection] = _Guest()
            elif not self._hear(one):
                one.close()
                del self._guests[one]
                self._alone_until = time.monotonic() + GRACE_S

    def _hear(self, connection: socket.socket) -> bool:
        guest = self._guests[connection]
        try:
            data = connection.recv(4096)
            for line in guest.lines(data):
                if guest.state is None:
                    hello = msgspec.json.decode(line, type=Hello)
                    guest.state = State(f"mounted-{hello.slot}", "predict", hello.pid, 0, False)
                    orders = worker_orders(
                        self._config,
                        hello.slot,
                        control_socket=self._control,
                        native_socket=self._native,
                    )
                    connection.sendall(encode(orders) + b"\n")
                else:
                    guest.says(msgspec.json.decode(line, type=Sign))
        except (OSError, msgspec.MsgspecError):
            return False
        return bool(data)


class _Guest:
    """One connection: what of a line has come, and what it last said."""

    __slots__ = ("_rest", "state")

    def __init__(self) -> None:
        self._rest = b""
        self.state: State | None = None

    def lines(self, data: bytes) -> list[bytes]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        return whole

    def says(self, sign: Sign) -> None:
        if self.state is not None:
            self.state = replace(self.state, generation=sign.generation, ready=sign.ready)
