"""``POST /v1/models/{model}/predictions``: predictions made elsewhere are recorded, not answered.

A model of the outside, or a client that answered by its own copy of the rules while this server
was away, tells what it said, of which row, when and under which id. The row and the answer are
checked as if they were ours; the same spool, windows and joins take them from there.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from timonel.errors import Phrase, TimonelError, closest, summary_of
from timonel.events.errors import SpoolFull
from timonel.events.frames import NO_INPUTS, PredictionFrame
from timonel.schema.validation import MOST_ERRORS, NOTHING, ONCE, TWICE, UNKNOWN_FIELD, read_key
from timonel.schema.validation_fields import Fault, moment_of
from timonel.serving.errors import InvalidRecord
from timonel.serving.routes.asked import unreadable
from timonel.serving.routes.fields import field_error, moment, own_id
from timonel.serving.routes.journal import Journal
from timonel.serving.routes.outcomes import INLINE_BYTES
from timonel.serving.versions.snapshot import ServedModel, ServedVersion, Snapshot
from timonel.wire.answer import LONGEST_OUTSIDE, Answer, Reason, Source, outside_version
from timonel.wire.errors import TooManyRows
from timonel.wire.ids import id_text
from timonel.wire.replies import RecordsReply
from timonel.wire.strict_json import JsonObject, Unusable, describe, read_json

FAST_CLOCK_US = 60_000_000  # a clock elsewhere that runs ahead by less than this is taken as now
LONGEST_LATENCY_MS = 86_400_000
UNNAMED = "unknown"
_LONGEST_EXPLANATION = 2000
_SECOND_US = 1_000_000
_FIELDS = (
    "prediction",
    "inputs",
    "version",
    "source",
    "score",
    "probabilities",
    "explanation",
    "latency_ms",
    "at",
    "key",
    "unit_id",
    "variant",
    "prediction_id",
)
_SOURCES = (Source.EXTERNAL.value, Source.RULES.value)
_ANSWER = Phrase("what was answered: a class or a number", "lo respondido: una clase o un número")
_NO_MORE = Phrase("no later than now", "a lo más ahora")
_A_VERSION = Phrase(
    "1 to {n} printable characters that name the model of the outside",
    "1 a {n} caracteres imprimibles que nombren el modelo externo",
    n=LONGEST_OUTSIDE,
)
_OF_RULES = Phrase("no version beside source rules", "ninguna version junto a source rules")
_LATENCY = Phrase(
    "milliseconds in (0, {most}]", "milisegundos en (0, {most}]", most=LONGEST_LATENCY_MS
)
_ONE_KEY = Phrase(
    "the key once: inside inputs or beside them",
    "la llave una vez: dentro de inputs o a su lado",
)
_A_UNIT = Phrase(
    "unit_id (or the key) beside variant: whom the experiment counts it for",
    "unit_id (o la llave) junto a variant: para quién lo cuenta el experimento",
)
_NO_KEY = Phrase(
    "no key: the model declares none (`outcome=Outcome(key=...)` declares one)",
    "ninguna llave: el modelo no la declara (`outcome=Outcome(key=...)` la declara)",
)


class RecordReader:
    """Reads predictions of one model that were made elsewhere.

    Parameters
    ----------
    version : ServedVersion
        The champion or the declaration: its schema, classes, key, zone and horizon hold.
    generation : int
    variants : frozenset of str
        Experiments of mode outside that assign now, with their arms: an answer may name one.
    """

    def __init__(
        self, version: ServedVersion, generation: int, variants: frozenset[str] = frozenset()
    ) -> None:
        manifest = version.manifest
        self._version = version
        self._generation = generation
        self._variants = variants
        self._model = manifest.model
        self._key = manifest.outcome.key
        self._horizon_s = manifest.outcome.horizon_s
        self._zone = ZoneInfo(manifest.timezone)

    def read(
        self, body: bytes, *, now: int, next_id: Callable[[], bytes], max_rows: int
    ) -> list[PredictionFrame]:
        """Read a body: one prediction, or ``{"predictions": [...]}``.

        Raises
        ------
        MalformedBody, InvalidRecord, TooManyRows
            All that is wrong with any of them is listed; none is taken then.
        """
        document = read_json(body)
        sent: list[Any] = [document]
        if isinstance(document, JsonObject) and "predictions" in document:
            listed = document["predictions"]
            if len(document) > 1 or not isinstance(listed, list) or not listed:
                more = Phrase("more beside it", "algo más a su lado")
                found = more if len(document) > 1 else describe(listed)
                expected = Phrase(
                    "by itself, a list of at least one prediction",
                    "sola, una lista de al menos una predicción",
                )
                raise self._invalid([field_error(0, "predictions", "wrong_type", found, expected)])
            sent = listed
        if len(sent) > max_rows:
            raise TooManyRows(found=len(sent), limit=max_rows)
        frames: list[PredictionFrame] = []
        errors: list[dict[str, Any]] = []
        for row, one in enumerate(sent):
            read = self._one(one, row, now, next_id)
            if isinstance(read, PredictionFrame):
                frames.append(read)
            elif len(errors) < MOST_ERRORS:
                errors += read
        if errors:
            raise self._invalid(errors[:MOST_ERRORS])
        return frames

    def _one(
        self, sent: Any, row: int, now: int, next_id: Callable[[], bytes]
    ) -> PredictionFrame | list[dict[str, Any]]:
        if not isinstance(sent, JsonObject):
            expected = Phrase("an object with prediction", "un objeto con prediction")
            return [field_error(row, "predictions", "wrong_type", describe(sent), expected)]
        errors: list[dict[str, Any]] = []
        read: dict[str, Any] = {}
        for field, reader in (
            ("prediction_id", own_id),
            ("at", partial(self._at, now=now)),
            ("source", _source),
            ("version", partial(_version, source=sent.get("source"))),
            ("key", partial(self._read_key, inputs=sent.get("inputs"))),
            ("unit_id", read_key),
            ("variant", self._variant),
            ("latency_ms", _latency_us),
            ("explanation", _explanation),
        ):
            try:
                read[field] = reader(sent.get(field))
            except Fault as fault:
                errors.append(field_error(row, field, fault.code, fault.found, fault.expected))
        answer = self._answer(sent, row, errors)
        features, key = self._inputs(sent.get("inputs"), row, errors)
        key = key if key is not None else read.get("key")
        variant, unit = read.get("variant", ""), read.get("unit_id")
        if variant and unit is None:
            unit = key
            if key is None:
                errors.append(field_error(row, "unit_id", "missing", NOTHING, _A_UNIT))
        errors += _strangers(sent, row)
        if errors or answer is None:
            return errors
        by_rules = read["source"] == Source.RULES.value
        return PredictionFrame(
            id=read["prediction_id"] or next_id(),
            at=read["at"],
            model=self._model,
            version="" if by_rules else outside_version(read["version"] or UNNAMED),
            variant=variant,
            source=read["source"],
            reason=(Reason.SERVER_AWAY if by_rules else Reason.ASSIGNED).value,
            key=key,
            unit=unit,
            generation=self._generation,
            prediction=answer.prediction,
            score=answer.score,
            probabilities=answer.probabilities,
            explanation=read["explanation"],
            latency_us=read["latency_ms"],
            features=features,
        )

    def _answer(self, sent: JsonObject, row: int, errors: list[dict[str, Any]]) -> Answer | None:
        given = sent.get("prediction")
        if given is None:
            found = describe(None) if "prediction" in sent else NOTHING
            errors.append(field_error(row, "prediction", "missing", found, _ANSWER))
            return None
        answer = Answer(given, sent.get("score"), sent.get("probabilities"))
        for field, value in zip(("prediction", "score"), answer[:2], strict=True):
            if isinstance(value, Unusable):
                expected = Phrase("a finite number", "un número finito")
                errors.append(field_error(row, field, "not_finite", value.text, expected))
                return None
        fault = self._version.outputs.fault(answer)
        if fault is None:
            checked = self._version.outputs.checked(answer)
            return checked if isinstance(checked, Answer) else None
        field, found, expected = fault
        errors.append(field_error(row, field, "invalid_answer", found, expected))
        return None

    def _inputs(
        self, sent: Any, row: int, errors: list[dict[str, Any]]
    ) -> tuple[bytes, str | None]:
        if sent is None:
            return NO_INPUTS, None
        decoder = self._version.decoder
        found = decoder.check(sent, row)
        if isinstance(found, list):
            errors += found
            return NO_INPUTS, None
        return decoder.log(found.values), found.key

    def _at(self, sent: Any, *, now: int) -> int:
        at = moment(sent, self._zone)
        if at is None:
            return now
        if at > now + FAST_CLOCK_US:
            raise Fault("in_the_future", describe(sent), _NO_MORE)
        oldest = now - self._horizon_s * _SECOND_US
        if at < oldest:
            expected = Phrase(
                "{oldest} or later: the model's horizon is {s} s",
                "{oldest} o después: el horizonte del modelo es {s} s",
                oldest=moment_of(oldest, self._zone).isoformat(timespec="seconds"),
                s=self._horizon_s,
            )
            raise Fault("too_old", describe(sent), expected)
        return min(at, now)

    def _variant(self, sent: Any) -> str:
        if sent is None:
            return ""
        if not isinstance(sent, str) or sent not in self._variants:
            known = ", ".join(sorted(self._variants)[:10]) or "-"
            expected = Phrase(
                "EXPERIMENT:ARM of an active experiment of mode outside: {known}",
                "EXPERIMENTO:VARIANTE de un experimento activo de modo outside: {known}",
                known=known,
            )
            raise Fault("unknown_variant", describe(sent), expected)
        return sent

    def _read_key(self, sent: Any, *, inputs: Any) -> str | None:
        if sent is None:
            return None
        if self._key is None:
            raise Fault("no_key_declared", describe(sent), _NO_KEY)
        if isinstance(inputs, JsonObject) and inputs.get(self._key) is not None:
            raise Fault("duplicate_field", TWICE, _ONE_KEY)
        return read_key(sent)

    def _invalid(self, errors: list[dict[str, Any]]) -> InvalidRecord:
        return InvalidRecord(
            model=self._model, count=len(errors), summary=summary_of(errors), errors=errors
        )


class Records:
    """Takes predictions of elsewhere in. Belongs to one event loop."""

    def __init__(self, journal: Journal, *, max_rows: int) -> None:
        self._journal = journal
        self._max_rows = max_rows
        self.in_flight = 0

    async def accept(self, snapshot: Snapshot, model: ServedModel, body: bytes) -> RecordsReply:
        """Log the predictions of a body.

        Raises
        ------
        MalformedBody, InvalidRecord, TooManyRows, NotServable, SpoolFull
            Then none of them is acknowledged.
        """
        now = snapshot.clock.now_us()
        self.in_flight += 1
        try:
            frames = await self._read(snapshot, model, body, now)
            await self._journal.many(frames)
        except SpoolFull:
            raise
        except TimonelError as error:
            self._journal.refusal(model.name, now, error)
            raise
        finally:
            self.in_flight -= 1
        for frame in frames:
            self._journal.answered(frame)
        return RecordsReply([id_text(frame.id) for frame in frames])

    async def _read(
        self, snapshot: Snapshot, model: ServedModel, body: bytes, now: int
    ) -> Sequence[PredictionFrame]:
        if model.shown is None:
            raise unreadable(model)
        read = partial(
            RecordReader(model.shown, snapshot.generation, model.outside).read,
            body,
            now=now,
            next_id=self._journal.ids.next,
            max_rows=self._max_rows,
        )
        if len(body) <= INLINE_BYTES:
            return read()
        return await asyncio.to_thread(read)


def _source(sent: Any) -> str:
    if sent is None:
        return Source.EXTERNAL.value
    if sent not in _SOURCES:
        known = ", ".join(_SOURCES)
        expected = Phrase("one of {known}", "uno de {known}", known=known)
        raise Fault("wrong_name", describe(sent), expected)
    return str(sent)


def _version(sent: Any, *, source: Any) -> str | None:
    if sent is None:
        return None
    if source == Source.RULES.value:
        raise Fault("unexpected", describe(sent), _OF_RULES)
    if not (isinstance(sent, str) and 0 < len(sent) <= LONGEST_OUTSIDE and sent.isprintable()):
        raise Fault("invalid_text", describe(sent), _A_VERSION)
    return sent


def _latency_us(sent: Any) -> int:
    if sent is None:
        return 0  # not known
    if isinstance(sent, int | float) and not isinstance(sent, bool):
        milliseconds: float = sent
        if 0 < milliseconds <= LONGEST_LATENCY_MS:
            return max(1, round(milliseconds * 1000))
    raise Fault("out_of_range", describe(sent), _LATENCY)


def _explanation(sent: Any) -> str | None:
    if sent is None:
        return None
    if not isinstance(sent, str) or len(sent) > _LONGEST_EXPLANATION:
        expected = Phrase(
            "a text of at most {n} characters",
            "un texto de a lo más {n} caracteres",
            n=_LONGEST_EXPLANATION,
        )
        raise Fault("invalid_text", describe(sent), expected)
    return sent.replace("\0", "").encode("utf-8", "replace").decode()


def _strangers(sent: JsonObject, row: int) -> list[dict[str, Any]]:
    errors = []
    for name in [name for name in sent if name not in _FIELDS][:20]:
        known = closest(name[:64], list(_FIELDS))
        expected = Phrase("one of {known}", "uno de {known}", known=known)
        errors.append(field_error(row, name[:64], "unknown_field", UNKNOWN_FIELD, expected))
    errors += [
        field_error(row, name[:64], "duplicate_field", TWICE, ONCE) for name in sent.duplicates[:20]
    ]
    return errors
