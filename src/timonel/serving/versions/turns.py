"""Units that are placed one after another: the only assignment that asks the database.

The loop never waits for it: one thread asks, an answer that is not there in 50 ms is not waited
for, and the hash decides. Such an answer names no arm, so that it is counted for none.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from timonel.errors import TimonelError
from timonel.experiments.turns import MILLION
from timonel.serving.versions.snapshot import Choice, Turn

LIMIT_S = 0.05
KNOWN = 100_000  # units that are kept in mind; others are read again
MOST_WAITING = 1000
_log = logging.getLogger("timonel.serving")


class Placing(Protocol):
    """Knows which arm a unit has, or gives it one; see ``timonel.experiments.turns.TurnStore``."""

    def place(self, experiment: str, unit: str, arms: tuple[str, str], share: int, at: int) -> str:
        """Give the arm; raises ``StoreUnavailable``. Called from one thread."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class Turns:
    """Gives units their turn. Belongs to one event loop.

    Parameters
    ----------
    store : Placing
    limit_s : float
        How long a request waits for its unit's arm.
    """

    def __init__(self, store: Placing, limit_s: float = LIMIT_S) -> None:
        self._store = store
        self._limit_s = limit_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="turns")
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._asked: dict[tuple[str, str], asyncio.Future[str]] = {}
        self._requests: Counter[str] = Counter()
        self._troubled = False

    async def settled(self, choices: Sequence[Choice], at: int) -> list[Choice]:
        """Give each choice the arm whose turn it is; all together within the limit."""
        return list(await asyncio.gather(*(self._settled(choice, at) for choice in choices)))

    async def _settled(self, choice: Choice, at: int) -> Choice:
        turn = choice.turn
        if turn is None:
            return choice
        if not turn.unit:
            return replace(turn.choices[self._next(turn)], unit=choice.unit)
        key = turn.experiment, turn.unit
        arm = self._known.get(key)
        if arm is None:
            arm = await self._find(key, turn, at)
        else:
            self._known.move_to_end(key)
        found = None if arm is None else turn.choices.get(arm)
        return replace(choice, turn=None) if found is None else found

    def _next(self, turn: Turn) -> str:
        """Alternate from request to request, within this process."""
        n = self._requests[turn.experiment]
        self._requests[turn.experiment] = n + 1
        control, treatment = turn.arms
        passes = (n + 1) * turn.share // MILLION > n * turn.share // MILLION
        return treatment if passes else control

    async def _find(self, key: tuple[str, str], turn: Turn, at: int) -> str | None:
        asked = self._asked.get(key)
        if asked is None:
            if len(self._asked) >= MOST_WAITING:
                return None
            place = partial(
                self._store.place, turn.experiment, turn.unit, turn.arms, turn.share, at
            )
            asked = asyncio.get_running_loop().run_in_executor(self._thread, place)
            self._asked[key] = asked
            asked.add_done_callback(partial(self._keep, key))
        try:
            return await asyncio.wait_for(asyncio.shield(asked), self._limit_s)
        except (TimeoutError, TimonelError) as error:
            self._tell(turn.experiment, error)
            return None

    def _keep(self, key: tuple[str, str], asked: "asyncio.Future[str]") -> None:
        self._asked.pop(key, None)
        if asked.cancelled() or asked.exception() is not None:
            return
        self._known[key] = asked.result()
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        self._troubled = False

    def _tell(self, experiment: str, error: Exception) -> None:
        if not self._troubled:
            why = str(error) or f"no answer within {self._limit_s * 1000:g} ms"
            _log.warning("experiment %s: the hash decides meanwhile: %s", experiment, why)
        self._troubled = True

    def close(self) -> None:
        """Let go of the thread and the database; waits for what it is being asked."""
        self._thread.shutdown(cancel_futures=True)
        self._store.close()
