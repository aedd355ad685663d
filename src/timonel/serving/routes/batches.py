"""Micro-batching: rows of several requests asked together, where the model's policy wants it.

A row's
place in the batch is its only name there: answers come back in order and as many as rows, or the
batch failed as a whole and each row is asked again alone. So no answer can reach another row, and a
row that spoils a batch spoils only its own.
"""

import asyncio
from collections.abc import Awaitable, Callable

from timonel.schema.validation import Values
from timonel.serving.routes.fallback import Given
from timonel.serving.versions.snapshot import ServedVersion

Ask = Callable[[ServedVersion, list[Values]], Awaitable[list[Given]]]


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
