"""Corrupt and doubtful tables: an error that names line, column, found, expected and a remedy."""

from datetime import time, timedelta
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import polars as pl
import pytest

from timonel.errors import ProjectFault
from timonel.project.reading.errors import AmbiguousDates, AmbiguousNumbers, BadCell, MixedDates
from timonel.project.sources import Csv, Excel, Parquet, Sql, read_rows
from timonel.schema.features import Category, Flag, Number
from timonel.schema.schema import Schema

GOOD = "a;b\n" + "\n".join(f"{i};{i},5" for i in range(30)) + "\n"


def fault_of(data: bytes, folder: Path, name: str = "t.csv", **options: Any) -> ProjectFault:
    path = folder / name
    path.write_bytes(data)
    kinds: dict[str, Any] = {".csv": Csv, ".xlsx": Excel, ".parquet": Parquet}
    source = kinds[path.suffix](path, **options)
    with pytest.raises(ProjectFault) as caught:
        source.read()
    error = caught.value
    for lang in ("en", "es"):
        assert error.message(lang)
        assert error.remedy(lang)
    return error


@pytest.mark.parametrize(
    ("data", "code", "facts"),
    [
        (b"", "empty_table", {}),
        (b"\n\n", "empty_table", {}),
        (b"a;b\n", "empty_table", {"n_lines": 1}),
        (b"a;b\n1;2\n1;2;3\n", "ragged_row", {"line": 3, "found": 3, "expected": 2}),
        (b"a;b;c\n1;2;3\n4;5", "ragged_row", {"line": 3, "found": 2, "column": "b"}),
        (b'a;b\n1;"x\ny"\n3\n', "ragged_row", {"line": 4, "found": 1}),
        (b"a;b\n1;\x002\n", "nul_byte", {"line": 2, "column": 3}),
        (b'a;b\n1;2\n3;"cut of', "broken_quotes", {"line": 3, "column": "b"}),
        (b'a;b\n1;"x"y\n3;4\n', "broken_quotes", {"line": 2, "column": "b"}),
        (b"a;b;a\n1;2;3\n", "duplicate_columns", {"line": 1, "column": "a", "positions": "1, 3"}),
        (b"a:b:c\n1:2:3\n", "one_column", {"line": 1}),
        (b"a;b\n1;" + b"x" * 10**6 + b"\n", "huge_cell", {"line": 2, "column": "b"}),
        (
            "a;ñ\n1;Ñuñoa\n2;ñandú\n".encode() + b"3;\xf1and\xc3\xba\n",
            "wrong_encoding",
            {"line": 4},
        ),
        ("a;b\n1;ñ\n2;ñ".encode()[:-1], "wrong_encoding", {"line": 3}),
        (b"a;b\n1;\x81\x8d\n", "wrong_encoding", {"line": 2}),
    ],
)
def test_a_corrupt_csv_is_refused_with_its_place(
    data: bytes, code: str, facts: dict[str, object], tmp_path: Path
) -> None:
    error = fault_of(data, tmp_path)
    assert error.code == code
    assert {name: error.context[name] for name in facts} == facts


def test_a_wrong_separator_names_the_likely_one(tmp_path: Path) -> None:
    error = fault_of(GOOD.encode(), tmp_path, separator="|")
    assert error.code == "one_column"
    assert "';'" in error.message("es")


@pytest.mark.parametrize("name", ["t.xlsx", "t.parquet"])
@pytest.mark.parametrize("data", [b"", b"not that", b"PK\x03\x04half", b"PAR1half"])
def test_a_damaged_file_is_refused(name: str, data: bytes, tmp_path: Path) -> None:
    assert fault_of(data, tmp_path, name).code == "unreadable_file"


def test_a_missing_file_names_one_alike(tmp_path: Path) -> None:
    (tmp_path / "clientes.csv").write_text(GOOD)
    with pytest.raises(ProjectFault) as caught:
        Csv(tmp_path / "cliente.csv").read()
    assert caught.value.code == "missing_file"
    assert "clientes.csv" in caught.value.message("es")


def test_a_stray_word_among_numbers_names_its_line(tmp_path: Path) -> None:
    cells = [str(i) for i in range(60)]
    cells[41] = "quince"
    error = fault_of(("n;x\n" + "".join(f"{c};a\n" for c in cells)).encode(), tmp_path)
    assert isinstance(error, BadCell)
    assert (error.context["line"], error.context["column"]) == (43, "n")
    assert "quince" in error.message("es")
    assert "--kind n=text" in error.remedy("en")
    path = tmp_path / "t.csv"
    assert Csv(path, missing=("quince",)).read()["n"].null_count() == 1
    assert Csv(path, columns={"n": "text"}).read()["n"][41] == "quince"


def test_an_explicit_kind_is_held_to(tmp_path: Path) -> None:
    error = fault_of(b"n;x\n1;a\ndos;b\n", tmp_path, columns={"n": "number", "x": "text"})
    assert (error.code, error.context["line"], error.context["found"]) == ("bad_cell", 3, "dos")


@pytest.mark.parametrize(
    ("option", "value"),
    [("separator", ";;"), ("encoding", "utf-99"), ("decimal", "x"), ("thousands", "..")],
)
def test_an_impossible_dialect_is_refused(option: str, value: str, tmp_path: Path) -> None:
    error = fault_of(GOOD.encode(), tmp_path, **{option: value})
    assert (error.code, error.context["option"]) == ("invalid_dialect", option)


def test_an_unknown_kind_lists_the_kinds(tmp_path: Path) -> None:
    error = fault_of(GOOD.encode(), tmp_path, columns={"a": "numbr"})
    assert error.code == "unknown_kind"
    assert "number" in error.message("es")


def test_nested_and_odd_columns_of_parquet_are_read(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "lista": [[1, 2], None],
            "campo": [{"a": 1}, {"a": 2}],
            "dura": [timedelta(seconds=90), None],
            "hora": [time(10, 30), time(11)],
            "bytes": [b"x", b"y"],
            "nada": [None, None],
            "real": pl.Series([0.1, float("nan")], dtype=pl.Float32),
            "clase": pl.Series(["a", "b"], dtype=pl.Categorical),
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    read = Parquet(tmp_path / "t.parquet").read()
    assert read["dura"].to_list() == [90, None]
    assert read["real"].to_list() == [0.1, None]
    assert read["clase"].to_list() == ["a", "b"]
    assert read["nada"].dtype == read["lista"].dtype == pl.String


# --- dates


def dates_file(folder: Path, *columns: list[str]) -> Path:
    names = ["fecha", "otra"][: len(columns)]
    lines = [";".join([*names, "x"])]
    lines += [";".join([*cells, "1"]) for cells in zip(*columns, strict=True)]
    path = folder / "d.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_ambiguous_date_is_refused_with_the_option(tmp_path: Path) -> None:
    path = dates_file(tmp_path, ["01/02/2024", "03/04/2024", "11/12/2024"])
    with pytest.raises(AmbiguousDates) as caught:
        Csv(path).read()
    assert "--date-format fecha=%d/%m/%Y" in caught.value.remedy("es")
    frame = Csv(path, dates={"fecha": "%d/%m/%Y"}).read()
    assert str(frame["fecha"][0]) == "2024-02-01 00:00:00"


def test_evidence_elsewhere_in_the_file_settles_a_date_and_says_so(tmp_path: Path) -> None:
    path = dates_file(tmp_path, ["01/02/2024", "03/04/2024"], ["25/02/2024", "28/04/2024"])
    settled = Csv(path).settle()
    assert [(note.column, note.code) for note in settled.notes] == [("fecha", "date_settled")]
    assert settled.source.dates["fecha"] == "%d/%m/%Y"
    assert settled.frame["fecha"].dt.month().to_list() == [2, 4]


def test_contradicting_evidence_elsewhere_settles_nothing(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("a;b;c\n01/02/2024;25/02/2024;02/25/2024\n03/04/2024;26/04/2024;04/26/2024\n")
    with pytest.raises(AmbiguousDates):
        Csv(path).read()


def test_day_first_and_month_first_in_one_column_is_refused(tmp_path: Path) -> None:
    path = dates_file(tmp_path, ["13/02/2024", "02/14/2024", "01/01/2024"])
    with pytest.raises(MixedDates) as caught:
        Csv(path).read()
    assert (caught.value.context["line"], caught.value.context["other_line"]) == (2, 3)


def test_years_of_two_digits_are_refused_until_said(tmp_path: Path) -> None:
    path = dates_file(tmp_path, ["25/12/24", "13/02/24"])
    with pytest.raises(AmbiguousDates):
        Csv(path).read()
    assert Csv(path, dates={"fecha": "%d/%m/%y"}).read()["fecha"].dt.year().to_list() == [2024] * 2


def test_times_of_day_offsets_and_halves_are_read(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(
        "a;b;c\n"
        "2024-03-01T10:20:30.5Z;13/02/2024 3:05 p. m.;2024-03-01 10:20\n"
        "2024-03-01 10:20:30-03:00;14/02/2024 12:00:01 a. m.;2024-03-01\n"
    )
    frame = Csv(path).read()
    assert frame["a"].dtype == pl.Datetime("us", "UTC")
    assert [str(moment) for moment in frame["a"]] == [
        "2024-03-01 10:20:30.500000+00:00",
        "2024-03-01 13:20:30+00:00",
    ]
    assert [str(moment) for moment in frame["b"]] == ["2024-02-13 15:05:00", "2024-02-14 00:00:01"]
    assert frame["c"].dt.hour().to_list() == [10, 0]


def test_a_day_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = dates_file(tmp_path, ["31/02/2024", "13/03/2024"])
    with pytest.raises(BadCell) as caught:
        Csv(path).read()
    assert caught.value.context["line"] == 2


# --- numbers


def test_thousands_or_decimals_is_refused_unless_the_file_settles_it(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text("monto;x\n1.234;a\n5.678;b\n")
    with pytest.raises(AmbiguousNumbers) as caught:
        Csv(path).read()
    assert "--decimal" in caught.value.remedy("es")
    assert Csv(path, decimal=",").read()["monto"].to_list() == [1234, 5678]
    assert Csv(path, decimal=".").read()["monto"].to_list() == [1.234, 5.678]
    assert Csv(path, thousands=".").read()["monto"].to_list() == [1234, 5678]
    path.write_text("monto;x\n1.234;0,5\n5.678;0,7\n")
    settled = Csv(path).settle()
    assert settled.frame["monto"].to_list() == [1234, 5678]
    assert [note.code for note in settled.notes] == ["decimal_settled"]


def test_a_column_may_have_its_own_decimal_mark(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text("lat;renta;m2\n-33.4512;1.500,5;40,5\n-33.9;900,25;38,0\n")
    settled = Csv(path).settle()
    assert settled.frame["lat"].to_list() == [-33.4512, -33.9]
    assert settled.frame["renta"].to_list() == [1500.5, 900.25]
    assert settled.source.decimals == {"lat": "."}
    assert settled.source.read().equals(settled.frame)


def test_money_per_cent_and_spaces_are_numbers_and_codes_are_not(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text(
        "precio;tasa;total;codigo;celular\n"
        "$ 1.500.000;12,5%;1 234,5;0071;+56912345678\n"
        "-$ 2.000;3,25%;999,25;0102;+56987654321\n",
        encoding="utf-8",
    )
    frame = Csv(path).read()
    assert frame["precio"].to_list() == [1_500_000, -2000]
    assert frame["tasa"].to_list() == [0.125, 0.0325]
    assert frame["total"].to_list() == [1234.5, 999.25]
    assert frame["codigo"].to_list() == ["0071", "0102"]
    assert frame["celular"].dtype == pl.String


# --- other sources


def _given(made: object) -> object:
    return made


def test_a_callable_may_give_many_things() -> None:
    truth = [{"a": 1, "b": "yes"}, {"a": None, "b": "no"}]
    schema = Schema(Number("a", required=False), Flag("b"))
    words = Schema(Number("a", required=False), Category("b", ["yes", "no"]))
    pandas = pytest.importorskip("pandas")
    for made in (truth, pl.DataFrame(truth), pl.LazyFrame(truth), pandas.DataFrame(truth)):
        frame = read_rows(partial(_given, made))
        assert frame["a"].to_list() == [1, None]
        assert frame["b"].to_list() == ["yes", "no"]
        assert read_rows(partial(_given, made), schema)["b"].to_list() == [True, False]
        assert read_rows(partial(_given, made), words)["b"].to_list() == ["yes", "no"]


def test_a_callable_that_fails_names_its_line() -> None:
    def broken() -> object:
        empty: dict[str, object] = {}
        return empty["renta"]

    with pytest.raises(ProjectFault) as caught:
        read_rows(broken)
    assert caught.value.code == "failed_source"
    assert caught.value.context["file"] == __file__
    with pytest.raises(ProjectFault) as caught:
        read_rows(lambda: 3)
    assert caught.value.code == "unsupported_source"


def test_sql_faults_never_show_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProjectFault) as caught:
        Sql("select 1", "postgresql://ana:secreta@127.0.0.1:1/x").read()
    assert caught.value.code == "unreadable_query"
    assert "secreta" not in str(caught.value)
    assert "secreta" not in str(Sql("select 1", "postgresql://ana:secreta@h/x").describe())
    with pytest.raises(ProjectFault) as caught:
        Sql("select * from nada", f"sqlite:///{tmp_path}/no.db").read()
    assert caught.value.code == "missing_file"
    (tmp_path / "yes.db").touch()
    with pytest.raises(ProjectFault) as caught:
        Sql("select * from nada", f"sqlite:///{tmp_path}/yes.db").read()
    assert "nada" in caught.value.message()
    monkeypatch.delenv("VENTAS_URL", raising=False)
    assert [p.code for p in Sql("select 1", "env:VENTAS_URL").problems()] == ["missing_variable"]
    monkeypatch.setenv("VENTAS_URL", "sqlite://")
    assert Sql("select 1 as a, '10:30' as b", "env:VENTAS_URL").read().to_dicts() == [
        {"a": 1, "b": "10:30"}
    ]


def test_postgresql_gives_the_types_it_has(postgres_database: str) -> None:
    query = (
        "select 1::int as a, 2.5::numeric as b, 'x' as c, true as d, date '2024-03-01' as e, "
        "timestamptz '2024-03-01 12:00:00+00' as f union all select 2, null, 'y', false, null, null"
    )
    frame = Sql(query, postgres_database).read().sort("a")
    assert frame.dtypes == [
        pl.Int64,
        pl.Float64,
        pl.String,
        pl.Boolean,
        pl.Datetime("us"),
        pl.Datetime("us", "UTC"),
    ]


def test_four_megabytes_take_under_two_seconds(tmp_path: Path) -> None:
    line = "{0};1.234.567,5;13/02/2024;Ñuñoa;Sí;texto de {0} palabras sueltas;{0},25\n"
    text = "id;renta;fecha;comuna;activo;nota;x\n" + "".join(line.format(i) for i in range(60_000))
    (tmp_path / "g.csv").write_bytes(text.encode("cp1252"))
    begun = process_time()
    frame = Csv(tmp_path / "g.csv").read()
    assert frame.shape == (60_000, 7)
    assert process_time() - begun < 20
