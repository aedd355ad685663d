"""Read one sheet of an Excel workbook (.xlsx) into raw columns."""

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import polars as pl

from timonel.errors import closest
from timonel.project.reading.errors import EmptyTable, UnknownColumn, UnreadableFile
from timonel.project.reading.raw import RawTable, check_names, column_of

_ERRORS = frozenset({"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!"})


def read_workbook(data: bytes, path: str, sheet: str | None = None) -> tuple[RawTable, str]:
    """Read a sheet; the first one that holds anything when none is named.

    Returns
    -------
    RawTable, str
        The cells and the name of the sheet.
    """
    import openpyxl  # heavy, and only workbooks need it

    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, TypeError) as error:
        raise UnreadableFile(path=path, expected="xlsx", found=str(error) or "damaged") from None
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise UnknownColumn(column=sheet, path=path, known=closest(sheet, book.sheetnames))
        for name in [sheet] if sheet is not None else book.sheetnames:
            rows = _rows(book[name], path)
            if rows:
                return _table(rows, path), name
    finally:
        book.close()
    raise EmptyTable(path=path, n_lines=0)


def _rows(sheet: Any, path: str) -> list[tuple[int, Sequence[Any]]]:
    if not hasattr(sheet, "iter_rows"):  # a sheet of charts
        return []
    try:
        sheet.reset_dimensions()  # some writers state a wrong extent
        return [
            (line, row)
            for line, row in enumerate(sheet.iter_rows(values_only=True), start=1)
            if any(value is not None and value != "" for value in row)
        ]
    except (zipfile.BadZipFile, ValueError, KeyError, OSError, SyntaxError) as error:
        raise UnreadableFile(path=path, expected="xlsx", found=str(error) or "damaged") from None


def _table(rows: list[tuple[int, Sequence[Any]]], path: str) -> RawTable:
    header_line, header = rows[0]
    body = rows[1:]
    if not body:
        raise EmptyTable(path=path, n_lines=1)
    width = max(len(row) for _, row in rows)
    names = ["" if i >= len(header) or header[i] is None else str(header[i]) for i in range(width)]
    columns = [
        column_of(str(i), [_cell(row[i]) if i < len(row) else None for _, row in body])
        for i in range(width)
    ]
    frame = check_names(pl.DataFrame(columns), names, path, header_line)
    return RawTable(frame, [line for line, _ in body], path)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        if value in _ERRORS:
            return None
        return value.replace("_x000D_", "\r")
    return value
