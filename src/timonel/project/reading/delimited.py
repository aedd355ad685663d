"""Read a delimited text file into a table of text cells: encoding, separator, quotes, faults.

Excel in Spanish writes cp1252 and ``;``; exports write UTF-8 with or without a byte-order mark.
What the file is, is found by evidence; what contradicts itself is refused with its line.
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import polars as pl

from timonel.project.reading.errors import (
    BrokenQuotes,
    EmptyTable,
    HugeCell,
    InvalidDialect,
    NulByte,
    OneColumn,
    RaggedRow,
    WrongEncoding,
)
from timonel.project.reading.raw import RawTable, check_names

SEPARATORS = (";", ",", "\t", "|")
LONGEST_CELL = 131_072  # the csv module's own limit
_SAMPLE_ROWS = 500
_SAMPLE_CHARACTERS = 262_144
_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Delimited:
    """A text file as read: its cells, and the dialect that was given or found."""

    table: RawTable
    encoding: str
    separator: str


def read_delimited(
    data: bytes, path: str, *, encoding: str | None = None, separator: str | None = None
) -> Delimited:
    """Split the bytes of a delimited file into named columns of text.

    Parameters
    ----------
    data : bytes
        The whole file.
    path : str
        For messages.
    encoding, separator : str or None
        None: found by evidence.

    Raises
    ------
    ProjectFault
        One of ``timonel.project.reading.errors``, with the line and, if there is one, the column.
    """
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        expected = "one character: ',' ';' '|' or tab"
        raise InvalidDialect(path=path, option="separator", found=separator, expected=expected)
    encoding = encoding or detect_encoding(data, path)
    text = _decode(data, encoding, path)
    _refuse_nul(text, path)
    first_line = 1
    if text[:4].casefold() == "sep=" and "\n" in text:  # Excel's own hint
        hint, text = text.split("\n", 1)
        separator = separator or (hint[4:].strip("\r") or None)
        first_line = 2
    if not text.strip():
        raise EmptyTable(path=path, n_lines=0)
    separator = separator or detect_separator(text)
    return Delimited(_split(text, separator, path, first_line), encoding, separator)


# --- bytes to text


def detect_encoding(data: bytes, path: str) -> str:
    """Tell the encoding of a file by its bytes.

    Returns
    -------
    str
        "utf-8-sig", "utf-16", "utf-8", or "cp1252" (which latin-1 text is too, as long as it uses
        no control characters).

    Raises
    ------
    WrongEncoding
        If it is UTF-8 but for some bytes, or has bytes that cp1252 lacks.
    """
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        if _mostly_utf8(data, error):
            raise _bad_byte(data, error, "utf-8", path) from None
    else:
        return "utf-8"
    try:
        data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise _bad_byte(data, error, "cp1252", path) from None
    return "cp1252"


def _mostly_utf8(data: bytes, error: UnicodeDecodeError) -> bool:
    if error.start >= len(data) - 3 and error.reason == "unexpected end of data":
        return error.start > 0 and not data[: error.start].isascii()
    text = data.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    foreign = sum(1 for character in text if character > "\x7f") - broken
    return foreign > broken


def _bad_byte(data: bytes, error: UnicodeDecodeError, encoding: str, path: str) -> WrongEncoding:
    line = data.count(b"\n", 0, error.start) + 1
    return WrongEncoding(
        path=path, line=line, found=f"0x{data[error.start]:02X}", encoding=encoding.upper()
    )


def _decode(data: bytes, encoding: str, path: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _bad_byte(data, error, encoding, path) from None
    except LookupError:
        expected = "utf-8, cp1252, latin-1, utf-16"
        raise InvalidDialect(
            path=path, option="encoding", found=encoding, expected=expected
        ) from None


def _refuse_nul(text: str, path: str) -> None:
    at = text.find("\0")
    if at < 0:
        return
    line = text.count("\n", 0, at) + 1
    raise NulByte(path=path, line=line, column=at - (text.rfind("\n", 0, at) + 1) + 1)


# --- text to cells


def detect_separator(text: str) -> str:
    """Tell the separator: the one that gives most rows the header's number of cells.

    Returns
    -------
    str
        One of ``SEPARATORS``; "," when none gives two columns.
    """
    sample = text[:_SAMPLE_CHARACTERS]
    scores: dict[str, tuple[float, int]] = {}
    for separator in SEPARATORS:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
        counts: list[int] = []
        with suppress(csv.Error):  # what is wrong is told once the separator is known
            counts.extend(len(row) for row in islice(reader, _SAMPLE_ROWS) if row)
        if len(text) > len(sample) and len(counts) > 1:
            counts.pop()  # the sample may end inside a row
        width = counts[0] if counts else 1
        if width > 1:
            scores[separator] = (round(Counter(counts)[width] / len(counts), 2), width)
    return max(scores, key=scores.__getitem__) if scores else ","


class _Rows:
    """The rows of a file with the line where each begins; strict about quotes."""

    def __init__(self, text: str, separator: str, path: str, first_line: int) -> None:
        self._reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        self._text = text
        self._separator = separator
        self._path = path
        self._offset = first_line - 1
        self.header: list[str] = []

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        while True:
            before = self._reader.line_num
            try:
                row = next(self._reader, None)
            except csv.Error as error:
                raise self._fault(before, str(error)) from None
            if row is None:
                return
            if row:
                yield before + 1 + self._offset, row

    def _fault(self, before: int, reason: str) -> BrokenQuotes | HugeCell:
        lines = self._text.splitlines()
        line = lines[before] if before < len(lines) else ""
        begun = line.split(self._separator)
        at = next((i for i, cell in enumerate(begun) if _opens(cell)), 0)
        if "field larger" in reason:
            lengths = [len(cell) for cell in begun]
            if max(lengths) > LONGEST_CELL:
                at = lengths.index(max(lengths))
            return HugeCell(
                path=self._path,
                line=before + 1 + self._offset,
                column=self._column(at),
                found=LONGEST_CELL,
                expected=LONGEST_CELL,
                value=begun[at][:20],
            )
        return BrokenQuotes(
            path=self._path,
            line=before + 1 + self._offset,
            column=self._column(at),
            found=line[:60],
        )

    def _column(self, at: int) -> str:
        return self.header[at] if at < len(self.header) else str(at + 1)


def _opens(cell: str) -> bool:
    return cell.startswith('"') and (cell.count('"') % 2 == 1 or not cell.endswith('"'))


def _split(text: str, separator: str, path: str, first_line: int) -> RawTable:
    rows = _Rows(text, separator, path, first_line)
    stream = iter(rows)
    header_line, header = next(stream, (1, []))
    # A header with a trailing separator has an empty last name; it goes if its column is empty.
    rows.header = [name.strip() for name in header]
    if len(header) == 1:
        raise _one_column(text, header[0], separator, path, header_line)
    chunks: list[pl.DataFrame] = []
    lines: list[int] = []
    while chunk := list(islice(_even(stream, rows.header, separator, path), _CHUNK)):
        lines.extend(line for line, _ in chunk)
        columns = zip(*(row for _, row in chunk), strict=True)
        chunks.append(
            pl.DataFrame({str(i): column for i, column in enumerate(columns)}, strict=False)
        )
    if not chunks:
        raise EmptyTable(path=path, n_lines=1)
    frame = pl.concat(chunks)
    return RawTable(check_names(frame, rows.header, path, header_line), lines, path)


def _even(
    stream: Iterator[tuple[int, list[str]]], header: list[str], separator: str, path: str
) -> Iterator[tuple[int, list[str]]]:
    width = len(header)
    for line, row in stream:
        if len(row) != width:
            extra = row[width:]
            if extra and not any(cell.strip() for cell in extra):  # trailing separators
                row = row[:width]
            elif any(cell.strip() for cell in row):
                at = min(len(row), width) - 1
                raise RaggedRow(
                    path=path,
                    line=line,
                    found=len(row),
                    expected=width,
                    column=header[at],
                    value=row[at][:40],
                    separator=separator,
                )
            else:
                continue
        if any(row):
            yield line, row


def _one_column(text: str, column: str, separator: str, path: str, line: int) -> OneColumn:
    likely = detect_separator(text)
    seen = likely != separator and likely in text.split("\n", 1)[0]
    return OneColumn(
        path=path,
        line=line,
        column=column[:60],
        separator=separator,
        hint_en=f"The line looks separated by {likely!r}." if seen else "",
        hint_es=f"La línea parece separada por {likely!r}." if seen else "",
    )
