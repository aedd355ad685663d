"""What is asked of guardrails: each is an event of our answers, or something known of units."""

import math
import re

from timonel.errors import Phrase
from timonel.experiments.checking.refusals import refusal
from timonel.experiments.design import EVENTS, OF_ANSWERS, Design, Guardrail, Mode, parts_of

METRIC = re.compile(r"[a-z][a-z0-9_]{0,39}")
OWN_METRICS = (
    "exposed",
    "first",
    "leak",
    "answers",
    "latency_ms",
    "confidence",
    "difference",
    "corrected",
)
"""Names of sums of ours, which nobody can record."""
_LOSSES = OF_ANSWERS[1:]


def check_guardrails(design: Design) -> None:
    """Refuse guardrails that could never be known, or not be weighed as asked."""
    names = [guardrail.event for guardrail in design.guardrails]
    if len(set(names)) < len(names):
        raise _refused(design, ", ".join(names), Phrase("each once", "cada uno una vez"))
    for guardrail in design.guardrails:
        if design.mode is Mode.SHADOW:
            expected = Phrase(
                "none in mode shadow: nobody is answered by the treatment",
                "nada en modo shadow: a nadie le responde el tratamiento",
            )
            raise _refused(design, guardrail.event, expected)
        if guardrail.of_units:
            _check_of_units(design, guardrail)
        elif design.mode is Mode.OUTSIDE or guardrail.event not in EVENTS:
            raise _refused(design, guardrail.event, known_guardrails(design.mode))
        if not 1.0 <= guardrail.tolerated < 10.0:
            raise _refused(design, str(guardrail.tolerated), "[1, 10)")
        if not 0.0 <= guardrail.margin < math.inf:
            raise _refused(design, str(guardrail.margin), ">= 0")


def known_guardrails(mode: Mode) -> Phrase:
    """List what a guardrail may be."""
    of_units = Phrase(
        "a metric that you record of units: NAME:bad (1 where it happened, else 0; with @RATIO), "
        "NAME:lower or NAME:higher (which is better; with @MARGIN)",
        "una métrica que usted registra de las unidades: NOMBRE:bad (1 si ocurrió, si no 0; con "
        "@RAZÓN), NOMBRE:lower o NOMBRE:higher (qué es mejor; con @MARGEN)",
    )
    if mode is Mode.OUTSIDE:
        return of_units
    return Phrase(
        "fallback, error, slow or slow:MILLISECONDS (with @RATIO), or {of_units}",
        "fallback, error, slow o slow:MILISEGUNDOS (con @RAZÓN), o {of_units}",
        of_units=of_units,
    )


def _check_of_units(design: Design, guardrail: Guardrail) -> None:
    name = guardrail.event
    if name == design.metric:
        expected = Phrase("another metric than the goal", "otra métrica que el objetivo")
        raise _refused(design, name, expected)
    if design.mode is Mode.OUTSIDE:
        if guardrail.recorded and len(parts_of(name)) > 1:
            expected = Phrase("one recorded value", "un solo valor registrado")
            raise _refused(design, name, expected)
        return  # its name is checked with those of all metrics
    if design.unit != "unit":
        expected = Phrase(
            "events of answers: what is recorded belongs to units that are named, not to {unit}",
            "eventos de respuestas: lo que se registra es de unidades con nombre, no de {unit}",
            unit=design.unit,
        )
        raise _refused(design, name, expected)
    of_answers = _LOSSES if design.task in ("", "regression") else ()
    if name in OF_ANSWERS and (name not in of_answers or guardrail.recorded):
        raise _refused(design, name, known_guardrails(design.mode))
    if name not in OF_ANSWERS and (not METRIC.fullmatch(name) or name in (*EVENTS, *OWN_METRICS)):
        expected = Phrase(
            "a name of yours (a-z, 0-9 and _, at most 40) for what you record",
            "un nombre suyo (a-z, 0-9 y _, a lo más 40) para lo que registra",
        )
        raise _refused(design, name, expected)


def _refused(design: Design, found: str, expected: str) -> Exception:
    return refusal(design, "guardrails", found[:64], expected)
