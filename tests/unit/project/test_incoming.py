from datetime import date
from pathlib import Path

import polars as pl
import pytest

from timonel.project.incoming import Manner, read_asked, read_truths
from timonel.project.reading.errors import AmbiguousDates, AmbiguousNumbers
from timonel.project.scaffold import source_for
from timonel.project.sources import Csv
from timonel.schema.features import Category, Number, Timestamp
from timonel.schema.schema import Schema

SCHEMA = Schema(Timestamp("alta"), Number("deuda"), Category("comuna", ["Ñuñoa"], unseen="accept"))
LEARNED = Csv(
    "clientes.csv", decimal=",", thousands=".", dates={"alta": "%d/%m/%Y", "baja": "%d/%m/%Y"}
).describe()


def file_of(folder: Path, text: str, encoding: str = "cp1252") -> Path:
    path = folder / "nuevos.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_what_one_row_leaves_open_is_read_as_the_training_data(tmp_path: Path) -> None:
    source = source_for(
        file_of(tmp_path, "rut;alta;deuda;comuna\r\n1-9;05/03/2024;10.824;Ñuñoa\r\n")
    )
    with pytest.raises(AmbiguousNumbers):
        read_asked(source, SCHEMA, ["rut"])
    with pytest.raises(AmbiguousDates):
        read_asked(source, SCHEMA, ["rut"], Manner(decimal=","))
    read = read_asked(source, SCHEMA, ["rut"], Manner(learned=LEARNED))
    assert read.frame["alta"].dt.date().to_list() == [date(2024, 3, 5)]
    assert read.frame.drop("alta").rows() == [(10824.0, "Ñuñoa", "1-9")]
    assert read[1:] == ("utf-8-sig", ";", ",")


def test_what_a_person_says_goes_before_what_was_learned(tmp_path: Path) -> None:
    source = source_for(file_of(tmp_path, "alta;deuda;comuna\n05/03/2024;10.824;Ñuñoa\n", "utf-8"))
    read = read_asked(
        source, SCHEMA, [], Manner(decimal=".", dates={"alta": "%m/%d/%Y"}, learned=LEARNED)
    )
    assert read.frame["alta"].dt.date().to_list() == [date(2024, 5, 3)]
    assert read.frame["deuda"].to_list() == [10.824]
    assert read.encoding == "utf-8"


def test_what_the_file_itself_says_goes_before_what_was_learned(tmp_path: Path) -> None:
    text = "alta,deuda,comuna\n2024-05-03,10.5,Ñuñoa\n2024-05-03,10.824,Ñuñoa\n"
    read = read_asked(source_for(file_of(tmp_path, text)), SCHEMA, [], Manner(learned=LEARNED))
    assert read.frame["deuda"].to_list() == [10.5, 10.824]
    assert read[2:] == (",", ".")


@pytest.mark.parametrize(
    ("moments", "kind"),
    [("05/03/2024;31/03/2024", pl.Date), ("31/03/2024 00:00;31/03/2024 18:30", pl.Datetime)],
)
def test_truths_told_by_day_are_of_a_day_and_not_of_its_midnight(
    tmp_path: Path, moments: str, kind: type[pl.DataType]
) -> None:
    lines = [f"1-9;Sí;{moment}" for moment in moments.split(";")]
    path = file_of(tmp_path, "\n".join(["rut;abandona;fecha", *lines]))
    read = read_truths(source_for(path), "abandona", "label", "fecha")
    assert isinstance(read.frame["fecha"].dtype, kind)
    assert read.frame.row(0)[:2] == ("1-9", "Sí")
    assert read.separator == ";"


def test_truths_of_an_open_date_are_refused_until_somebody_says_it(tmp_path: Path) -> None:
    source = source_for(file_of(tmp_path, "rut;monto;fecha\n1-9;10.824;05/03/2024\n"))
    with pytest.raises(AmbiguousDates, match="fecha"):
        read_truths(source, "monto", "number", "fecha", Manner(learned=LEARNED))
    manner = Manner(dates={"fecha": "%d/%m/%Y"}, learned=LEARNED)
    read = read_truths(source, "monto", "number", "fecha", manner)
    assert read.frame.rows() == [("1-9", 10824.0, date(2024, 3, 5))]
