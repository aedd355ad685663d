"""Experiments of an office by their templates, from its files to a report, by commands alone."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from timonel.app import open_app
from timonel.cli import main
from timonel.clock import AffineClock
from timonel.store.control import read_clock, set_clock

Run = Callable[..., Any]
TABLE = "edad,zona,sale\n" + "".join(f"{20 + i % 40},{'ab'[i % 2]},{i % 2}\n" for i in range(60))
COMMUNES = ("Ñuñoa", "Maipú", "Peñalolén")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("oficina")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("datos.csv").write_text(TABLE)
        patch.setattr("sys.argv", ["timonel", "init", "--from", "datos.csv", "--target", "sale"])
        with pytest.raises(SystemExit):
            main.main()
    app = open_app(folder / "datos")
    app.prepare()
    app.declare()
    app.engine.dispose()
    return folder / "datos"


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(project)

    def run(*words: str, lang: str = "en", code: int = 0) -> Any:
        monkeypatch.setenv("TIMONEL_LANGUAGE", lang)
        monkeypatch.setattr("sys.argv", ["timonel", "experiment", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.main()
        told = capsys.readouterr()
        assert (ended.value.code or 0) == code, told.out + told.err
        return json.loads(told.out) if "--json" in words else told.out + told.err

    return run


def save(name: str, rows: Sequence[Sequence[object]]) -> str:
    """Save a table as a spreadsheet in Chile does."""
    text = "\r\n".join(
        ";".join(
            f"{cell:.2f}".replace(".", ",") if isinstance(cell, float) else str(cell)
            for cell in row
        )
        for row in rows
    )
    Path(name).write_bytes((text + "\r\n").encode("cp1252"))
    return name


def arms_of(run: Run, name: str) -> dict[str, str]:
    run("units", name, "--out", f"{name}-arms.csv")
    lines = Path(f"{name}-arms.csv").read_text("utf-8-sig").split()[1:]
    return dict(line.split(",", 1) for line in lines)


def later(project: Path, days: float) -> None:
    """Move the project's event clock on."""
    app = open_app(project)
    now = read_clock(app.engine, app.name)
    moved = AffineClock(now.real_us, now.event_us + round(days * 86_400e6), now.rate)
    set_clock(app.engine, app.name, moved)
    app.engine.dispose()


def test_dynamic_prices_from_files_to_a_report(run: Run) -> None:
    draw = random.Random(8)
    spent = {f"c{i:04}": draw.lognormvariate(9.5, 0.8) for i in range(1600)}
    rows = [[u, v, COMMUNES[i % 3]] for i, (u, v) in enumerate(spent.items())]
    listed = save("clientes.csv", [("rut", "gasto_anterior", "comuna"), *rows])
    asked = ("prices", "--template", "dynamic-prices", "--units", listed, "--key-column", "rut")
    bare = run("create", *asked, lang="es", code=1)
    assert "covariate es -, se esperaba la columna de lo que cada cliente gastó antes" in bare
    rest = ("--block", "comuna", "--seed", "5", "--covariate", "gasto_anterior")
    run("create", *asked, *rest, "--hypothesis", "Precios por hora suben el ingreso")
    run("start", "prices")
    arms = arms_of(run, "prices")
    assert sum(arm == "treatment" for arm in arms.values()) == 800
    revenue = {
        unit: before * draw.uniform(0.9, 1.1) * (1.05 if arms[unit] == "treatment" else 1.0)
        for unit, before in spent.items()
    }
    revenue["c0000"] = 9e9
    told = [
        [unit, value, draw.randint(1, 5), "sí" if draw.random() < 0.1 else "no"]
        for unit, value in revenue.items()
    ]
    headings = ("rut", "revenue", "orders_count", "churned")
    assert "4800 values new" in run("record", "prices", "--file", save("r.csv", [headings, *told]))
    # a look spends a few seconds on counting under the cap; on a busy machine the next goes on
    looks = (run("look", "prices", "--json") for _ in range(10))
    look = next(look for look in looks if look["verdict"] != "CONTINUE")
    assert look["verdict"] == "PROMOTE"
    assert [one["role"] for one in look["metrics"]] == ["goal", "guardrail", "guardrail"]
    assert max(look["guardrails"].values()) < 100
    told_again = run("show", "prices", lang="es")
    assert "fechas    creado 20" in told_again
    assert ", terminado - (" in told_again
    assert "99,5 % de 800 valores del control" in told_again
    run("report", "prices", "--out", "reports/ab_tests", lang="es")
    page = Path("reports/ab_tests/prices.md").read_text("utf-8")
    assert "Precios por hora suben el ingreso" in page
    assert "Ajustado por gasto\\_anterior" in page
    assert "`churned` no puede subir más de 0" in page
    assert run("replay", "prices", "--json")["all_same"]


def test_a_churn_alert_is_judged_at_its_horizon_and_by_risk(run: Run, project: Path) -> None:
    draw = random.Random(3)
    risk = {f"r{i}": i / 2000 for i in range(2000)}
    listed = save(
        "riesgo.csv", [("unit_id", "riesgo"), *([u, f"{v:.4f}"] for u, v in risk.items())]
    )
    asked = ("alert", "--template", "churn-alert", "--units", listed, "--covariate", "riesgo")
    wrong = run("create", *asked, "--horizon", "45", code=1)
    assert "horizon is 45, expected 30, 60, 90" in wrong
    run("create", *asked, "--horizon", "60", "--seed", "2")
    run("start", "alert")
    arms = arms_of(run, "alert")
    churned = {
        unit: int(draw.random() < v * (0.4 if arms[unit] == "treatment" else 1.0))
        for unit, v in risk.items()
    }
    # whom nobody could reach has an outcome all the same, or none
    outcomes = save("salidas.csv", [("unit_id", "churned"), *list(churned.items())[:1990]])
    early = run("record", "alert", "--file", outcomes, lang="es", code=1)
    assert "son los del día 60" in early
    assert sum(arm["labelled"] for arm in run("look", "alert", "--json")["arms"]) == 0
    later(project, 60.1)
    run("record", "alert", "--file", outcomes)
    look = run("look", "alert", "--json")
    assert (look["verdict"], look["immature"]) == ("PROMOTE", 10)
    parts = look["parts"]
    assert [one["part"] for one in parts] == list(range(1, 11))
    assert sum(one["n_control"] + one["n_treatment"] for one in parts) == 1990
    top = parts[-1]
    mine = [unit for unit in churned if top["above"] < round(risk[unit], 4)][:-10]
    means = [fmean(churned[u] for u in mine if arms[u] == arm) for arm in ("control", "treatment")]
    assert top["effect"] == pytest.approx(means[1] - means[0], abs=1e-9)
    assert top["adjusted_p"] < 0.05 < parts[0]["adjusted_p"]
    assert "part  riesgo" in run("show", "alert")
    assert "## By what was known before" in run("report", "alert")
    assert run("replay", "alert", "--json")["all_same"]


def test_a_demand_forecast_switches_by_sku_and_week(run: Run) -> None:
    draw = random.Random(12)
    weeks = [(f"sku{s:02}-2026-W{w:02}", f"sku{s:02}") for s in range(40) for w in range(1, 21)]
    listed = save("semanas.csv", [("semana", "sku"), *weeks])
    asked = ("demand", "--template", "demand-forecast", "--units", listed, "--key-column", "semana")
    assert "block is -, expected the column of the SKU" in run("create", *asked, code=1)
    run("create", "by-cost", *asked[1:], "--block", "sku", "--metric", "cost")
    by_cost = run("show", "by-cost", "--json")["design"]
    assert (by_cost["secondary"], by_cost["higher_is_better"]) == (["stockout"], False)
    run("create", *asked, "--block", "sku", "--seed", "1")
    run("start", "demand")
    arms = arms_of(run, "demand")
    for sku in range(40):
        mine = [arm for unit, arm in arms.items() if unit.startswith(f"sku{sku:02}-")]
        assert (len(mine), mine.count("treatment")) == (20, 10)
    told: list[list[object]] = []
    for unit, arm in arms.items():
        out = draw.random() < (0.1 if arm == "treatment" else 0.35)
        told.append([unit, "Sí" if out else "No", draw.gauss(100, 10) + 50 * out])
    run(
        "record", "demand", "--file", save("semanales.csv", [("semana", "stockout", "cost"), *told])
    )
    look = run("look", "demand", "--json")
    assert look["verdict"] == "PROMOTE"
    cost = look["metrics"][1]
    assert (cost["metric"], cost["role"]) == ("cost", "secondary")
    assert cost["adjusted_p"] < 0.05
    broken = save("rota.csv", [("semana", "stockout"), ("sku00-2026-W01", "quizás")])
    assert "line 2" in run("record", "demand", "--file", broken, code=1)
    assert "dynamic-prices, churn-alert" in run("create", "x", "--template", "prices", code=1)
