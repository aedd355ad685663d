"""Routes of keys: make, list, revoke."""

from time import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import BaseModel, Field

from timonel.access.book import Wish, read_lifetime
from timonel.access.callers import Rate, Role, Scope
from timonel.http.access.callers import who_of
from timonel.http.parameters import Who

if TYPE_CHECKING:
    from timonel.app import App

Document = dict[str, Any]
KeyName = Annotated[str, Path(max_length=64, description="Name of a key.")]


class KeyIn(BaseModel):
    """A key that is to be made."""

    name: Annotated[str, Field(max_length=80, description="Small letters, digits, `.`, `_`, `-`.")]
    role: Role = Role.VIEWER
    scopes: Annotated[
        list[Scope], Field(max_length=len(Scope), description="Empty: what the role has by itself.")
    ] = []
    models: Annotated[
        list[Annotated[str, Field(max_length=64)]],
        Field(max_length=200, description="The only models it is for; empty: all."),
    ] = []
    expires: Annotated[
        str | None, Field(max_length=20, description="After how long: 90d, 12h.")
    ] = None
    rate: Annotated[
        str | None, Field(max_length=20, description="Requests on each host: 100/s, 600/min.")
    ] = None
    who: Who = "local"


class Revocation(BaseModel):
    """Who takes a key out of force."""

    who: Who = "local"


def create_key_routes(app: "App") -> APIRouter:
    """Make the routes under ``/v1/keys``."""
    router = APIRouter(prefix="/v1/keys", tags=["keys"])

    @router.get("", summary="List keys; by default those in force")
    def keys(
        of_all: Annotated[bool, Query(alias="all", description="Expired and revoked too.")] = False,
    ) -> Document:
        found = app.keys.list(all_of_them=of_all)
        return {"keys": [key.document(time()) for key in found]}

    @router.post("", status_code=201, summary="Make a key; its secret is in this answer alone")
    def create(request: Request, body: Annotated[KeyIn, Body()]) -> Document:
        wish = Wish(
            name=body.name,
            role=body.role,
            scopes=tuple(body.scopes),
            models=tuple(body.models),
            expires_in_s=None if body.expires is None else read_lifetime(body.expires),
            rate=None if body.rate is None else Rate.parse(body.rate),
        )
        made, secret = app.keys.create(wish, who=who_of(request, body.who))
        return made.document(time()) | {"key": secret, "reload": _reloaded(app)}

    @router.post("/{name}/revoke", summary="Take a key out of force, for ever")
    def revoke(
        request: Request, name: KeyName, body: Annotated[Revocation | None, Body()] = None
    ) -> Document:
        who = who_of(request, (body or Revocation()).who)
        return app.keys.revoke(name, who=who).document(time()) | {"reload": _reloaded(app)}

    return router


def _reloaded(app: "App") -> Document:
    n_current, n_live = app.await_generation(5.0)
    return {"n_current": n_current, "n_live": n_live}
