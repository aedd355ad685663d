"""What is written of each request: frames to the spool, counts to this worker's slot."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter

from timonel.errors import TimonelError, TooLarge, Unavailable
from timonel.events.errors import SpoolFull
from timonel.events.frames import UNKNOWN_FIELDS, Frame, PredictionFrame, RefusalFrame, ShadowFrame
from timonel.events.spool import SpoolWriter
from timonel.serving.metrics import Family, MetricsSlot
from timonel.wire.ids import IdSource

_PREDICTIONS = Family.PREDICTIONS.value
_alike = attrgetter("model", "version", "variant", "source", "reason", "latency_us")
_log = logging.getLogger("timonel.serving")


class Journal:
    """Writes to one spool and one slot; used from the event loop alone.

    Parameters
    ----------
    spool : SpoolWriter
    slot : MetricsSlot
    may_skip : bool
        A full spool does not stop predictions: they are answered and marked as not logged.
    """

    def __init__(self, spool: SpoolWriter, slot: MetricsSlot, *, may_skip: bool) -> None:
        self.slot = slot
        self.ids = IdSource()
        self._spool = spool
        self._append = spool.append
        self.synced = spool.durability == "synced"
        self._may_skip = may_skip
        self._troubled = False

    def written(self, frame: PredictionFrame) -> bool:
        """Write one prediction, and do not wait for the disk.

        Returns
        -------
        bool
            False: it was not written, and the answer has to say so.

        Raises
        ------
        SpoolFull
            If it was not written and must be.
        """
        try:
            self._append(frame)
        except (Unavailable, TooLarge) as error:
            return self._skip(frame.model, error)
        self._troubled = False
        return True

    async def prediction(self, frame: PredictionFrame) -> bool:
        """Write one prediction as durably as asked; returns and raises as ``written`` does."""
        if not self.synced:
            return self.written(frame)
        try:
            await self._spool.append_synced(frame)
        except (Unavailable, TooLarge) as error:
            return self._skip(frame.model, error)
        self._troubled = False
        return True

    def written_then(self, frame: PredictionFrame, then: Callable[[bool | None], None]) -> None:
        """Write one prediction, and go on when the disk has it.

        Parameters
        ----------
        frame : PredictionFrame
        then : callable
            Told True; False where it is not on the disk, and the answer has to say so; None where
            it is not and must be.

        Raises
        ------
        SpoolFull, FrameTooLarge
            If it was not written; ``then`` is not called in that case.
        """

        def settled(error: SpoolFull | None) -> None:
            if error is None:
                self._troubled = False
                then(True)
                return
            try:
                then(self._skip(frame.model, error))
            except SpoolFull:
                then(None)

        self._spool.append_then(frame, settled)

    async def many(self, frames: Sequence[Frame]) -> None:
        """Write several events, synced together where asked; raises ``SpoolFull``.

        When it raises, some may be written: they were never acknowledged.
        """
        if self.synced:
            self._spool.append_many(frames[:-1])
            await self._spool.append_synced(frames[-1])
        else:
            self._spool.append_many(frames)

    async def predictions(self, frames: Sequence[PredictionFrame]) -> bool:
        """Write several predictions; returns and raises as ``prediction`` does."""
        try:
            await self.many(frames)
        except (Unavailable, TooLarge) as error:
            return self._skip(frames[0].model, error, n=len(frames))
        return True

    def answered(self, frame: PredictionFrame) -> None:
        """Count an answer that was given, and its latency."""
        self.slot.observe(
            (_PREDICTIONS, frame.model, frame.version, frame.variant, frame.source, frame.reason),
            frame.latency_us,
        )

    def answered_together(self, frames: Sequence[PredictionFrame]) -> None:
        """Count the answers of one request; those that are alike are counted at once."""
        alike = Counter(map(_alike, frames))
        for (*labels, latency_us), n in alike.items():
            self.slot.observe((_PREDICTIONS, *labels), latency_us, n)

    def refusal(self, model: str, at: int, error: TimonelError) -> None:
        """Note a request for a known model that was not answered."""
        self.slot.count(Family.REFUSALS, model, error.code)
        n, by_field = _at_fault(error.context.get("errors"))
        frame = RefusalFrame(
            id=self.ids.next(),
            at=at,
            model=model,
            code=error.code,
            fields=list(by_field),
            n=n,
            rows=list(by_field.values()),
        )
        try:
            self._append(frame)
        except (Unavailable, TooLarge) as trouble:
            self._say(trouble)

    def shadow(self, frame: ShadowFrame) -> bool:
        """Note what an unheard version said; False: the spool took nothing."""
        try:
            self._append(frame)
        except (Unavailable, TooLarge) as trouble:
            self._say(trouble)
            return False
        return True

    def shadowed(self, model: str, variant: str, fate: str, n: int) -> None:
        """Count what came of asking unheard versions."""
        self.slot.count(Family.SHADOWS, model, variant, fate, n=n)

    def _skip(self, model: str, error: TimonelError, n: int = 1) -> bool:
        self._say(error)
        if not self._may_skip:
            raise error
        self.slot.count(Family.UNLOGGED, model, n=n)
        return False

    def _say(self, error: TimonelError) -> None:
        # once, until a write succeeds: thousands a second say no more
        if not self._troubled:
            _log.error("%s", error)
        self._troubled = True


def _at_fault(errors: object) -> tuple[int, dict[str, int]]:
    """Count the rows at fault, in all and by field."""
    if not isinstance(errors, list) or not errors:
        return 1, {}
    rows: dict[str, set[int]] = {}
    for one in errors:
        known = one["code"] != "unknown_field"
        rows.setdefault(str(one["field"]) if known else UNKNOWN_FIELDS, set()).add(one["row"])
    return len(set().union(*rows.values())), {name: len(found) for name, found in rows.items()}
