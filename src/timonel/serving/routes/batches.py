"""Rows asked together: those of several requests, and those of one large one.

`Batches` is micro-batching: rows of several requests, where the model's policy wants it. A row's
place in the batch is its only name there: answers come back in order and as many as rows, or the
batch failed as a whole and each row is asked again alone. So no answer can reach another row, and a
row that spoils a batch spoils only its own.

`LargeBatches` sends a request of many rows to the native pool, where the model's own library
answers them sooner than its compiled form.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from timonel.errors import TimonelError
from timonel.schema.validation import Values
from timonel.serving.routes.fallback import Given, checked, tell
from timonel.serving.versions.snapshot import ServedVersion
from timonel.wire.answer import Answer

_PART = 2048  # rows of a message to the pool: writing and reading it holds up the loop for 3 ms
Ask = Callable[[ServedVersion, list[Values]], Awaitable[list[Given]]]


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


class LargeBatches:
    """Asks the pool for many rows of a compiled model, once the pool has loaded it.

    Belongs to one event loop.

    Parameters
    ----------
    pool : NativePool or None
        None: nothing is ever asked, and the compiled form answers all.
    """

    def __init__(self, pool: NativePool | None) -> None:
        self._pool = pool
        self._loading: dict[str, asyncio.Task[bool]] = {}  # by the digest of the manifest

    async def answer(
        self, version: ServedVersion, table: Sequence[Values], limit_s: float
    ) -> list[Given] | None:
        """Answer rows, in order; None where the compiled form is to answer them.

        That is so for few rows, until the pool is ready, and where it fails: the model as such has
        not failed then.
        """
        way = version.manifest.batch
        if self._pool is None or way is None or len(table) < way.rows or not version.breaker.closed:
            return None
        loading = self._loading.get(version.digest)
        if loading is None:
            loading = asyncio.create_task(self._load(self._pool, version))
            self._loading[version.digest] = loading
        if not loading.done() or not loading.result():
            return None
        answers: list[Answer] = []
        until = time.monotonic() + limit_s
        try:
            for start in range(0, len(table), _PART):
                part, left = table[start : start + _PART], max(until - time.monotonic(), 0.0)
                answers += await self._pool.predict(version.digest, part, left)
        except TimonelError as error:
            tell(version, f"its batch way: {error}")
            return None
        return [checked(version, *pair) for pair in zip(table, answers, strict=True)]

    async def _load(self, pool: NativePool, version: ServedVersion) -> bool:
        try:
            await pool.load(version.digest)
        except TimonelError as error:
            tell(version, f"its batch way cannot be loaded: {error}")
            return False
        return True


class Batches:
    """Gathers rows of one version until there are enough, or the first has waited enough.

    Belongs to one event loop.

    Parameters
    ----------
    ask : callable
        Answers rows of a version, in order.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._open: dict[str, _Batch] = {}  # by the digest of the manifest
        self._running: set[asyncio.Task[None]] = set()

    async def one(self, version: ServedVersion, values: Values) -> Given:
        """Answer one row together with others that come meanwhile; raises as ``ask`` does."""
        loop = asyncio.get_running_loop()
        policy = version.manifest.policy
        batch = self._open.get(version.digest)
        if batch is None:
            batch = self._open[version.digest] = _Batch(version)
            batch.timer = loop.call_later(policy.batch_wait_ms / 1000.0, self._begin, batch)
        future: asyncio.Future[Given] = loop.create_future()
        batch.rows.append(values)
        batch.futures.append(future)
        if len(batch.rows) >= policy.batch_rows:
            self._begin(batch)
        return await future

    def _begin(self, batch: "_Batch") -> None:
        if batch.timer is not None:
            batch.timer.cancel()
        del self._open[batch.version.digest]
        task = asyncio.create_task(self._answer(batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, batch: "_Batch") -> None:
        try:
            given = await self._ask(batch.version, batch.rows)
            pairs = list(zip(batch.futures, given, strict=True))
        except Exception:  # noqa: BLE001 - one row that nobody can answer is not the others' fault
            await asyncio.gather(*map(self._alone, batch.futures, batch.rows, batch.each()))
            return
        for future, one in pairs:
            if not future.done():  # its request may be gone
                future.set_result(one)

    async def _alone(
        self, future: "asyncio.Future[Given]", values: Values, version: ServedVersion
    ) -> None:
        try:
            given = (await self._ask(version, [values]))[0]
        except Exception as error:  # noqa: BLE001 - it is raised where the row's request waits
            if not future.done():
                future.set_exception(error)
            return
        if not future.done():
            future.set_result(given)


class _Batch:
    """Rows that wait together; ``futures`` stand in the order of ``rows``."""

    __slots__ = ("futures", "rows", "timer", "version")

    def __init__(self, version: ServedVersion) -> None:
        self.version = version
        self.rows: list[Values] = []
        self.futures: list[asyncio.Future[Given]] = []
        self.timer: asyncio.TimerHandle | None = None

    def each(self) -> list[ServedVersion]:
        """Give the version once a row."""
        return [self.version] * len(self.rows)
