"""Which language a page is written in: asked, remembered, preferred by the browser, or English."""

from typing import Literal

Language = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = ("en", "es")
COOKIE = "timonel_lang"


def choose_language(
    asked: str | None, cookie: str | None, accept_language: str | None, setting: str | None
) -> Language:
    """Choose by ``?lang=``, then the cookie, the setting, and the browser's list.

    Examples
    --------
    >>> choose_language(None, None, "de-CH,es-CL;q=0.8,en;q=0.5", None)
    'es'
    """
    for wish in (asked, cookie, setting):
        known = _known(wish)
        if known is not None:
            return known
    return preferred(accept_language) or "en"


def preferred(accept_language: str | None) -> Language | None:
    """Give the known language that an ``Accept-Language`` header weighs most; None if it has none.

    Equal weights: the first one. A weight of 0, or one that is no number, refuses the language.
    """
    best: tuple[float, Language] | None = None
    for part in (accept_language or "").split(","):
        tag, _, parameters = part.partition(";")
        known = _known(tag.strip().partition("-")[0])
        weight = _weight(parameters.strip())
        if known is not None and weight > 0 and (best is None or weight > best[0]):
            best = (weight, known)
    return best[1] if best else None


def _known(text: str | None) -> Language | None:
    lowered = (text or "").lower()
    return next((language for language in LANGUAGES if language == lowered), None)


def _weight(parameters: str) -> float:
    if not parameters:
        return 1.0
    name, _, value = parameters.partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
