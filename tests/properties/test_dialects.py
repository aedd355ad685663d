"""A table written in any dialect is read back identical."""

import csv
import io
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from timonel.errors import ProjectFault
from timonel.project.sources import Csv

WORDS = st.text(
    st.characters(
        codec="cp1252", exclude_categories=["Cc", "Zs", "Nd", "Cf"], exclude_characters=".,+-%$€£"
    ),
    min_size=2,
    max_size=8,
).filter(lambda word: word[0].isalpha())
ROW = st.tuples(
    st.none() | st.integers(-(10**12), 10**12),
    st.none() | st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: round(x, 4)),
    st.datetimes(datetime.fromisoformat("1950-01-01"), datetime.fromisoformat("2049-12-31")).map(
        lambda moment: moment.replace(microsecond=0)
    ),
    st.none() | st.booleans(),
    st.lists(WORDS | st.sampled_from([";", ",", '"', "\n", "|", "\t"]), min_size=3, max_size=6),
)
DIALECT = st.fixed_dictionaries(
    {
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
        "separator": st.sampled_from([",", ";", "\t", "|"]),
        "decimal": st.sampled_from([",", "."]),
        "grouped": st.booleans(),
        "form": st.sampled_from(["%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S"]),
        "flags": st.sampled_from([("Sí", "No"), ("si", "no"), ("yes", "no"), ("TRUE", "FALSE")]),
        "missing": st.sampled_from(["", "NA", "N/A", "-", "null", "#N/A", "s/i"]),
        "newline": st.sampled_from(["\n", "\r\n"]),
    }
)


def number(value: float | None, dialect: dict[str, Any]) -> str:
    if value is None:
        return str(dialect["missing"])
    text = f"{value:,}" if dialect["grouped"] else f"{value}"
    if "e" in text:
        text = f"{value:,.10f}" if dialect["grouped"] else f"{value:.10f}"
    swap = {",": ".", ".": ","} if dialect["decimal"] == "," else {}
    return "".join(str(swap.get(mark, mark)) for mark in text)


def written(rows: list[Any], dialect: dict[str, Any]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=dialect["separator"], lineterminator=dialect["newline"])
    writer.writerow(["entero", "número", "fecha", "activo", "texto"])
    yes, no = dialect["flags"]
    for whole, real, moment, flag, text in rows:
        writer.writerow(
            [
                number(whole, dialect),
                number(real, dialect),
                moment.strftime(dialect["form"]),
                dialect["missing"] if flag is None else (yes if flag else no),
                " ".join(text).strip(),
            ]
        )
    return out.getvalue().encode(dialect["encoding"])


# These rows settle every kind, so that the rest may be anything.
SURE = [
    (1, 1.5, datetime.fromisoformat("2024-01-31"), True, ["un", "texto", "cualquiera"]),
    (None, -0.25, datetime.fromisoformat("2024-12-31 23:59:59"), False, ["otro", "texto", "más"]),
]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ROW, max_size=12), dialect=DIALECT)
def test_a_table_is_read_back_identical(rows: list[Any], dialect: dict[str, Any]) -> None:
    rows = [*SURE, *rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(written(rows, dialect))
        settled = Csv(path).settle()
        again = settled.source.read()
    frame = settled.frame
    assert again.equals(frame), "what was settled reads the same"
    assert frame["entero"].to_list() == [row[0] for row in rows]
    assert frame["número"].to_list() == [row[1] for row in rows]
    assert frame["fecha"].to_list() == [row[2] for row in rows]
    assert frame["activo"].to_list() == [row[3] for row in rows]
    truth = pl.Series([" ".join(row[4]).strip() for row in rows]).str.normalize("NFC")
    # A text of which nothing is left, once blanks are cut, is missing.
    assert frame["texto"].to_list() == [text or None for text in truth]


@settings(max_examples=150, deadline=None)
@given(
    data=st.binary(max_size=200)
    | st.text(st.sampled_from('ab1,;"\n\r\t|.-/ ñ\0'), max_size=120).map(str.encode)
)
def test_any_bytes_are_read_or_refused_with_a_remedy(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(data)
        try:
            n_rows = Csv(path).read().height
        except ProjectFault as fault:
            n_rows = len(fault.remedy("es"))
        assert n_rows > 0
