"""Who answers a row: the model, or what stands in for it, and why.

Nothing here waits: models of the native pool are asked in ``predict.py``, and come here for what
becomes of their answers. A failure of a model never reaches the client while rules or a baseline
can answer.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from timonel.errors import TimonelError
from timonel.runtime.errors import InvalidOutput, RowRefused
from timonel.schema.validation import Values
from timonel.serving.errors import NotServable, RulesFailed
from timonel.serving.processes.errors import NativeTimeout
from timonel.serving.versions.snapshot import ServedVersion
from timonel.wire.answer import Answer, Reason, Source

_log = logging.getLogger("timonel.serving")
QUIET_S = 10.0
_MOST_TOLD = 100
# hashing a member of an Enum runs Python code; these go into every frame and label
_MODEL, _RULES, _BASELINE = Source.MODEL.value, Source.RULES.value, Source.BASELINE.value
_ASSIGNED = Reason.ASSIGNED.value
_INVALID = Reason.INVALID_OUTPUT.value
_WHY = {
    Reason.NO_VERSION: ("it has no version in production", "no tiene versión en producción"),
    Reason.MODEL_ERROR: ("its version failed", "su versión falló"),
    Reason.TIMEOUT: ("its version did not answer in time", "su versión no respondió a tiempo"),
    Reason.BREAKER_OPEN: ("its version failed repeatedly", "su versión falló repetidamente"),
    Reason.OVERLOAD: ("its version is overloaded", "su versión está sobrecargada"),
    Reason.INVALID_OUTPUT: (
        "its version gave what is no answer",
        "su versión dio algo que no es respuesta",
    ),
    Reason.SERVER_AWAY: ("its server was away", "su servidor no estaba"),
    Reason.LOOKUP_ABSENT: ("no row of this entity was found", "no se halló fila de esta entidad"),
    Reason.LOOKUP_LATE: ("its row was not found in time", "su fila no se halló a tiempo"),
    Reason.LOOKUP_STALE: ("the data of its row are too old", "los datos de su fila son muy viejos"),
    Reason.LOOKUP_FAILED: ("its row could not be looked up", "su fila no se pudo buscar"),
}


class Given(msgspec.Struct, frozen=True, gc=False):
    """An answer, who gave it and why (plain texts of ``Source`` and ``Reason``)."""

    answer: Answer
    source: str
    reason: str


Monotonic = Callable[[], float]


def by_model(version: ServedVersion, values: Values, now: Monotonic = time.monotonic) -> Given:
    """Ask an inline model for one row; whatever fails is answered by ``instead``.

    Raises
    ------
    NotServable
        If neither model, rules nor baseline can answer.
    """
    predictor = version.predictor
    if predictor is None:
        return instead(version, values, why_no_model(version))
    breaker = version.breaker
    started = now()
    if not breaker.closed and not breaker.allows(started):
        return instead(version, values, Reason.BREAKER_OPEN)
    try:
        answer = predictor.predict_row(values)
    except RowRefused as error:  # the row's doing: the breaker judges models
        return instead(version, values, failure(version, error))
    except Exception as error:  # noqa: BLE001 - whatever a model raises, the client gets an answer
        breaker.failed(now())
        return instead(version, values, failure(version, error))
    if (now() - started) * 1000.0 > version.manifest.policy.deadline_ms:
        breaker.failed(now())
        return instead(version, values, Reason.TIMEOUT)
    breaker.succeeded()
    if version.outputs.bounded or version.manifest.policy.low_confidence is not None:
        return accepted(version, values, answer)
    return Given(answer, _MODEL, _ASSIGNED)


def many_by_model(
    version: ServedVersion, table: Sequence[Values], now: Monotonic = time.monotonic
) -> list[Given]:
    """Ask an inline model for many rows at once; rows that make it fail are asked one by one.

    May run in a thread of its own: a breaker that misses a count there does no harm.

    Raises
    ------
    NotServable
        If for some row neither model, rules nor baseline can answer.
    """
    predictor = version.predictor
    if predictor is None or not version.breaker.closed:
        return [by_model(version, values, now) for values in table]
    try:
        answers = predictor.predict_rows(table)
        pairs = list(zip(table, answers, strict=True))
    except Exception:  # noqa: BLE001 - one bad row must not take the model's answer from the others
        return [by_model(version, values, now) for values in table]
    version.breaker.succeeded()
    return taken(version, pairs)


def taken(version: ServedVersion, pairs: Iterable[tuple[Values, Answer]]) -> list[Given]:
    """Take a model's own answers of rows, in order, each as ``accepted`` does."""
    if version.outputs.bounded or version.manifest.policy.low_confidence is not None:
        return [accepted(version, values, answer) for values, answer in pairs]
    return [Given(answer, _MODEL, _ASSIGNED) for _, answer in pairs]


def accepted(version: ServedVersion, values: Values, answer: Answer) -> Given:
    """Take no answer outside the declared range, then as ``confident``.

    Such a row alone is answered instead: the breaker judges models, and the next row may be in it.
    """
    fault = version.outputs.outside(answer.prediction)
    if fault is None:
        return confident(version, values, answer)
    tell(version, f"gave {fault[0]}, expected {fault[1]}")
    return instead(version, values, Reason.INVALID_OUTPUT)


def confident(version: ServedVersion, values: Values, answer: Answer) -> Given:
    """Keep a model's answer, or give the rules' where the policy finds it too unsure.

    Without rules that answer, the unsure answer is still the best there is, and stays.
    """
    bar = version.manifest.policy.low_confidence
    if bar is not None and _confidence(answer) < bar:
        ruled = by_rules(version, values)
        if ruled is not None:
            return Given(ruled, _RULES, Reason.LOW_CONFIDENCE.value)
    return Given(answer, _MODEL, _ASSIGNED)


def checked(version: ServedVersion, values: Values, answer: Answer) -> Given:
    """Check an answer that came from another process, then as ``confident``."""
    tidy = version.outputs.checked(answer)
    if isinstance(tidy, Answer):
        return confident(version, values, tidy)
    tell(version, f"gave {tidy[0]}, expected {tidy[1]}")
    return instead(version, values, Reason.INVALID_OUTPUT)


def broken(version: ServedVersion, given: Given, answer: Answer) -> bool:
    """Say whether an answer that was not taken speaks against the model, not only of its row.

    Parameters
    ----------
    given : Given
        What ``checked`` made of it.
    answer : Answer
    """
    return given.reason == _INVALID and not version.outputs.only_outside(answer)


def instead(version: ServedVersion, values: Values, reason: Reason) -> Given:
    """Answer by the rules, else by the baseline.

    Raises
    ------
    NotServable
        If there is neither.
    """
    ruled = by_rules(version, values)
    if ruled is not None:
        return Given(ruled, _RULES, reason.value)
    if version.baseline is not None:
        return Given(version.baseline, _BASELINE, reason.value)
    why, why_es = _WHY[reason]
    raise NotServable(model=version.manifest.model, why=why, why_es=why_es, reason=str(reason))


def ruled(version: ServedVersion, values: Values) -> Given:
    """Ask the rules as an experiment's arm; where they cannot answer, that is its failure.

    Raises
    ------
    NotServable
        If they do not answer and there is no baseline.
    """
    answer = by_rules(version, values)
    if answer is not None:
        return Given(answer, _RULES, _ASSIGNED)
    if version.baseline is not None:
        return Given(version.baseline, _BASELINE, Reason.MODEL_ERROR.value)
    why, why_es = _WHY[Reason.MODEL_ERROR]
    raise NotServable(model=version.manifest.model, why=why, why_es=why_es)


def by_rules(version: ServedVersion, values: Values) -> Answer | None:
    """Ask the rules; None where there are none, they decline, or they fail (which is logged)."""
    if version.rules is None:
        return None
    try:
        return version.rules.answer(version.decoder.document(values))
    except RulesFailed as error:
        tell(version, str(error))
        return None


def failure(version: ServedVersion, error: Exception) -> Reason:
    """Log a model's failure and name it."""
    told = str(error) if isinstance(error, TimonelError) else f"{type(error).__name__}: {error}"
    tell(version, told)
    if isinstance(error, InvalidOutput):
        return Reason.INVALID_OUTPUT
    if isinstance(error, TimeoutError | NativeTimeout):
        return Reason.TIMEOUT
    return Reason.MODEL_ERROR


def why_no_model(version: ServedVersion) -> Reason:
    """Say why a version has no model to ask: none was published, or it could not be loaded."""
    return Reason.NO_VERSION if version.manifest.predictor == "none" else Reason.MODEL_ERROR


def _confidence(answer: Answer) -> float:
    if answer.probabilities:
        return max(answer.probabilities.values())
    return 1.0 if answer.score is None else max(answer.score, 1.0 - answer.score)


def tell(version: ServedVersion, text: str) -> None:
    """Log what went wrong; the same again only after some seconds, however often it happens."""
    now = time.monotonic()
    if now - version.told.get(text, -QUIET_S) < QUIET_S:
        return
    if len(version.told) >= _MOST_TOLD:
        version.told.clear()
    version.told[text] = now
    model, number = version.manifest.model, version.version
    extra = {"model": model, "version": number}
    _log.error("%s@%s: %s", model, number or "(declared)", text, extra=extra)
