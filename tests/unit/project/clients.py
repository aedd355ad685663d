"""One table of customers, as a team in Santiago would have it, written in ten dialects."""

import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl

NAMES = ["rut", "fecha", "edad", "renta", "comuna", "activo", "monto", "comentario", "abandona"]
_COMUNAS = ["Ñuñoa", "Providencia", "Maipú", "Las Condes", "Viña del Mar"]
_SAID = [
    "Cliente conforme; paga siempre a tiempo",
    'Dijo "no vuelvo" en la última llamada, sin más',
    "Pide descuento\ny amenaza con irse pronto",
    "Reclama | por la boleta\tde febrero otra vez",
]


def rut(body: int) -> str:
    """A RUT with its check digit, written apart from the one under test."""
    factors = [2, 3, 4, 5, 6, 7]
    total = sum(int(d) * factors[i % 6] for i, d in enumerate(reversed(str(body))))
    rest = 11 - total % 11
    digit = {11: "0", 10: "K"}.get(rest, str(rest))
    return f"{body:,}".replace(",", ".") + f"-{digit}"


def rows(n: int = 240) -> list[dict[str, Any]]:
    """The truth: typed values, some missing."""
    made = []
    for i in range(n):
        leaves = (i * 7 + i // 5) % 3 == 0
        made.append(
            {
                "rut": rut(7_654_321 + 37_511 * i),
                "fecha": date(2023, 1, 3) + timedelta(days=(i * 13) % 500),
                "edad": None if i % 17 == 3 else 18 + (i * 11) % 60,
                "renta": None if i % 23 == 5 else 350_000 + ((i * 7919) % 2_900_000) + 0.5,
                "comuna": None if i % 29 == 7 else _COMUNAS[(i * i) % 5],
                "activo": (i * 5) % 7 < 4,
                "monto": 900 + (i * 48_611) % 2_000_000,
                "comentario": f"{_SAID[i % 4]} ({i})",
                "abandona": "Sí" if leaves else "No",
            }
        )
    return made


def number(value: float | None, decimal: str, thousands: str = "", missing: str = "") -> str:
    if value is None:
        return missing
    text = f"{value:,}" if thousands else repr(value)
    return text.replace(",", "\0").replace(".", decimal).replace("\0", thousands)


def write_csv(
    path: Path,
    *,
    encoding: str,
    separator: str,
    decimal: str = ".",
    thousands: str = "",
    form: str = "%Y-%m-%d",
    flags: tuple[str, str] = ("yes", "no"),
    missing: str = "",
    newline: str = "\n",
    quote_all: bool = False,
) -> Path:
    def cell(text: str) -> str:
        special = any(mark in text for mark in (separator, '"', "\n", "\r"))
        return '"' + text.replace('"', '""') + '"' if special or quote_all else text

    lines = [separator.join(cell(name) for name in NAMES)]
    for row in rows():
        cells = [
            row["rut"],
            row["fecha"].strftime(form),
            number(row["edad"], decimal, thousands, missing),
            number(row["renta"], decimal, thousands, missing),
            row["comuna"] or "",
            flags[0] if row["activo"] else flags[1],
            number(row["monto"], decimal, thousands),
            row["comentario"],
            row["abandona"],
        ]
        lines.append(separator.join(cell(text) for text in cells))
    path.write_bytes((newline.join(lines) + newline).encode(encoding))
    return path


def write_xlsx(path: Path) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(NAMES)
    for i, row in enumerate(rows()):
        values = dict(row)
        if values["edad"] is None and i % 2:
            values["edad"] = "s/i"
        sheet.append([values[name] for name in NAMES])
    book.save(path)
    return path


def write_parquet(path: Path) -> Path:
    pl.DataFrame(rows(), schema_overrides={"edad": pl.Int32}).write_parquet(path)
    return path


def write_sqlite(path: Path) -> Path:
    kinds = ["TEXT", "DATE", "INTEGER", "REAL", "TEXT", "BOOLEAN", "INTEGER", "TEXT", "TEXT"]
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(NAMES, kinds, strict=True))
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE clientes ({columns})")
        connection.executemany(
            f"INSERT INTO clientes VALUES ({', '.join('?' * len(NAMES))})",
            [[row[n].isoformat() if n == "fecha" else row[n] for n in NAMES] for row in rows()],
        )
    connection.close()
    return path


SPANISH: dict[str, Any] = {
    "decimal": ",",
    "thousands": ".",
    "form": "%d/%m/%Y",
    "flags": ("Si", "No"),
}

WRITERS: dict[str, Callable[[Path], Path]] = {
    "utf-8 comma": lambda f: write_csv(f / "c.csv", encoding="utf-8", separator=","),
    "utf-8-BOM semicolon, decimal comma": lambda f: write_csv(
        f / "c.csv", encoding="utf-8-sig", separator=";", decimal=",", missing="NA"
    ),
    "cp1252 semicolon, thousands point, dd/mm": lambda f: write_csv(
        f / "c.csv", encoding="cp1252", separator=";", newline="\r\n", missing="s/i", **SPANISH
    ),
    "latin-1 tab": lambda f: write_csv(
        f / "c.tsv", encoding="latin-1", separator="\t", missing="#N/A", flags=("SÍ", "NO")
    ),
    "pipe": lambda f: write_csv(
        f / "c.txt", encoding="utf-8", separator="|", missing="null", flags=("true", "false")
    ),
    "dd/mm/yyyy, thousands comma": lambda f: write_csv(
        f / "c.csv", encoding="utf-8", separator=";", form="%d/%m/%Y", thousands=",", missing="-"
    ),
    "all quoted, comma, Spanish numbers": lambda f: write_csv(
        f / "c.csv", encoding="utf-8", separator=",", quote_all=True, missing="N/A", **SPANISH
    ),
    "xlsx": lambda f: write_xlsx(f / "c.xlsx"),
    "parquet": lambda f: write_parquet(f / "c.parquet"),
    "sql": lambda f: write_sqlite(f / "c.db"),
}
