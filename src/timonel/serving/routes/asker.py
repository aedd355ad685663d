"""Many rows of one request, asked of whoever was chosen: in order, part by part.

A part is answered while the next is worked on: by a thread, or by the native pool where a model's
own library answers many rows sooner than its compiled form.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar
from weakref import WeakSet

from timonel.errors import TimonelError
from timonel.runtime.errors import InvalidOutput, RowRefused, ServiceFailed
from timonel.runtime.services.service import ModelService
from timonel.schema.validation import Values
from timonel.serving.processes.errors import NativeFailed
from timonel.serving.routes.fallback import (
    Given,
    broken,
    checked,
    failure,
    instead,
    many_by_model,
    ruled,
    taken,
    tell,
    why_no_model,
)
from timonel.serving.versions.snapshot import Choice, ServedVersion
from timonel.wire.answer import Answer, Reason

INLINE_ROWS = 64
_PART = 2048  # rows a thread or the pool is asked for at once; a message of it takes the loop 3 ms
_AHEAD = 2  # parts that the pool has at once, so that it works while answers are read
_TURN_S = 0.01
# a batch may have failed because of one of its rows
_OF_A_ROW = (InvalidOutput, NativeFailed, ServiceFailed)
_Item = TypeVar("_Item")
Answers = AsyncGenerator[list[Given], None]
"""Answers of rows, in order and in parts."""


class NativePool(Protocol):
    """Answers from another process of this host, by the model's own library."""

    async def predict(
        self,
        digest: str,
        rows: Sequence[Sequence[object]],
        deadline_s: float,
        *,
        unheard: bool = False,
    ) -> list[Answer]:
        """Answer validated rows, in order; raises at the deadline.

        What is ``unheard`` never takes the turn of what is heard.
        """
        ...

    async def load(self, digest: str) -> None:
        """Load a model ahead of its first prediction; raises where it cannot be loaded."""
        ...


class Asker:
    """Asks versions for many rows. Belongs to one event loop.

    Parameters
    ----------
    pool : NativePool or None
        None: no model is native, and the compiled form answers large batches too.
    threads : Executor
        Where graphs are asked for more rows than the loop may be held up for.
    """

    def __init__(self, pool: NativePool | None, threads: Executor) -> None:
        self._pool = pool
        self._threads = threads
        self._loading: dict[str, asyncio.Task[bool]] = {}  # by the digest of the manifest
        self._services: WeakSet[ModelService] = WeakSet()

    def close(self) -> None:
        """Let go of connections to services."""
        for service in self._services:
            service.close()

    async def all(self, choice: Choice, table: list[Values]) -> list[Given]:
        """Answer rows, in order; raises ``NotServable`` where for some row nobody can."""
        given: list[Given] = []
        async with aclosing(self.parts(choice, table)) as parts:
            async for part in parts:
                given += part
        return given

    async def parts(self, choice: Choice, table: list[Values]) -> Answers:
        """Answer rows, in order and in parts; raises as ``all`` does."""
        version = choice.version
        if choice.by_rules:
            yield await _in_turns(table, partial(ruled, version))
        elif version.elsewhere or version.predictor is None or _few(version, table):
            yield await self.ask(version, table)
        else:
            async with aclosing(self._many(version, table)) as parts:
                async for part in parts:
                    yield part

    async def ask(self, version: ServedVersion, table: list[Values]) -> list[Given]:
        """Answer few rows, or those that are all asked for at once; raises as ``all`` does."""
        if version.elsewhere:
            return await self._elsewhere(version, table)
        if version.predictor is None:  # rules may be slow: they are asked in the loop, in turns
            return await _instead(version, table, why_no_model(version))
        if _few(version, table):
            return many_by_model(version, table)
        return await self.all(Choice(version), table)

    async def _many(self, version: ServedVersion, table: list[Values]) -> Answers:
        until = time.monotonic() + version.limit_s(len(table))
        n = 0
        if self._is_sooner_in_pool(version, len(table)):
            # half of the time is kept for the compiled form, should the pool fail
            half = time.monotonic() + version.limit_s(len(table)) / 2
            async with aclosing(self._by_pool(version, table, half)) as parts:
                async for part in parts:
                    n += len(part)
                    yield part
        loop = asyncio.get_running_loop()
        working = deque(
            loop.run_in_executor(self._threads, many_by_model, version, part)
            for part in parts_of(table[n:], _PART)
        )
        try:
            while working:
                given = await asyncio.wait_for(working[0], until - time.monotonic())
                working.popleft()
                n += len(given)
                yield given
        except TimeoutError:
            version.breaker.failed(time.monotonic())
            yield await _instead(version, table[n:], Reason.TIMEOUT)
        finally:
            for future in working:
                future.cancel()

    # -- the native pool ----------------------------------------------------------------------

    def _is_sooner_in_pool(self, version: ServedVersion, n_rows: int) -> bool:
        """Say whether the pool is to answer; it is not until it has loaded the model."""
        way = version.manifest.batch
        if self._pool is None or way is None or n_rows < way.rows or not version.breaker.closed:
            return False
        loading = self._loading.get(version.digest)
        if loading is None:
            loading = asyncio.create_task(self._load(self._pool, version))
            self._loading[version.digest] = loading
        return loading.done() and loading.result()

    async def _load(self, pool: NativePool, version: ServedVersion) -> bool:
        try:
            await pool.load(version.digest)
        except TimonelError as error:
            tell(version, f"its batch way cannot be loaded: {error}")
            return False
        return True

    async def _by_pool(self, version: ServedVersion, table: list[Values], until: float) -> Answers:
        """Answer rows by a compiled model's own library; ends early where the pool fails.

        The model as such has not failed then: its compiled form answers the rest.
        """
        coming = parts_of(table, _PART)
        asked = deque(self._begun(version, part, until) for part in islice(coming, _AHEAD))
        try:
            while asked:
                part, answering = asked[0]
                answers = await answering
                asked.popleft()
                asked.extend(self._begun(version, part, until) for part in islice(coming, 1))
                # said by the same code as in this process: only its range is to be looked at
                yield taken(version, zip(part, answers, strict=True))
        except TimonelError as error:
            tell(version, f"its batch way: {error}")
        finally:
            for _, answering in asked:
                answering.cancel()

    def _begun(
        self, version: ServedVersion, part: list[Values], until: float
    ) -> "tuple[list[Values], asyncio.Task[list[Answer]]]":
        assert self._pool is not None  # noqa: S101 - it is what is sooner
        left = max(until - time.monotonic(), 0.0)
        return part, asyncio.create_task(self._pool.predict(version.digest, part, left))

    async def _elsewhere(self, version: ServedVersion, table: list[Values]) -> list[Given]:
        """Ask the native pool or a service; a row at which the others fail is found and set apart.

        Each half of a failed batch is asked again, down to single rows, until the breaker opens.
        """
        breaker = version.breaker
        if not breaker.allows(time.monotonic()):
            return await _instead(version, table, Reason.BREAKER_OPEN)
        try:
            limit_s = version.limit_s(len(table))
            if version.service is not None:
                self._services.add(version.service)
                answers = await version.service.predict(table, limit_s)
            else:
                assert self._pool is not None  # noqa: S101 - none is native without a pool
                answers = await self._pool.predict(version.digest, table, limit_s)
            pairs = list(zip(table, answers, strict=True))
        except Exception as error:  # noqa: BLE001 - whatever fails there, the client gets an answer
            if len(table) > 1 and isinstance(error, _OF_A_ROW):  # RowRefused is one of them
                half = len(table) // 2
                first = await self._elsewhere(version, table[:half])
                return first + await self._elsewhere(version, table[half:])
            if not isinstance(error, RowRefused):  # that is the row's doing
                breaker.failed(time.monotonic())
            return await _instead(version, table, failure(version, error))
        given = [checked(version, values, answer) for values, answer in pairs]
        if any(map(partial(broken, version), given, answers)):
            breaker.failed(time.monotonic())
        else:
            breaker.succeeded()
        return given


def _few(version: ServedVersion, table: Sequence[Values]) -> bool:
    return version.inline and len(table) <= INLINE_ROWS


async def _instead(version: ServedVersion, table: list[Values], reason: Reason) -> list[Given]:
    return await _in_turns(table, lambda values: instead(version, values, reason))


async def _in_turns(table: list[Values], answer: Callable[[Values], Given]) -> list[Given]:
    given: list[Given] = []
    until = time.monotonic() + _TURN_S
    for values in table:
        given.append(answer(values))
        if time.monotonic() > until:
            await asyncio.sleep(0)
            until = time.monotonic() + _TURN_S
    return given


def parts_of(items: list[_Item], size: int) -> Iterator[list[_Item]]:
    """Cut a list into parts of at most so many."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
