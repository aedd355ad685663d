"""A bounded load on one server, and what came of it.

The load is closed: each connection sends its next request when its last one is answered, so a slow
server is asked less often, and the latencies are those of so many clients, not of an arrival rate.
"""

import asyncio
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from timonel.loadtest.connection import Connection, Reply

ANSWER_S = 30.0
Sorting = Callable[[Reply], str]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a load lasts: until either is reached.

    Parameters
    ----------
    n : int
        Requests in all.
    seconds : float
    """

    n: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load found.

    Parameters
    ----------
    concurrency : int
    elapsed_s : float
    latencies_s : tuple of float, ascending
        Of the requests that were answered with status 200.
    kinds : dict
        How many answers of each kind, as the caller sorts them; ``status 503`` and the like, and
        ``broken`` (no answer), are failures.
    n_failed : int
    """

    concurrency: int
    elapsed_s: float
    latencies_s: tuple[float, ...]
    kinds: dict[str, int]
    n_failed: int

    @property
    def n(self) -> int:
        """Requests that were answered well."""
        return len(self.latencies_s)

    @property
    def per_s(self) -> float:
        """Good answers a second."""
        return self.n / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def quantile_ms(self, share: float) -> float | None:
        """Give the latency that this share of answers was within (nearest rank); None: no answer.

        Examples
        --------
        >>> Measured(1, 1.0, (0.001, 0.002, 0.003, 0.004), {}, 0).quantile_ms(0.5)
        2.0
        """
        if not self.latencies_s:
            return None
        rank = max(math.ceil(share * self.n), 1)
        return round(self.latencies_s[rank - 1] * 1e3, 3)


def by_status(reply: Reply) -> str:
    """Sort answers that are good or not, no more."""
    return "answered"


async def load(
    place: tuple[str, int],
    requests: Sequence[bytes],
    bounds: Bounds,
    *,
    concurrency: int = 1,
    sorting: Sorting = by_status,
) -> Measured:
    """Put a load on a server.

    Parameters
    ----------
    place : (str, int)
        Host and port.
    requests : sequence of bytes
        Sent in turn, over and over.
    bounds : Bounds
    concurrency : int
        Connections, each with one request at a time.
    sorting : callable
        Names the kind of an answer of status 200.

    Raises
    ------
    OSError
        If no connection can be opened at all.
    """
    connections = [await Connection.open(*place) for _ in range(concurrency)]
    turns = itertools.cycle(requests)
    left = iter(range(bounds.n))
    latencies: list[float] = []
    kinds: Counter[str] = Counter()
    until = time.perf_counter() + bounds.seconds

    async def work(connection: Connection) -> None:
        for _ in left:
            began = time.perf_counter()
            if began > until:
                return
            try:
                reply = await connection.ask(next(turns))
            except ConnectionError:
                kinds["broken"] += 1
                connection = await Connection.open(*place)
                continue
            if reply.status == 200:
                latencies.append(time.perf_counter() - began)
                kinds[sorting(reply)] += 1
            else:
                kinds[f"status {reply.status}"] += 1
        connection.close()

    started = time.perf_counter()
    tasks = [asyncio.create_task(work(connection)) for connection in connections]
    done, late = await asyncio.wait(tasks, timeout=bounds.seconds + ANSWER_S)
    elapsed = time.perf_counter() - started
    for task in late:
        task.cancel()
    kinds["broken"] += len(late) + sum(task.exception() is not None for task in done)
    for connection in connections:
        connection.close()
    found = {kind: n for kind, n in kinds.items() if n}
    return Measured(
        concurrency, elapsed, tuple(sorted(latencies)), found, kinds.total() - len(latencies)
    )
