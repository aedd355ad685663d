"""One table in ten dialects is one table: same frame, same schema, same declaration."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from tests.unit.project.clients import WRITERS, rows

from timonel.project.project import load_project
from timonel.project.scaffold import InitReport, init_project
from timonel.project.sources import read_rows
from timonel.training.train import train


def initialised(name: str, folder: Path) -> InitReport:
    """Write the table in a dialect and make a project of it."""
    data = folder / "datos de Ñuñoa"
    data.mkdir()
    file = WRITERS[name](data)
    if file.suffix == ".db":
        return init_project(
            f"sqlite:///{file}", "abandona", folder / "p", query="select * from clientes"
        )
    return init_project(file, "abandona", folder / "p")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> InitReport:
    return initialised("parquet", tmp_path_factory.mktemp("reference"))


@pytest.mark.parametrize("name", WRITERS)
def test_a_dialect_gives_the_same_frame_and_schema(
    name: str, tmp_path: Path, reference: InitReport
) -> None:
    report = initialised(name, tmp_path)
    assert report.survey.inference.schema.digest() == reference.survey.inference.schema.digest()
    assert report.survey.frame.schema == reference.survey.frame.schema
    assert report.survey.frame.equals(reference.survey.frame)
    project = load_project(report.folder)
    project.check()
    model = project.models[report.model]
    assert read_rows(model.source).equals(reference.survey.frame)
    assert model.schema == reference.survey.inference.schema
    assert (model.task, model.positive, model.outcome.key, model.time) == (
        "binary",
        "Sí",
        "rut",
        "fecha",
    )


@pytest.fixture(scope="module")
def reference_hash(reference: InitReport) -> str:
    return version_hash(reference)


def version_hash(report: InitReport) -> str:
    project = load_project(report.folder)
    model = project.models[report.model]
    trained = train(
        model,
        project="demo",
        timezone="America/Santiago",
        rules=project.rules_source(model),
    )
    return trained.version_hash


@pytest.mark.parametrize(
    "name", ["cp1252 semicolon, thousands point, dd/mm", "latin-1 tab", "xlsx", "sql"]
)
def test_a_dialect_trains_to_the_same_version(
    name: str, tmp_path: Path, reference_hash: str
) -> None:
    assert version_hash(initialised(name, tmp_path)) == reference_hash


def test_the_frame_holds_the_truth(reference: InitReport) -> None:
    frame, truth = reference.survey.frame, rows()
    assert frame["edad"].to_list() == [row["edad"] for row in truth]
    assert frame["renta"].to_list() == [row["renta"] for row in truth]
    assert frame["monto"].dtype == pl.Int64
    assert frame["activo"].to_list() == [row["activo"] for row in truth]
    assert frame["fecha"].dt.date().to_list() == [row["fecha"] for row in truth]
    assert frame["abandona"].to_list() == [row["abandona"] for row in truth]
    assert frame["comentario"].to_list() == [row["comentario"] for row in truth]


def test_the_locale_and_zone_of_the_host_do_not_matter(
    tmp_path: Path, reference: InitReport
) -> None:
    file = WRITERS["cp1252 semicolon, thousands point, dd/mm"](tmp_path)
    script = (
        "import sys; from timonel.project.scaffold import init_project\n"
        "report = init_project(sys.argv[1], 'abandona', sys.argv[2], language='es')\n"
        "print(report.survey.inference.schema.digest())\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LC_")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(file), str(tmp_path / "p")],
        env=environment | {"TZ": "America/Santiago", "LANG": "C", "PYTHONUTF8": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == reference.survey.inference.schema.digest()
    project = load_project(tmp_path / "p")
    assert project.timezone == "America/Santiago"
    assert read_rows(project.models["c"].source).equals(reference.survey.frame)
