"""The answer that nobody hears: a challenger is asked beside the champion, or after it.

One that answers at once is asked before the answer is logged, and both are one frame. Any other
(of the native pool, of a service, or compiled but slow) is asked when the champion's answer was
given, and its own frame follows. Few are asked at a time, what is beyond is dropped, and which rows
are asked is decided without looking at them. What fails or is late here is counted, and never
touches the answer, its time, or the breaker by which rules stand in.
"""

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self
from weakref import WeakSet

import msgspec

from timonel.events.frames import Fate, PredictionFrame, ShadowAnswer, ShadowFrame
from timonel.runtime.errors import InvalidOutput, RowRefused, ServiceFailed
from timonel.runtime.services.service import ModelService
from timonel.schema.validation import Values
from timonel.serving.processes.errors import NativeFailed, NativeTimeout
from timonel.serving.routes.asker import NativePool
from timonel.serving.routes.journal import Journal
from timonel.serving.versions.snapshot import Choice, ServedVersion
from timonel.wire.answer import Answer

MOST_ASKED = 8  # requests whose shadow is being asked at a time, a worker
MOST_ROWS = 64  # of one request; of more, so many are drawn at random
FINISH_S = 1.0
_DROPPED, _UNLOGGED = "dropped", "unlogged"
_ANSWERED = Fate.ANSWERED.value
# a batch may have failed because of one of its rows (RowRefused is one of them)
_OF_A_ROW = (InvalidOutput, NativeFailed, ServiceFailed)
_log = logging.getLogger("timonel.serving")


class Shadows:
    """Asks the versions that nobody hears. Belongs to one event loop.

    Parameters
    ----------
    journal : Journal
    native : NativePool or None
    """

    def __init__(self, journal: Journal, native: NativePool | None) -> None:
        self._journal = journal
        self._native = native
        self._threads: ThreadPoolExecutor | None = None
        self._services: WeakSet[ModelService] = WeakSet()
        self._tasks: set[asyncio.Task[None]] = set()
        self.n_asked = 0

    def of(self, choices: Sequence[Choice]) -> "Unheard":
        """Decide of a request's rows, unseen, which shadows are asked after its answer."""
        return Unheard(self, choices)

    def room(self, version: ServedVersion) -> bool:
        """Take a place among those being asked; whoever has one gives it back."""
        if self.n_asked >= MOST_ASKED or not version.has_predictor:
            return False
        self.n_asked += 1
        return True

    def count(self, choice: Choice, fate: str, n: int = 1) -> None:
        """Count what came of rows, for ``/metrics``."""
        version = choice.shadow
        if version is not None and n:
            self._journal.shadowed(version.manifest.model, choice.shadow_variant, fate, n)

    def ask(self, choice: Choice, asked: "list[tuple[PredictionFrame, Values]]") -> None:
        """Ask for rows whose answers were given, in a task of its own."""
        task = asyncio.create_task(self._ask(choice, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait a moment for what is being asked; the rest will be missing."""
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=FINISH_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        for service in self._services:
            service.close()

    async def _ask(self, choice: Choice, asked: "list[tuple[PredictionFrame, Values]]") -> None:
        version = choice.shadow
        assert version is not None  # noqa: S101 - rows without one are never asked
        began = time.monotonic_ns()
        try:
            given = await self._answers(version, [values for _, values in asked])
        finally:
            self.n_asked -= 1
        took_us = (time.monotonic_ns() - began) // 1000
        for (frame, _), one in zip(asked, given, strict=True):
            self._write(choice, frame, one, took_us)

    def _write(
        self, choice: Choice, frame: PredictionFrame, given: Answer | Fate, took_us: int
    ) -> None:
        version = choice.shadow
        assert version is not None  # noqa: S101 - as above
        answer = given if isinstance(given, Answer) else None
        fate = _ANSWERED if isinstance(given, Answer) else given.value
        written = self._journal.shadow(
            ShadowFrame(
                id=self._journal.ids.next(),
                at=frame.at,
                model=frame.model,
                prediction=frame.id,
                variant=choice.shadow_variant,
                version=version.version,
                generation=frame.generation,
                fate=fate,
                answer=None if answer is None else answer.prediction,
                score=None if answer is None else answer.score,
                latency_us=took_us,
            )
        )
        self.count(choice, fate if written else _UNLOGGED)

    async def _answers(self, version: ServedVersion, table: list[Values]) -> list[Answer | Fate]:
        """Ask for rows at once; the halves again where one row may have failed the others."""
        try:
            answers = await self._elsewhere(version, table, version.limit_s(len(table)))
            pairs = list(zip(answers, table, strict=True))
        except Exception as error:  # noqa: BLE001 - a shadow's failure is the shadow's alone
            if len(table) > 1 and isinstance(error, _OF_A_ROW):
                half = len(table) // 2
                first = await self._answers(version, table[:half])
                return first + await self._answers(version, table[half:])
            _log.debug("shadow %s@%s: %r", version.manifest.model, version.version, error)
            return [_fate_of(error)] * len(table)
        return [_checked(version, answer) for answer, _ in pairs]

    async def _elsewhere(
        self, version: ServedVersion, table: list[Values], limit_s: float
    ) -> Sequence[Answer]:
        if version.service is not None:
            self._services.add(version.service)
            return await version.service.predict(table, limit_s)
        if version.native:
            assert self._native is not None  # noqa: S101 - none is native without a pool
            return await self._native.predict(version.digest, table, limit_s, unheard=True)
        assert version.predictor is not None  # noqa: S101 - one without any is never asked
        if self._threads is None:  # one, and none of those that batches are asked in
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        loop = asyncio.get_running_loop()
        working = loop.run_in_executor(self._threads, version.predictor.predict_rows, table)
        return await asyncio.wait_for(working, limit_s)


class Unheard:
    """The shadows of one request: as a context, they are asked at its end if all went well.

    Parameters
    ----------
    shadows : Shadows
    choices : sequence of Choice
        A row each; those without a shadow are left as they are.
    """

    def __init__(self, shadows: Shadows, choices: Sequence[Choice]) -> None:
        self._shadows = shadows
        self._choices = choices
        self._asked: dict[int, bool] = {}  # by row, of those that are not asked at once
        self._groups: list[tuple[Choice, list[int]]] = []
        self._rows: dict[int, tuple[PredictionFrame, Values]] = {}
        self._n_beside = 0
        self.logged = False
        for version, places in self._later().values():
            chosen: set[int] = set()
            if shadows.room(version):
                chosen = set(random.sample(places, min(len(places), MOST_ROWS)))
                self._groups.append((choices[places[0]], sorted(chosen)))
            shadows.count(choices[places[0]], _DROPPED, len(places) - len(chosen))
            self._asked |= {place: place in chosen for place in places}

    def _later(self) -> dict[int, tuple[ServedVersion, list[int]]]:
        later: dict[int, tuple[ServedVersion, list[int]]] = {}
        for place, choice in enumerate(self._choices):
            version = choice.shadow
            if version is not None and (version.predictor is None or not version.inline):
                later.setdefault(id(version), (version, []))[1].append(place)
        return later

    def beside(
        self, frames: Sequence[PredictionFrame], table: Sequence[Values]
    ) -> list[PredictionFrame]:
        """Say in the next rows' frames what shadows answered, or whether they are asked later."""
        start = self._n_beside
        self._n_beside += len(frames)
        return list(map(self._beside, range(start, self._n_beside), frames, table))

    def _beside(self, place: int, frame: PredictionFrame, values: Values) -> PredictionFrame:
        choice = self._choices[place]
        if choice.shadow is None:
            return frame
        asked = self._asked.get(place)
        if asked is None:
            return self._at_once(choice, frame, values)
        frame = msgspec.structs.replace(frame, shadow_asked=asked)
        if asked:
            self._rows[place] = (frame, values)
        return frame

    def _at_once(self, choice: Choice, frame: PredictionFrame, values: Values) -> PredictionFrame:
        version = choice.shadow
        assert version is not None and version.predictor is not None  # noqa: S101, PT018 - inline
        started = time.monotonic_ns()
        try:
            answer = version.predictor.predict_row(values)
        except Exception as error:  # noqa: BLE001 - a shadow's failure is the shadow's alone
            _log.debug("shadow %s@%s: %r", version.manifest.model, version.version, error)
            self._shadows.count(choice, Fate.FAILED.value)
            return frame
        if version.outputs.outside(answer.prediction) is not None:
            self._shadows.count(choice, Fate.INVALID.value)
            return frame  # no answer either
        self._shadows.count(choice, _ANSWERED)
        took_us = (time.monotonic_ns() - started) // 1000
        shadow = ShadowAnswer(
            choice.shadow_variant, version.version, answer.prediction, answer.score, took_us
        )
        return msgspec.structs.replace(frame, shadow=shadow)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask, or give the places back: nobody can join what the log does not hold."""
        for choice, places in self._groups:
            if kind is None and self.logged:
                self._shadows.ask(choice, [self._rows[place] for place in places])
            else:
                self._shadows.n_asked -= 1


def _checked(version: ServedVersion, answer: Answer) -> Answer | Fate:
    tidy = version.outputs.checked(answer)
    if isinstance(tidy, Answer):
        return tidy
    _log.debug("shadow %s@%s gave %s", version.manifest.model, version.version, tidy[0])
    return Fate.INVALID


def _fate_of(error: Exception) -> Fate:
    if isinstance(error, TimeoutError | NativeTimeout):
        return Fate.LATE
    if isinstance(error, InvalidOutput) and not isinstance(error, RowRefused):
        return Fate.INVALID
    return Fate.FAILED
