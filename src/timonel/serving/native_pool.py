"""The host's pool for models that are not compiled, and the workers' client of it.

One pool a host, behind a Unix socket: training libraries cost hundreds of megabytes and have no
place in a predict worker. The pool runs each prediction in a child process that it kills at the
deadline, so an estimator that hangs holds up nobody else.

``python -m timonel.serving.native_pool LISTENER`` is the pool, orders on stdin.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from timonel.runtime.errors import InvalidOutput, RowRefused
from timonel.serving.config import PoolConfig, decode
from timonel.serving.processes.errors import NativeFailed, NativeTimeout, NativeUnavailable
from timonel.serving.processes.liveness import end_with_parent, receive_orders
from timonel.wire.answer import Answer

_LENGTH = struct.Struct("<I")
_LARGEST = 256 << 20
_SLACK_S = 0.1  # the pool itself judges the deadline; the client only guards against its silence
LOAD_S = 120.0
_NICE = 19


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """A request; without rows it only loads the model, in every child."""

    id: int
    digest: str  # of the manifest
    rows: list[list[Any]] | None
    deadline_s: float
    unheard: bool = False


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """What came of it: ok, timeout, unavailable (no such model), failed, invalid or refused."""

    id: int
    status: str
    answers: list[Answer] = []
    detail: str = ""
    facts: dict[str, Any] = {}  # of an invalid output


class NativeClient:
    """A worker's connection to the pool; all of it belongs to one event loop.

    Parameters
    ----------
    path : Path
        The pool's Unix socket. The first connection to it starts the pool.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def predict(
        self,
        digest: str,
        rows: Sequence[Sequence[Any]],
        deadline_s: float,
        *,
        unheard: bool = False,
    ) -> list[Answer]:
        """Answer for validated rows, in order; ``unheard``: by the process kept for such.

        Raises
        ------
        NativeTimeout, NativeUnavailable, NativeFailed, InvalidOutput
        """
        ask = Ask(next(self._ids), digest, [list(row) for row in rows], deadline_s, unheard)
        return (await self._ask(ask)).answers

    async def load(self, digest: str, deadline_s: float = LOAD_S, *, unheard: bool = False) -> None:
        """Load a model in the pool ahead of its first prediction; raises as ``predict`` does."""
        await self._ask(Ask(next(self._ids), digest, None, deadline_s, unheard))

    async def close(self) -> None:
        """Give the connection back; what still waits fails."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading

    async def _ask(self, ask: Ask) -> Reply:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[ask.id] = future
        facts = {"digest": ask.digest[:12], "deadline_s": ask.deadline_s}
        try:
            async with asyncio.timeout(ask.deadline_s + _SLACK_S):
                writer = await self._connected()
                _write(writer, ask)
                await writer.drain()
                reply = await future
        except TimeoutError:
            raise NativeTimeout(**facts, detail="the pool is starting or busy") from None
        except OSError as error:
            raise NativeUnavailable(**facts, detail=f"no pool ({error})") from None
        finally:
            self._waiting.pop(ask.id, None)
        if reply.status == "ok":
            return reply
        if reply.status == "invalid":
            raise InvalidOutput(**reply.facts)
        if reply.status == "refused":
            raise RowRefused(**reply.facts)
        kinds = {"timeout": NativeTimeout, "failed": NativeFailed}
        raise kinds.get(reply.status, NativeUnavailable)(**facts, detail=reply.detail)

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None:
                reader, self._writer = await asyncio.open_unix_connection(self._path)
                self._reading = asyncio.create_task(self._read(reader, self._writer))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                reply = _replies.decode(await _read(reader))
                future = self._waiting.get(reply.id)
                if future is not None and not future.done():
                    future.set_result(reply)
        except (OSError, EOFError, msgspec.MsgspecError):
            pass
        finally:
            writer.transport.abort()
            self._writer = None
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionResetError("the pool has ended"))


class Pool:
    """Shares a few child processes among all requests of the host.

    What nobody hears has one more, of the lowest priority, started when it is first asked: it never
    takes the turn of what is heard.

    Parameters
    ----------
    orders : bytes
        The pool's own orders, passed on to each child.
    n_children : int
    """

    def __init__(self, orders: bytes, n_children: int) -> None:
        self._children = [_Child(orders) for _ in range(n_children)]
        self._unheard = _Child(orders, unheard=True)
        self._idle = [*self._children, self._unheard]
        self._freed = asyncio.Condition()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def answer(self, ask: Ask) -> Reply:
        """Answer one request at its deadline at the latest."""
        until = time.monotonic() + ask.deadline_s
        if ask.rows is None and not ask.unheard:
            replies = await asyncio.gather(
                *(self._in_time(ask, until, child) for child in self._children)
            )
            return next((reply for reply in replies if reply.status != "ok"), replies[0])
        return await self._in_time(ask, until, self._unheard if ask.unheard else None)

    async def close(self) -> None:
        """End the children."""
        for task in self._tasks:
            task.cancel()
        for child in (*self._children, self._unheard):
            await child.kill()

    async def _in_time(self, ask: Ask, until: float, wished: "_Child | None") -> Reply:
        task = asyncio.create_task(self._take_turn(ask, until, wished))
        # a load that outlasts its request goes on: the next request finds the model there
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        done, _ = await asyncio.wait(
            (task,), timeout=max(until - time.monotonic(), 0) + _SLACK_S / 2
        )
        if done:
            return task.result()
        return Reply(ask.id, "timeout", detail="the model is being loaded, or the pool is busy")

    async def _take_turn(self, ask: Ask, until: float, wished: "_Child | None") -> Reply:
        try:
            async with asyncio.timeout_at(
                asyncio.get_running_loop().time() + until - time.monotonic()
            ):
                child = await self._free_child(ask.digest, wished)
        except TimeoutError:
            return Reply(ask.id, "timeout", detail="all processes of the pool are busy")
        try:
            return await child.answer(ask, until)
        finally:
            self._idle.append(child)
            async with self._freed:
                self._freed.notify_all()

    async def _free_child(self, digest: str, wished: "_Child | None") -> "_Child":
        async with self._freed:
            while True:
                usable = [
                    child
                    for child in self._idle
                    if (child is wished if wished is not None else not child.unheard)
                ]
                if usable:
                    chosen = max(usable, key=lambda child: digest in child.loaded)
                    self._idle.remove(chosen)
                    return chosen
                await self._freed.wait()


class _Child:
    """One process that holds loaded models and answers one request at a time."""

    def __init__(self, orders: bytes, *, unheard: bool = False) -> None:
        self._orders = orders
        self.unheard = unheard
        self._process: asyncio.subprocess.Process | None = None
        self.loaded: set[str] = set()

    async def answer(self, ask: Ask, until: float) -> Reply:
        """Load the model where it is not, then predict if there is still time to."""
        if ask.digest not in self.loaded:
            reply = await self._exchange(Ask(ask.id, ask.digest, None, LOAD_S), LOAD_S)
            if reply.status != "ok":
                return reply
            self.loaded.add(ask.digest)
        left = until - time.monotonic()
        if ask.rows is None:
            return Reply(ask.id, "ok")
        if left <= 0:
            return Reply(ask.id, "timeout", detail="loading the model took all the time")
        return await self._exchange(ask, left)

    async def kill(self) -> None:
        """End the process, whatever it does; the next request starts another."""
        process, self._process = self._process, None
        self.loaded = set()
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _exchange(self, ask: Ask, limit_s: float) -> Reply:
        try:
            async with asyncio.timeout(limit_s):
                process = await self._running()
                assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
                _write(process.stdin, ask)
                await process.stdin.drain()
                return _replies.decode(await _read(process.stdout))
        except TimeoutError:
            await self.kill()
            return Reply(ask.id, "timeout", detail="its process was killed at the deadline")
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            await self.kill()
            return Reply(
                ask.id, "unavailable", detail=f"its process ended ({type(error).__name__})"
            )

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "timonel.serving.native_child"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            assert self._process.stdin is not None  # noqa: S101
            if self.unheard:
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICE)
            self._process.stdin.write(self._orders)
        return self._process


async def serve(listener: socket.socket, orders: bytes) -> None:
    """Answer connections until SIGTERM."""
    config = decode(orders, PoolConfig)
    pool = Pool(orders, config.processes)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def answer(ask: Ask) -> None:
            _write(writer, await pool.answer(ask))

        with contextlib.suppress(OSError, EOFError, msgspec.MsgspecError):
            while True:
                task = asyncio.create_task(answer(_asks.decode(await _read(reader))))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        writer.close()

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_unix_server(connected, sock=listener)
    await stop.wait()
    server.close()
    await pool.close()


def main(arguments: list[str]) -> None:
    """Run the pool on an inherited listening socket."""
    orders = receive_orders()
    end_with_parent()
    asyncio.run(serve(socket.socket(fileno=int(arguments[0])), orders))


_asks = msgspec.msgpack.Decoder(Ask)
_replies = msgspec.msgpack.Decoder(Reply)
_encoder = msgspec.msgpack.Encoder()


def _write(writer: asyncio.StreamWriter, message: Ask | Reply) -> None:
    payload = _encoder.encode(message)
    writer.write(_LENGTH.pack(len(payload)) + payload)


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Read one message; raises EOFError (IncompleteReadError) at the end of the stream."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > _LARGEST:
        raise ConnectionResetError("a message beyond all bounds")
    return await reader.readexactly(length)


if __name__ == "__main__":
    main(sys.argv[1:])
