"""What the project records, over HTTP, by command, and as it is scraped."""

import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.http import world
from tests.http.conftest import client_of
from tests.unit.monitoring.test_recorded import frame_of
from typer.testing import CliRunner

from timonel.cli.main import app as command
from timonel.serving.processes.exposing import Exposing
from timonel.store.control import ensure_project
from timonel.store.migrate import upgrade
from timonel.testing.events import PROJECT, Bench

NAME = "translation_latency_ms"


class Harbour(world.LocalApp):
    """An app on the project that ``Bench`` drains for."""

    @property
    def name(self) -> str:
        return PROJECT


@pytest.fixture
def app(tmp_path: Path) -> Harbour:
    app = Harbour(f"sqlite:///{tmp_path / 'timonel.db'}")
    upgrade(app.engine)
    ensure_project(app.engine, PROJECT, "America/Santiago")
    bench = Bench(app.engine, tmp_path / "spool")
    minute = app.clock.now_us() // 60_000_000
    bench.write(frame_of(minute, [10.0, 20.0, 30.5]), frame_of(minute - 70, [500.0]))
    bench.drainer(name="here-0").drain_once()
    bench.write(frame_of(minute, [0.0005, 40.0]))
    bench.drainer(name="here-1").drain_once()
    bench.write(frame_of(minute, [7.0]))
    bench.drainer(name="elsewhere-0").drain_once()
    return app


async def test_the_routes_give_the_last_hour(app: Harbour) -> None:
    async with client_of(app) as client:
        document = (await client.get("/v1/metrics")).json()
        assert document == (await client.get(f"/v1/metrics/{NAME}")).json()
        unknown = await client.get("/v1/metrics/latency", headers={"accept-language": "es"})
    (one,) = document["metrics"]
    assert (one["n"], one["min"], one["max"]) == (6, 0.0005, 40.0)
    assert one["mean"] == pytest.approx(107.5005 / 6)
    assert one["state"] is None
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_metric")
    assert NAME in unknown.json()["detail"]


def test_the_command_shows_it(app: Harbour, tmp_path: Path) -> None:
    (tmp_path / "timonel.toml").write_text(
        f'[project]\nname = "{PROJECT}"\n[settings]\ndatabase_url = "{app.database_url}"\n'
    )
    run = CliRunner(env={"TIMONEL_LANGUAGE": "es"}).invoke
    shown = run(command, ["metrics", "-C", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert f'{NAME}{{lang="es"}}' in shown.stdout
    assert "17,92" in shown.stdout
    given = run(command, ["metrics", NAME, "--json", "-C", str(tmp_path)])
    assert json.loads(given.stdout)["metrics"][0]["p50"] == pytest.approx(10.0, rel=0.03)
    missing = run(command, ["metrics", "none", "--json", "-C", str(tmp_path)])
    assert (missing.exit_code, json.loads(missing.stdout)["code"]) == (1, "unknown_metric")


def test_a_host_exposes_what_its_drainers_have_committed(app: Harbour, tmp_path: Path) -> None:
    file = tmp_path / "host.prom"
    Exposing(app.engine, PROJECT, "here", [], file, list).look()
    families = {family.name: family for family in text_string_to_metric_families(file.read_text())}
    family = families[f"timonel_metric_{NAME}"]
    assert family.type == "histogram"
    samples = {
        (s.name.removeprefix(family.name), s.labels.get("le")): s.value for s in family.samples
    }
    assert samples["_count", None] == 6
    assert samples["_sum", None] == pytest.approx(600.5005)
    assert [samples["_bucket", le] for le in ("0.001", "10", "20", "50", "500", "+Inf")] == [
        *(1, 2, 3, 5, 6, 6)
    ]
    assert {s.labels["lang"] for s in family.samples} == {"es"}
