"""``POST /v1/models/{model}/predict``: from the body to the logged answer."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

from timonel import tracing
from timonel.errors import TimonelError
from timonel.events.errors import SpoolFull
from timonel.events.frames import PredictionFrame
from timonel.schema.errors import InvalidRow
from timonel.schema.validation import MOST_ERRORS, FieldError, Row, Values
from timonel.serving.errors import Overloaded
from timonel.serving.routes.asked import Asked, Plain, reply_of, unreadable
from timonel.serving.routes.asker import Answers, Asker, NativePool, parts_of
from timonel.serving.routes.batches import Batches
from timonel.serving.routes.fallback import (
    Given,
    by_model,
    instead,
    ruled,
)
from timonel.serving.routes.journal import Journal
from timonel.serving.routes.requests import PredictRequest
from timonel.serving.routes.shadow import Shadows
from timonel.serving.versions.snapshot import Choice, ServedModel, ServedVersion, Snapshot
from timonel.serving.versions.turns import Turns
from timonel.wire.answer import Reason
from timonel.wire.problem import problem
from timonel.wire.replies import PredictionReply, PredictionsReply, RowProblem

INLINE_BYTES = 256 << 10
CAREFUL_BYTES = 16 << 10  # saying what is wrong with more than this is left to a thread
MAX_IN_FLIGHT = 256
_TURN = 256  # rows of a batch that are worked on before other requests get a turn
_Item = TypeVar("_Item")


def choose(
    model: ServedModel, unit: str | None, identifier: bytes, values: Values, at: int
) -> Choice | None:
    """Choose who answers: an experiment's arm, else the champion, else the declaration."""
    for experiment in model.experiments:
        choice = experiment.choose(unit, identifier, values, at)
        if choice is not None:
            return choice
    version = model.champion or model.declaration
    return None if version is None else Choice(version)


class Form(Protocol):
    """A body in the form of another protocol; read once, in a thread where it is large."""

    size: int  # bytes

    def read(self, version: ServedVersion, max_rows: int) -> PredictRequest:
        """Read it by a version's schema; raises ``TimonelError`` where it breaks its form."""
        ...


@runtime_checkable
class Search(Protocol):
    """A request whose row is still to be found."""

    async def filled(
        self, version: ServedVersion, at: int
    ) -> tuple[PredictRequest, Reason | None, int | None]:
        """Give it with its row, why the row is not whole (None: it is), its data's age in ms."""
        ...


class Predictions:
    """Answers predict requests. Belongs to one event loop.

    Parameters
    ----------
    journal : Journal
    native : NativePool or None
    max_rows : int
    turns : Turns or None
        None: where arms are given in turn, the hash decides.
    """

    def __init__(
        self,
        journal: Journal,
        native: NativePool | None,
        *,
        max_rows: int,
        turns: Turns | None = None,
    ) -> None:
        self._journal = journal
        self._turns = turns
        self._max_rows = max_rows
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="batch")
        self._asker = Asker(native, self._threads)
        self._batches = Batches(self._asker.ask)
        self._shadows = Shadows(journal, native)
        self.in_flight = 0

    async def close(self) -> None:
        """End what is asked unheard, and let go of the threads and of connections to services."""
        await self._shadows.finish()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._asker.close()

    async def answer(
        self,
        snapshot: Snapshot,
        model: ServedModel,
        body: bytes | Form | Search,
        *,
        started_ns: int,
        language: str | None = None,
        pinned: ServedVersion | None = None,
    ) -> PredictionReply | PredictionsReply:
        """Answer one body, logged.

        Parameters
        ----------
        body : bytes, Form or Search
            Our own JSON, what another protocol makes rows of, or what finds its row itself.
        started_ns : int
            Monotonic time of the request's arrival.
        language : str or None
            Of the problems within a partial answer.
        pinned : ServedVersion or None
            The version that the client asks for by its number; None leaves the choice to us.

        Raises
        ------
        TimonelError
            If the request is refused as a whole; noted in the journal.
        """
        at = snapshot.clock.now_us()
        self.in_flight += 1
        try:
            shown = pinned or model.shown
            if shown is None:
                raise unreadable(model)
            missing, age_ms = None, None
            if self.in_flight > MAX_IN_FLIGHT:
                missing = self._overloaded(shown, body)
            if isinstance(body, bytes):
                request = await self._read_own(shown, body)
            elif isinstance(body, Search):
                request, missing, age_ms = await body.filled(shown, at)
            else:
                request = await self._read(body.read, shown, body.size)
            if missing is Reason.OVERLOAD and not request.single:
                raise self._too_many()
            asked = Asked(
                snapshot.generation, model, request, at, started_ns, pinned, missing, age_ms
            )
            if request.single:
                return await self._single(asked)
            return await self._many(asked, language or "en")
        except SpoolFull:
            raise
        except TimonelError as error:
            self._journal.refusal(model.name, at, error)
            raise
        finally:
            self.in_flight -= 1

    def _overloaded(self, version: ServedVersion, body: bytes | Form | Search) -> Reason:
        """Say that rules answer instead; raises ``Overloaded`` where the policy wants it so."""
        if version.manifest.policy.overload == "refuse" or not isinstance(body, bytes):
            raise self._too_many()
        return Reason.OVERLOAD

    def _too_many(self) -> Overloaded:
        return Overloaded(found=self.in_flight - 1, limit=MAX_IN_FLIGHT)

    async def _read_own(self, version: ServedVersion, body: bytes) -> PredictRequest:
        if len(body) > INLINE_BYTES:
            return await self._read(version.requests.read, body, len(body))
        request = version.requests.quick(body, self._max_rows)
        if request is None:
            request = await self._read(version.requests.careful, body, len(body))
        return request

    async def _read(
        self, read: Callable[[_Item, int], PredictRequest], what: _Item, size: int
    ) -> PredictRequest:
        if size <= CAREFUL_BYTES:
            return read(what, self._max_rows)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, read, what, self._max_rows)

    def plain(
        self, snapshot: Snapshot, model: ServedModel, body: bytes, started_ns: int
    ) -> Plain | None:
        """Read a body whose one row can be answered without waiting for anything; else None.

        Nothing is counted or written: ``answer`` may still be given the same body.
        """
        shown = model.shown
        if shown is None or len(body) > CAREFUL_BYTES:
            return None
        if not (shown.inline or model.experiments):
            return None  # it would be read for nothing
        request = shown.requests.quick(body, self._max_rows)
        if request is None or not request.single or self.in_flight >= MAX_IN_FLIGHT:
            return None
        row = request.rows[0]
        assert isinstance(row, Row)  # noqa: S101 - a quick reader gives no others
        asked = Asked(snapshot.generation, model, request, snapshot.clock.now_us(), started_ns)
        identifier = request.prediction_id or self._journal.ids.next()
        if not model.experiments:
            return Plain(asked, row, Choice(shown), identifier)  # it is inline
        choice = self._choice(asked, row, identifier)
        waits = not (choice.by_rules or choice.version.inline)
        if waits or choice.turn is not None or choice.shadow is not None:
            return None
        return Plain(asked, row, choice, identifier)

    def given(self, plain: Plain) -> PredictionReply:
        """Answer what ``plain`` has read, logged; raises as ``answer`` does, and notes nothing."""
        frame = _frame_of(plain)
        logged = self._journal.written(frame)
        self._journal.answered(frame)
        return reply_of(frame, logged=logged)

    def given_then(self, plain: Plain, then: Callable[[PredictionReply | None], None]) -> None:
        """Answer as ``given`` does, once the disk has it; None: it could not, and it must.

        Raises as ``given`` does; ``then`` is not called in that case.
        """
        frame = _frame_of(plain)

        def settled(logged: bool | None) -> None:
            self.in_flight -= 1
            if logged is None:
                then(None)
                return
            self._journal.answered(frame)
            then(reply_of(frame, logged=logged))

        self._journal.written_then(frame, settled)
        self.in_flight += 1

    async def _single(self, asked: Asked) -> PredictionReply:
        row = asked.request.rows[0]
        if not isinstance(row, Row):
            raise InvalidRow(model=asked.model.name, errors=row)
        identifier = asked.request.prediction_id or self._journal.ids.next()
        choice = self._choice(asked, row, identifier)
        if choice.turn is not None and self._turns is not None:
            (choice,) = await self._turns.settled([choice], asked.at)
        if asked.missing is not None:
            given = instead(choice.version, row.values, asked.missing)
        elif choice.by_rules:
            given = ruled(choice.version, row.values)
        elif choice.version.inline:
            given = by_model(choice.version, row.values)
        elif choice.version.manifest.policy.batch_rows:
            given = await self._batches.one(choice.version, row.values)
        else:
            given = (await self._asker.ask(choice.version, [row.values]))[0]
        frame = asked.frame(row, choice, given, identifier, asked.took_us())
        if choice.shadow is None or asked.missing is not None:
            logged = await self._journal.prediction(frame)
        else:
            with self._shadows.of([choice]) as unheard:
                (frame,) = unheard.beside([frame], [row.values])
                logged = unheard.logged = await self._journal.prediction(frame)
        self._journal.answered(frame)
        if tracing.active is not None:
            tracing.active.answered((frame,))
        return reply_of(frame, logged=logged)

    async def _many(self, asked: Asked, language: str) -> PredictionsReply:
        rows = self._good_rows(asked)
        identifiers = self._identifiers(asked, len(rows))
        choices = self._choices(asked, rows, identifiers)
        if self._turns is not None and any(choice.turn for choice in choices):
            choices = await self._turns.settled(choices, asked.at)
        frames: list[PredictionFrame] = []
        async with aclosing(self._given(choices, rows)) as answers:
            async for given in answers:  # the next are asked for meanwhile
                part = slice(len(frames), len(frames) + len(given))
                frames += await _frames(asked, rows[part], choices[part], given, identifiers[part])
        if not asked.model.experiments or not any(choice.shadow for choice in choices):
            logged = await self._written(frames)
        else:
            with self._shadows.of(choices) as unheard:
                frames = unheard.beside(frames, [row.values for row in rows])
                logged = unheard.logged = await self._written(frames)
        self._journal.answered_together(frames)
        if tracing.active is not None:
            tracing.active.answered(frames)
        written = iter(frames)
        replies: list[PredictionReply | RowProblem] = [
            reply_of(next(written), logged=logged)
            if isinstance(sent, Row)
            else RowProblem(problem(asked.invalid(sent), lang=language))
            for sent in asked.request.rows
        ]
        return PredictionsReply(replies)

    async def _written(self, frames: list[PredictionFrame]) -> bool:
        logged = True
        for turn in parts_of(frames, _TURN):
            logged = await self._journal.predictions(turn) and logged
            await asyncio.sleep(0)
        return logged

    def _identifiers(self, asked: Asked, n_good: int) -> list[bytes]:
        sent = asked.request.ids
        if sent is None:
            return self._journal.ids.many(n_good)
        pairs = zip(sent, asked.request.rows, strict=True)
        return [identifier for identifier, row in pairs if isinstance(row, Row)]

    async def _given(self, choices: list[Choice], rows: list[Row]) -> Answers:
        """Ask for all rows that have the same choice at once; give answers in order, in parts."""
        groups: dict[tuple[int, str, bool], list[int]] = {}
        for place, choice in enumerate(choices):
            key = id(choice.version), choice.variant, choice.by_rules
            groups.setdefault(key, []).append(place)
        if len(groups) == 1:
            table = [row.values for row in rows]
            async with aclosing(self._asker.parts(choices[0], table)) as parts:
                async for part in parts:
                    yield part
            return
        answers: dict[int, Given] = {}
        for places in groups.values():
            table = [rows[place].values for place in places]
            given = await self._asker.all(choices[places[0]], table)
            answers.update(zip(places, given, strict=True))
        yield [answers[place] for place in range(len(rows))]

    def _good_rows(self, asked: Asked) -> list[Row]:
        good: list[Row] = []
        errors: list[FieldError] = []
        for row in asked.request.rows:
            if isinstance(row, Row):
                good.append(row)
            elif not asked.request.partial:
                errors += row
            elif len(errors) < MOST_ERRORS:
                errors += row
                self._journal.refusal(asked.model.name, asked.at, asked.invalid(row))
        if errors and not asked.request.partial:
            raise asked.invalid(errors[:MOST_ERRORS])
        return good

    def _choices(self, asked: Asked, rows: list[Row], identifiers: list[bytes]) -> list[Choice]:
        if rows and (asked.pinned is not None or not asked.model.experiments):
            # without an experiment all rows have the same
            return [self._choice(asked, rows[0], identifiers[0])] * len(rows)
        return list(map(partial(self._choice, asked), rows, identifiers))

    def _choice(self, asked: Asked, row: Row, identifier: bytes) -> Choice:
        if asked.pinned is not None:
            return Choice(asked.pinned)
        unit = asked.request.unit_id or row.key
        choice = choose(asked.model, unit, identifier, row.values, asked.at)
        if choice is None:
            raise unreadable(asked.model)
        return choice


def _frame_of(plain: Plain) -> PredictionFrame:
    """Ask who was chosen, and give what is logged of it; raises ``NotServable``."""
    asked, choice = plain.asked, plain.choice
    given = (ruled if choice.by_rules else by_model)(choice.version, plain.row.values)
    return asked.frame(plain.row, choice, given, plain.identifier, asked.took_us())


async def _frames(
    asked: Asked,
    rows: list[Row],
    choices: list[Choice],
    given: list[Given],
    identifiers: list[bytes],
) -> list[PredictionFrame]:
    made: list[PredictionFrame] = []
    answered = list(zip(rows, choices, given, identifiers, strict=True))
    for turn in parts_of(answered, _TURN):
        took_us = asked.took_us()
        made += [asked.frame(*one, took_us) for one in turn]
        await asyncio.sleep(0)
    return made
