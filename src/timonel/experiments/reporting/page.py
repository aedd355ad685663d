"""A page of Markdown in one language: blocks, tables, and numbers as people write them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from math import floor, log10
from zoneinfo import ZoneInfo

from timonel.errors import Phrase, figure, in_language
from timonel.experiments.judging.look import Look
from timonel.experiments.reporting.phrases import phrase
from timonel.experiments.reporting.report import NO_EFFECT, NO_LOOK, Estimate, Report

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = 5
_SPECIAL = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<>|#~"} | {"\n": " ", "\r": " "})
_LINE_ENDS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"


class Page:
    """Blocks of Markdown in one language."""

    def __init__(self, lang: str, zone: ZoneInfo) -> None:
        self.blocks: list[str] = []
        self._lang = lang
        self._zone = zone

    def add(self, block: str) -> None:
        """Append a paragraph, a heading or a table."""
        self.blocks.append(block)

    def heading(self, key: str) -> None:
        """Begin a section."""
        self.add(f"## {self.say(key)}")

    def say(self, key: str, /, **facts: object) -> str:
        """Give words of the report's own catalogue."""
        return str(in_language(phrase(key, **facts), self._lang))

    def tell(self, told: Phrase) -> str:
        """Give a phrase of another catalogue; none of them holds what people wrote."""
        return str(in_language(told, self._lang))

    def unknown(self, reason: Phrase | None) -> str:
        """Say that something is unknown, and why."""
        return self.say("unknown", reason=self.tell(reason or NO_EFFECT))

    def time(self, at_us: int) -> str:
        """Write a moment (microseconds since the epoch) by the reader's clock."""
        at = (_EPOCH + timedelta(microseconds=at_us)).astimezone(self._zone)
        return f"{at:%Y-%m-%d %H:%M}"

    def level(self, alpha: float) -> str:
        """Write how sure an interval is that errs in alpha."""
        return self.figure(round(100.0 * (1.0 - alpha), 3), "g") + "%"

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Append a table; its cells are Markdown."""
        lines = [f"| {' | '.join(headings)} |", f"|{' --- |' * len(headings)}"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        self.add("\n".join(lines))

    def interval(self, lower: float | None, upper: float | None) -> str:
        """Write an interval; without bounds it is unknown."""
        if lower is None or upper is None:
            return self.unknown(NO_EFFECT)
        return f"[{self.number(lower)}, {self.number(upper)}]"

    def estimate(self, found: Estimate) -> str:
        """Write a share with its interval, or why there is none."""
        if found.value is None or found.lower is None or found.upper is None:
            return self.unknown(found.reason)
        value, low, high = (
            self.figure(one, "+.2%") for one in (found.value, found.lower, found.upper)
        )
        return f"{value} [{low}, {high}]"

    def figure(self, value: float, form: str) -> str:
        """Write a number in a form, with the reader's decimal sign."""
        return self.tell(figure(value, form))

    def number(self, value: float, sign: str = "") -> str:
        """Write a number with about five digits, with the reader's decimal sign."""
        written = number(value, sign)
        return self.tell(Phrase(written, written.replace(".", ",")))


def plain(text: str) -> str:
    """Escape a text that a person gave, so that it is neither markup nor a table's end."""
    for sign in _LINE_ENDS:
        text = text.replace(sign, " ")
    return text.translate(_SPECIAL)


def number(value: float, sign: str = "") -> str:
    """Write a number with about five digits, as people do: no exponents where they can be spared.

    Examples
    --------
    >>> number(12990.5), number(0.0123456), number(2.0, "+")
    ('12990', '0.012346', '+2.0000')
    """
    if value == 0.0:
        return "0"
    size = floor(log10(abs(value)))
    if not -6 <= size <= 12:
        return f"{value:{sign}.3g}"
    return f"{value:{sign}.{max(0, _DIGITS - 1 - size)}f}"


Section = Callable[[Page, Report], None]


def seen(heading: str, write: Callable[[Page, Report, Look], None]) -> Section:
    """Make a section of what a look says; without a look it says that there is none."""

    def section(page: Page, report: Report) -> None:
        page.heading(heading)
        if report.look is None:
            page.add(page.unknown(NO_LOOK))
        else:
            write(page, report, report.look)

    return section
