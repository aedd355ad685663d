"""The answer that nobody hears: a compiled challenger is asked after the champion, in one frame.

What fails or is late here is left out of the pair, and never touches the answer. Which rows are
asked is decided without looking at them: all of them, or none.
"""

import logging
import time

import msgspec

from timonel.events.frames import PredictionFrame, ShadowAnswer
from timonel.schema.validation import Values
from timonel.serving.versions.snapshot import Choice

_log = logging.getLogger("timonel.serving")


def shadowed(frame: PredictionFrame, choice: Choice, values: Values) -> PredictionFrame:
    """Add what the challenger would have answered; the frame as it is where it cannot say.

    Parameters
    ----------
    frame : PredictionFrame
        The champion's answer.
    choice : Choice
        Its ``shadow`` is the challenger.
    values : sequence
        The validated row.
    """
    version = choice.shadow
    if version is None or version.predictor is None:
        return frame
    started = time.monotonic_ns()
    try:
        answer = version.predictor.predict_row(values)
    except Exception as error:  # noqa: BLE001 - a shadow's failure is the shadow's alone
        _log.debug("shadow %s@%s: %r", version.manifest.model, version.version, error)
        return frame
    if version.outputs.outside(answer.prediction) is not None:
        return frame  # no answer either
    took_us = (time.monotonic_ns() - started) // 1000
    shadow = ShadowAnswer(
        choice.shadow_variant, version.version, answer.prediction, answer.score, took_us
    )
    return msgspec.structs.replace(frame, shadow=shadow)
