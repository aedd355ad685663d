"""``timonel bench`` measures a real server and leaves no trace in the project's own log."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.e2e.test_processes import publish

from timonel.cli import main
from timonel.store.tables import predictions, spools
from timonel.testing.builders import PROJECT, open_registry


@pytest.fixture
def project(tmp_path: Path) -> Path:
    state = tmp_path / ".timonel"
    (state / "artifacts").mkdir(parents=True)
    (tmp_path / "timonel.toml").write_text(f'[project]\nname = "{PROJECT}"\n')
    with open_registry(f"sqlite:///{state / 'timonel.db'}") as (_, registry):
        publish(registry)
    return tmp_path


def bench(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> dict[str, object]:
    argv = ["timonel", "bench", "churn", "-C", str(project), "--json", *words]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit):
        main.main()
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_it_measures_and_leaves_no_trace(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = project / "rows.json"
    rows.write_text(json.dumps({"inputs": [{"visits": 1}, {"visits": 2}, {"visits": "many"}]}))
    found = bench(
        project, monkeypatch, capsys, *("--requests", "60", "--concurrency", "3"), f"--rows={rows}"
    )
    assert found["kinds"] == {"model": 40, "status 422": 20}
    assert (found["n"], found["failed"], found["rows"]) == (40, 20, 3)
    assert (found["model_rate"], found["rules_rate"]) == (1.0, 0.0)
    if sys.platform == "linux":
        assert found["cpu_us"] is not None
    url = f"sqlite:///{project / '.timonel' / 'timonel.db'}"
    with open_registry(url) as (engine, _), engine.connect() as connection:
        for table in (predictions, spools):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0
    assert not (project / ".timonel" / "spool").exists()


def test_a_running_server_is_not_asked_without_consent(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "http://127.0.0.1:1"
    refused = bench(project, monkeypatch, capsys, "--url", url)
    assert refused["code"] == "load_would_be_logged"
    away = bench(project, monkeypatch, capsys, "--url", url, "--logged")
    assert away["code"] == "server_unreachable"


def test_a_server_that_does_not_start_says_why(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = bench(project, monkeypatch, capsys, "--rows", str(project / "none.json"))
    assert unknown["code"] == "unreadable_request"
    shutil.rmtree(project / ".timonel")
    assert "timonel" in str(bench(project, monkeypatch, capsys)["remedy"])
