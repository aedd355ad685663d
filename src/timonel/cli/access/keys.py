"""Commands on keys: who may ask the server, and what."""

from time import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timonel.access.callers import Rate, Role, Scope
from timonel.cli.options import HERE, Folder, Json, Who
from timonel.cli.output import explained, out_json, say, table, text

if TYPE_CHECKING:
    from timonel.access.book import StoredKeyState
    from timonel.host import Host

Name = Annotated[str, typer.Argument(help="Name of the key, as histories show it.")]
AsRole = Annotated[Role, typer.Option(help="What its holder is.")]
Scopes = Annotated[
    list[Scope] | None,
    typer.Option("--scope", help="The only thing it may do; repeatable. None: all its role may."),
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="The only model it is for; repeatable. None: all."),
]
Expires = Annotated[str | None, typer.Option(help="After how long: 90d, 12h. None: never.")]
OfRate = Annotated[
    str | None, typer.Option("--rate", help="Most requests on each host: 100/s, 600/min, 5000/h.")
]
OfAll = Annotated[bool, typer.Option("--all", help="Expired and revoked ones too.")]


def register(app: typer.Typer) -> None:
    """Add ``timonel key`` with its commands."""
    group = typer.Typer(no_args_is_help=True, help="Keys: who may ask the server, and what.")
    for name, command in (("create", create), ("list", list_keys), ("revoke", revoke)):
        group.command(name)(command)
    app.add_typer(group, name="key")


def _opened(folder: Any) -> "Host":
    from timonel.host import open_host

    app = open_host(folder)
    app.require_prepared()
    return app


def create(
    name: Name,
    role: AsRole = Role.VIEWER,
    scope: Scopes = None,
    model: Models = None,
    expires: Expires = None,
    rate: OfRate = None,
    folder: Folder = HERE,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Make a key and show it, once; running servers know it within a second."""
    with explained(as_json):
        from timonel.access.book import Wish, read_lifetime
        from timonel.host import host_name

        wish = Wish(
            name=name,
            role=role,
            scopes=tuple(scope or ()),
            models=tuple(model or ()),
            expires_in_s=None if expires is None else read_lifetime(expires),
            rate=None if rate is None else Rate.parse(rate),
        )
        app = _opened(folder)
        made, secret = app.keys.create(wish, who=who or host_name())
        document = made.document(time())
        if as_json:
            out_json(document | {"key": secret, "reload": _reload(app)})
            return
        scopes = ", ".join(document["scopes"])
        say("key_created", name=name, role=document["role"], scopes=scopes, secret=secret)
        _tell_reload(app)


def list_keys(of_all: OfAll = False, folder: Folder = HERE, as_json: Json = False) -> None:
    """List keys: what each may, who made it, and when it was used last."""
    with explained(as_json):
        found = _opened(folder).keys.list(all_of_them=of_all)
        now = time()
        if as_json:
            out_json([key.document(now) for key in found])
        elif not found:
            say("no_keys")
        else:
            table(text("keys_headings").split("|"), [_row(key, now) for key in found])


def revoke(name: Name, folder: Folder = HERE, who: Who = None, as_json: Json = False) -> None:
    """Take a key out of force, for ever, in every process within a second."""
    with explained(as_json):
        from timonel.host import host_name

        app = _opened(folder)
        document = app.keys.revoke(name, who=who or host_name()).document(time())
        if as_json:
            out_json(document | {"reload": _reload(app)})
            return
        say("key_revoked", name=name, at=document["revoked_at"], by=document["revoked_by"])
        _tell_reload(app)


def _row(key: "StoredKeyState", now: float) -> list[Any]:
    said = key.document(now)
    return [
        said["name"],
        text(f"key_state_{said['state']}", by=said["revoked_by"]),
        said["role"],
        ", ".join(said["scopes"]),
        ", ".join(said["models"] or [text("all_models")]),
        said["rate"] or text("no_limit"),
        said["expires_at"] or text("no_limit"),
        said["created_by"],
        said["last_used_at"] or text("never_reported"),
    ]


def _reload(app: "Host") -> dict[str, int]:
    n_current, n_live = app.await_generation()
    return {"n_current": n_current, "n_live": n_live}


def _tell_reload(app: "Host") -> None:
    reached = _reload(app)
    if reached["n_live"]:
        say("keys_reached", **reached)
