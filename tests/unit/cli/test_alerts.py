import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from timonel.app import App, open_app
from timonel.cli import alerts
from timonel.signals import Condition, Kind, Severity, Signal
from timonel.testing.alerts import open_receiver

Run = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[App]:
    """A prepared project in which one column drifts."""
    (tmp_path / "timonel.toml").write_text(
        '[project]\nname = "harbour"\ntimezone = "America/Santiago"\nmodels = ["model"]\n', "utf-8"
    )
    app = open_app(tmp_path)
    app.prepare()
    app.alerts.take(
        Signal(
            kind=Kind.DRIFT_DETECTED,
            condition=Condition.HOLDS,
            severity=Severity.HIGH,
            model="churn",
            version="1.0.0",
            monitor="feature_drift",
            column="visits",
            at=app.clock.now_us() - 60_000_000,
            facts={"effect": 0.21, "n": 1200},
        )
    )
    yield app
    app.engine.dispose()


@pytest.fixture
def run(project: App, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `timonel alerts ...` in the project; gives the output, or the JSON of it."""
    cli = typer.Typer()
    alerts.register(cli)
    cli.command("other")(lambda: None)  # one command alone would have no name

    def run(*words: str, lang: str = "en", code: int = 0, **environment: str) -> Any:
        monkeypatch.setenv("TIMONEL_LANGUAGE", lang)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(cli, ["alerts", *words, "-C", str(project.folder)])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if "--json" in words else done.output

    return run


def test_listing(run: Run) -> None:
    assert "Drift in visits of churn" in run()
    assert "ALTA" in run("list", lang="es")
    (alert,) = run("--json")
    assert (alert["alert_id"], alert["state"]) == (1, "firing")
    assert alert["expected"]
    assert run("list", "--model", "demand") == "No alerts.\n"
    assert run("list", "--state", "resolved", lang="es") == "Sin alertas.\n"


def test_showing(run: Run) -> None:
    shown = run("show", "1", lang="es")
    assert "Alerta 1: Deriva en visits de churn  [ALTA, activa]" in shown
    assert "se vio" in shown
    assert "1. Pregunte a quien entrega visits" in shown
    assert "por sí sola" in shown
    assert run("show", "1", "--json")["history"][0]["to_state"] == "firing"
    assert "no alert of this number" in run("show", "9", code=1)


def test_deciding(run: Run) -> None:
    assert "is yours" in run("ack", "1", "--who", "ana", "--note", "on it")
    assert "changed by ana" in run("ack", "1", code=1)
    assert "until" in run("silence", "1", "--for", "24h")
    assert "acknowledged, silenced" in run("show", "1")
    assert "as a duration" in run("silence", "1", "--for", "soon", code=1)
    refused = run("resolve", "1", "--note", "x", "--revision", "1", "--json", code=1)
    assert refused["code"] == "alert_changed"
    assert "is resolved" in run("resolve", "1", "--note", "the feed is mended")
    assert run() == "No alerts.\n"
    assert "1 alerts fired in 7 days" in run("statistics")
    assert run("statistics", "--json")["by_kind"] == {"DRIFT_DETECTED": 1}


def test_a_channel_from_adding_to_removing(run: Run, project: App) -> None:
    assert "nobody is called" in run("channel", "list")
    with open_receiver() as receiver:
        added = run(
            "channel", "add", "ops", "--kind", "webhook", "--url-env", "OPS_URL",
            "--secret-env", "OPS_SECRET", "--min-severity", "high", "--language", "es",
        )  # fmt: skip
        assert "OPS_SECRET, OPS_URL" in added
        assert "OPS_URL is not set" in run("channel", "test", "ops", code=1)
        variables = {"OPS_URL": receiver.url, "OPS_SECRET": "s3cret"}
        assert "works; 0 messages wait" in run("channel", "test", "ops", **variables)
        assert project.deliver_alerts().n_delivered == 0
        heading = json.loads(receiver.received[0].body)["data"]["heading"]
        assert heading == "Prueba del canal ops"
        (listed,) = run("channel", "list", "--json")
        assert listed["options"] == {"secret_env": "OPS_SECRET", "url_env": "OPS_URL"}
        assert listed["min_severity"] == "HIGH"
        run("resolve", "1", "--note", "never told, so its end is not told")
        assert "removed; 0 messages" in run("channel", "remove", "ops")
        assert "the channels are none" in run("channel", "test", "ops", code=1)


def test_an_address_in_place_of_a_variable_is_refused_unrepeated(run: Run) -> None:
    words = ("channel", "add", "ops", "--kind", "slack", "--url-env", "https://hooks/T0KEN")
    refused = run(*words, code=1)
    assert "--url-env is not usable" in refused
    assert "T0KEN" not in refused
