"""`timonel key`, and the first key of a server that others may reach."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from timonel.access.callers import digest_of
from timonel.cli.access import keys
from timonel.host import Host, open_host

Run = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Host]:
    (tmp_path / "timonel.toml").write_text('[project]\nname = "harbour"\ntimezone = "UTC"\n')
    host = open_host(tmp_path)
    host.prepare()
    yield host
    host.engine.dispose()


@pytest.fixture
def run(project: Host, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `timonel key ...` in the project; gives the output, or the JSON of it."""
    cli = typer.Typer()
    keys.register(cli)
    cli.command("other")(lambda: None)  # one command alone would have no name

    def run(*words: str, lang: str = "en", code: int = 0) -> Any:
        monkeypatch.setenv("TIMONEL_LANGUAGE", lang)
        done = CliRunner().invoke(cli, ["key", *words, "-C", str(project.folder)])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if "--json" in words else done.output

    return run


def test_a_key_is_shown_once(run: Run, project: Host) -> None:
    made = run("create", "app", "--scope", "predict", "--rate", "5/s", "--expires", "9d", "--json")
    assert (made["role"], made["scopes"], made["rate"]) == ("viewer", ["predict"], "5/s")
    assert project.keys.ring().keys() == {digest_of(made["key"].encode())}
    assert made["created_by"].count("@") == 1
    (listed,) = run("list", "--json")
    assert listed == {name: made[name] for name in listed}
    assert "key" not in listed
    said = run("create", "turno", "--role", "operator", "--who", "ana")
    assert "may: read, records, predict, outcomes, operate" in said
    assert "tml_" in said
    assert "tml_" not in run("list")


def test_a_revoked_key_stays_among_all(run: Run) -> None:
    assert "timonel key create" in run("list")
    run("create", "app")
    assert "revocada" in run("revoke", "app", "--who", "luis", lang="es")
    assert run("list", "--json") == []
    assert "revocada por luis" in run("list", "--all", lang="es")
    assert run("revoke", "ap", "--json", code=1)["code"] == "key_not_found"
    assert run("create", "app", "--json", code=1)["code"] == "key_exists"
    assert run("create", "b", "--scope", "operate", "--json", code=1)["code"] == "invalid_key"


def test_the_first_key_is_made_where_others_are_let_in(project: Host, tmp_path: Path) -> None:
    assert project.make_first_key(who="ana") is None  # loopback
    assert open_host(tmp_path, host="0.0.0.0").make_first_key(who="ana") is None  # not allowed
    remote = {"host": "0.0.0.0", "allow_remote": True}
    assert open_host(tmp_path, **remote, admin_key="x" * 32).make_first_key(who="ana") is None
    secret = open_host(tmp_path, **remote).make_first_key(who="ana")
    assert secret is not None
    assert open_host(tmp_path, **remote).make_first_key(who="ana") is None
    (first,) = project.keys.list()
    assert (first.name, str(first.key.caller.role)) == ("first-admin", "admin")
