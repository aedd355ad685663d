"""What an alert says to a person: made from its kind and facts, in the reader's language; pure.

A fact that is missing, or of an unexpected form, makes a sentence more general, never an error.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from timonel.alerts.alert import Alert, News, iso
from timonel.alerts.phrases import en, es
from timonel.alerts.phrases.form import first_known, known

LANGUAGES = ("en", "es")
_PHRASES = {"en": en.PHRASES, "es": es.PHRASES}
_HEADINGS = {
    "en": {
        News.FIRING: "{severity}: {title}",
        News.WORSE: "Now {severity}: {title}",
        News.REPEATED: "Still {severity}: {title}",
        News.ESCALATED: "Nobody took it, {severity}: {title}",
        News.RESOLVED: "Resolved: {title}",
        News.FLAPPING: "Comes and goes: {title}",
    },
    "es": {
        News.FIRING: "{severity}: {title}",
        News.WORSE: "Ahora {severity}: {title}",
        News.REPEATED: "Sigue {severity}: {title}",
        News.ESCALATED: "Nadie la tomó, {severity}: {title}",
        News.RESOLVED: "Resuelta: {title}",
        News.FLAPPING: "Va y viene: {title}",
    },
}
_SEVERITIES = {
    "en": {},
    "es": {
        "CRITICAL": "CRÍTICA",
        "HIGH": "ALTA",
        "MEDIUM": "MEDIA",
        "LOW": "BAJA",
        "INFO": "INFORMATIVA",
    },
}
_FLAPPING = {
    "en": "It fired and ended more than four times in an hour. Nothing more is sent about it "
    "until it is calm for an hour.",
    "es": "Se activó y terminó más de cuatro veces en una hora. No se envía nada más de ella "
    "hasta que esté en calma por una hora.",
}
_MOST_ALSO = 20
_ALSO = {"en": "With it", "es": "Junto con ella"}
_TEST = {
    "en": (
        "Test of the channel {channel}",
        "Somebody ran `timonel alerts channel test {channel}`.",
        "That you read this.",
        "Nothing to do.",
    ),
    "es": (
        "Prueba del canal {channel}",
        "Alguien ejecutó `timonel alerts channel test {channel}`.",
        "Que usted lea esto.",
        "No hay nada que hacer.",
    ),
}


class AlertText(NamedTuple):
    """What an alert says."""

    title: str
    seen: str
    expected: str
    steps: tuple[str, ...]


def describe(alert: Alert, lang: str) -> AlertText:
    """Say what was seen, what was expected, and what to do.

    Parameters
    ----------
    alert : Alert
    lang : str
        "es"; anything else is English.
    """
    lang = lang if lang in LANGUAGES else "en"
    phrases = _PHRASES[lang][alert.kind]
    place = {
        "model": alert.model,
        "version": alert.version,
        "monitor": alert.monitor,
        "column": alert.column,
    }
    facts = _plain(alert.facts, lang) | {name: value for name, value in place.items() if value}
    return AlertText(
        first_known(phrases.title, facts, lang),
        first_known(phrases.seen, facts, lang),
        first_known(phrases.expected, facts, lang),
        tuple(known(phrases.steps, facts, lang)),
    )


def _plain(facts: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """Take a problem document apart: its detail is the error, its remedy a step.

    Of a fact that is said in every language, the reader's is taken.
    """
    plain = {"job_kind": facts.get("job"), **facts}
    for name, value in facts.items():
        if isinstance(value, Mapping) and set(value) == set(LANGUAGES):
            plain[name] = value[lang]
    error = facts.get("error")
    if isinstance(error, Mapping):

        def part(name: str) -> Any:
            return error.get(f"{name}_{lang}") or error.get(name)

        plain["error"] = part("detail") or error.get("code")
        plain.setdefault("remedy", part("remedy"))
    return plain


def severity_word(severity: str, lang: str) -> str:
    """Give a severity's word in a language."""
    return _SEVERITIES.get(lang, {}).get(severity, severity)


def message_body(
    alert: Alert, news: News, lang: str, *, project: str, at: int, link: str
) -> dict[str, Any]:
    """Make what channels are sent; ``link`` is an address, or the command that shows more."""
    text = describe(alert, lang)
    heading = _HEADINGS[lang if lang in LANGUAGES else "en"][news]
    seen = text.seen
    if news is News.FLAPPING:
        seen = f"{_FLAPPING[lang]} {seen}"
    return {
        "event": str(news),
        "project": project,
        "at": iso(at),
        "language": lang,
        "heading": heading.format(severity=severity_word(alert.severity, lang), title=text.title),
        "title": text.title,
        "seen": seen,
        "expected": text.expected,
        "steps": list(text.steps),
        "link": link,
        "alert": alert.document(),
    }


def with_another(body: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Make one message of two that tell the same of one model at one moment."""
    alert = other["alert"]
    also = [
        *body.get("also", []),
        {"alert_id": alert["alert_id"], "title": other["title"], "seen": other["seen"]},
    ]
    first, lang = body.get("first_heading", body["heading"]), body["language"]
    first_seen = body.get("first_seen", body["seen"])
    told = "; ".join(one["title"] for one in also[:_MOST_ALSO])
    rest = f" (+{len(also) - _MOST_ALSO})" if len(also) > _MOST_ALSO else ""
    return {
        **body,
        "heading": f"{first} (+{len(also)})",
        "seen": f"{first_seen} {_ALSO[lang]}: {told}{rest}.",
        "also": also,
        "first_heading": first,
        "first_seen": first_seen,
    }


def trial_body(channel: str, lang: str, *, project: str, at: int) -> dict[str, Any]:
    """Make the message that tries a channel."""
    title, seen, expected, step = (part.format(channel=channel) for part in _TEST[lang])
    return {
        "event": str(News.TEST),
        "project": project,
        "at": iso(at),
        "language": lang,
        "heading": title,
        "title": title,
        "seen": seen,
        "expected": expected,
        "steps": [step],
        "link": f"timonel alerts channel test {channel}",
        "alert": None,
    }
