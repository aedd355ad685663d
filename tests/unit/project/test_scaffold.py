"""`timonel init`: what it writes runs, refuses to overwrite, and keeps what was decided."""

import json
from pathlib import Path

import pytest
from tests.unit.project.clients import SPANISH, rut, write_csv

from timonel.errors import TimonelError
from timonel.project.project import load_project
from timonel.project.scaffold import FILES, InitReport, init_project, slug_of
from timonel.project.sources import Sql
from timonel.schema.inference_texts import TEXTS


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InitReport:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "Pérdida de clientes.csv"
    write_csv(file, encoding="cp1252", separator=";", **SPANISH)
    return init_project(
        "Pérdida de clientes.csv", "abandona", language="es", timezone="America/Santiago"
    )


def test_the_project_is_whole_and_explicit(report: InitReport) -> None:
    assert report.folder.name == report.model == "perdida-de-clientes"
    assert sorted(p.name for p in report.folder.iterdir()) == sorted(FILES)
    text = (report.folder / "model.py").read_text("utf-8")
    for said in (
        '"../Pérdida de clientes.csv"',
        'encoding="cp1252"',
        'separator=";"',
        'decimal=","',
        'thousands="."',
        '"fecha": "%d/%m/%Y"',
        'Outcome(key="rut"',
        'positive="Sí"',
        'time="fecha"',
    ):
        assert said in text
    assert "12.345" not in text, "no personal data in the declaration"
    assert max(len(line) for line in text.splitlines()) <= 100
    assert (report.folder / "timonel.init.txt").read_text("utf-8") == report.render("es")
    loaded = load_project(report.folder)
    loaded.check()
    assert (loaded.timezone, loaded.language) == ("America/Santiago", "es")


def test_the_sample_request_fits_and_names_no_person(report: InitReport) -> None:
    sample = json.loads((report.folder / "sample_request.json").read_text("utf-8"))
    names = set(report.survey.inference.schema.names)
    assert set(sample["inputs"]) == names | {"rut"}
    assert sample["inputs"]["rut"] == "EXAMPLE-1"


def test_the_example_rule_runs_once_uncommented(report: InitReport) -> None:
    text = (report.folder / "rules.py").read_text("utf-8")
    before, example = text.split("# def example", 1)
    code = before + "\n".join(
        line.removeprefix("# ") for line in ("# def example" + example).split("\n")
    )
    space: dict[str, object] = {}
    exec(code, space)
    rule = space["example"]
    assert callable(rule)
    for row in report.survey.frame.head(50).iter_rows(named=True):
        answer = rule(row)
        assert answer.prediction in ("Sí", "No")
        assert 0 <= answer.score <= 1


def test_large_numbers_are_written_out(tmp_path: Path) -> None:
    rows = "\n".join(f"{1_000_000 + 12_345 * n},{n % 2}" for n in range(100))
    (tmp_path / "sales.csv").write_text(f"revenue,won\n{rows}\n", "utf-8")
    report = init_project(str(tmp_path / "sales.csv"), "won", folder=tmp_path / "sales")
    model = (report.folder / "model.py").read_text("utf-8")
    for text in (model, report.render("es")):
        assert "2222155" in text
        assert "e+06" not in text


def test_it_overwrites_nothing(report: InitReport) -> None:
    before = {p.name: p.read_bytes() for p in report.folder.iterdir()}
    with pytest.raises(TimonelError) as caught:
        init_project("Pérdida de clientes.csv", "abandona")
    assert caught.value.code == "project_exists"
    assert {p.name: p.read_bytes() for p in report.folder.iterdir()} == before


def test_a_fault_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    for target, code in (("c", "unknown_column"), ("a", "no_inputs")):
        with pytest.raises(TimonelError) as caught:
            init_project("t.csv", target, exclude=["b"])
        assert caught.value.code == code
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(TimonelError) as caught:
        init_project("t.json", "a")
    assert caught.value.code == "unsupported_source"
    with pytest.raises(TimonelError) as caught:
        init_project("t.csv", "a", timezone="Santiago", keep=["b"])
    assert caught.value.code == "invalid_config"
    assert not (tmp_path / "t").exists()


def test_options_settle_what_evidence_cannot(tmp_path: Path) -> None:
    lines = [
        f"0{1 + i % 9}/0{1 + i % 7}/2024;{1 + i % 5}.{100 + i};{i % 2};x{i % 3}" for i in range(60)
    ]
    (tmp_path / "t.csv").write_text("f;m;y;c\n" + "\n".join(lines) + "\n")
    with pytest.raises(TimonelError) as caught:
        init_project(tmp_path / "t.csv", "y", tmp_path / "p")
    assert caught.value.code == "ambiguous_numbers"
    with pytest.raises(TimonelError) as caught:
        init_project(tmp_path / "t.csv", "y", tmp_path / "p", decimal=",")
    assert caught.value.code == "ambiguous_dates"
    made = init_project(
        tmp_path / "t.csv", "y", tmp_path / "p", decimal=",", date_formats={"f": "%d/%m/%Y"}
    )
    assert load_project(made.folder).models["t"].positive == 1
    excluded = init_project(
        tmp_path / "t.csv", "y", tmp_path / "q", decimal=".", exclude=["f"], kinds={"c": "text"}
    )
    assert "f" not in excluded.survey.inference.schema.names


def test_a_password_never_reaches_the_project(tmp_path: Path, postgres_database: str) -> None:
    import sqlalchemy as sa

    url = postgres_database.replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("create table ventas (rut text, edad int, compra boolean)"))
        connection.execute(
            sa.text("insert into ventas values (:rut, :edad, :compra)"),
            [
                {"rut": rut(9_000_000 + 7 * i), "edad": 20 + i % 50, "compra": i % 3 == 0}
                for i in range(80)
            ],
        )
    engine.dispose()
    secret = sa.make_url(postgres_database).set(password="secreta")
    shown = secret.render_as_string(hide_password=False)
    made = init_project(shown, "compra", tmp_path / "p", query="select * from ventas")
    assert made.model == "ventas"
    for file in made.folder.iterdir():
        assert "secreta" not in file.read_text("utf-8")
    source = load_project(made.folder).models["ventas"].source
    assert isinstance(source, Sql)
    assert source.url == "env:TIMONEL_SOURCE_URL"
    assert made.survey.frame["compra"].unique().sort().to_list() == [0, 1]


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Pérdida de clientes", "perdida-de-clientes"),
        ("2024 ventas", "m-2024-ventas"),
        ("Ñuñoa_1", "nunoa_1"),
        ("客户", "model"),
        ("x" * 90, "x" * 50),
    ],
)
def test_names_are_made_of_file_names(text: str, slug: str) -> None:
    assert slug_of(text) == slug


def test_sentences_have_both_languages_and_equal_fields() -> None:
    import string

    for code, texts in TEXTS.items():
        fields = [
            {name for _, name, _, _ in string.Formatter().parse(texts[lang]) if name}
            for lang in ("en", "es")
        ]
        assert fields[0] == fields[1], code
