"""``timonel bench``: how fast a model answers here, without a trace in its log."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from timonel.cli.errors import UnreadableRequest
from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import explained, out_json, say
from timonel.errors import Phrase

if TYPE_CHECKING:
    from timonel.host import Host
    from timonel.loadtest.connection import Reply
    from timonel.loadtest.load import Measured
    from timonel.loadtest.temporary import Local

UNIT = "timonel-bench"
_WARM_REQUESTS = 50
_MOST_REQUESTS = 1_000_000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SOURCES = ("model", "rules", "baseline")


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(bench)


def bench(
    model: Annotated[str, typer.Argument(help="Name of a model.")],
    rows: Annotated[
        Path | None,
        typer.Option(help="CSV, xlsx, Parquet or JSON request; default one row by the schema."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Connections at once.")] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="How long at most.")] = 10.0,
    requests: Annotated[
        int, typer.Option(min=1, max=_MOST_REQUESTS, help="How many requests at most.")
    ] = _MOST_REQUESTS,
    url: Annotated[
        str | None, typer.Option(help="A running server; default a temporary one.")
    ] = None,
    logged: Annotated[
        bool, typer.Option("--logged", help="With --url: its log may keep the predictions.")
    ] = False,
    key: Annotated[
        str | None, typer.Option(envvar="TIMONEL_ADMIN_KEY", help="API key.", show_envvar=True)
    ] = None,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Load-test a model, on a temporary server unless told otherwise: nothing enters its log.

    A running server logs whatever it answers. So --url also asks for --logged, and those
    predictions are sent without the model's key and marked unit_id = timonel-bench.
    """
    with explained(as_json):
        from timonel.host import open_host
        from timonel.loadtest.errors import WouldBeLogged
        from timonel.loadtest.temporary import local_server, temporary_server

        if url is not None and not logged:
            raise WouldBeLogged(url=url, unit=UNIT)
        host = open_host(folder)
        host.require_prepared()
        inputs = _inputs(host, model, rows)
        facts = {"model": model, "rows": len(inputs), "concurrency": concurrency}
        if url is None:
            host.registry.declaration(model)  # an unknown name lists the known ones
            with temporary_server(host, model) as local:
                place = ("127.0.0.1", local.port)
                if not as_json:
                    say("bench_temporary", seconds=seconds, **facts)
                sent = _requests(model, inputs, place, key=None, unit=None)
                result = _run(place, sent, (requests, seconds, concurrency), local)
        else:
            where = urlsplit(url)
            place = (where.hostname or "127.0.0.1", where.port or 80)
            if not as_json:
                say("bench_running", url=url, unit=UNIT, seconds=seconds, **facts)
            sent = _requests(model, _keyless(host, model, inputs), place, key=key, unit=UNIT)
            own = local_server(host, place) if place[0] in _LOOPBACK else None
            result = _run(place, sent, (requests, seconds, concurrency), own)
        document = facts | {"server": url or "temporary"} | result
        out_json(document) if as_json else _print(document)


def _inputs(host: "Host", model: str, rows: Path | None) -> list[dict[str, Any]]:
    from timonel.registry.manifest import decode_manifest
    from timonel.schema.example import example_row
    from timonel.schema.schema import Schema

    if rows is None:
        champion = host.registry.champion(model)
        manifest = (
            decode_manifest(host.registry.declaration(model).manifest)
            if champion is None
            else host.registry.manifest(model, champion.version)
        )
        return [example_row(Schema.from_json(manifest.schema))]
    if rows.suffix.lower() == ".json":
        return _from_request(rows)
    from timonel.cli.data import rows_for

    found = rows_for(host, model, rows)
    if not found:
        raise UnreadableRequest(path=str(rows), found=Phrase("no rows", "ninguna fila"))
    return found


def _keyless(host: "Host", model: str, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave the model's key out, so that no truth of a real case joins a prediction of a test."""
    from timonel.registry.manifest import decode_manifest

    key = decode_manifest(host.registry.declaration(model).manifest).outcome.key
    return [{name: value for name, value in row.items() if name != key} for row in inputs]


def _from_request(file: Path) -> list[dict[str, Any]]:
    try:
        inputs = json.loads(file.read_text("utf-8-sig"))["inputs"]
        found = inputs if isinstance(inputs, list) else [inputs]
        return [dict(row) for row in found] or [{}]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableRequest(path=str(file), found=f"{type(error).__name__}: {error}") from None


def _requests(
    model: str,
    inputs: Sequence[dict[str, Any]],
    place: tuple[str, int],
    *,
    key: str | None,
    unit: str | None,
) -> list[bytes]:
    from timonel.loadtest.connection import post

    headers = {"Authorization": f"Bearer {key}"} if key else None
    mark = {"unit_id": unit} if unit else {}
    host, path = f"{place[0]}:{place[1]}", f"/v1/models/{model}/predict"
    return [
        post(path, json.dumps({"inputs": row} | mark).encode(), host=host, headers=headers)
        for row in inputs
    ]


def _run(
    place: tuple[str, int],
    requests: list[bytes],
    bounds: tuple[int, float, int],
    local: "Local | None",
) -> dict[str, Any]:
    from timonel.client.errors import ServerUnreachable
    from timonel.loadtest.errors import NotMeasurable
    from timonel.loadtest.load import Bounds, load
    from timonel.loadtest.processes import cpu_s, is_known, settle, tree

    n, seconds, concurrency = bounds
    url = f"http://{place[0]}:{place[1]}"
    known = local is not None and is_known()
    try:
        asyncio.run(load(place, requests, Bounds(min(_WARM_REQUESTS, n), 5.0)))
        if known and local is not None:
            settle(local.pid)
            before = cpu_s(tree(local.pid)), cpu_s(local.worker_pids())
        found = asyncio.run(
            load(place, requests, Bounds(n, seconds), concurrency=concurrency, sorting=_source)
        )
    except OSError as error:
        raise ServerUnreachable(url=url, cause=error.strerror or str(error)) from None
    if not found.n:
        raise NotMeasurable(url=url, found=found.kinds)
    document = _document(found)
    if known and local is not None:
        settle(local.pid)
        worker = cpu_s(local.worker_pids()) - before[1]
        server = cpu_s(tree(local.pid)) - before[0]
        document["cpu_us"] = {
            "worker": round(worker / found.n * 1e6, 1),
            "server": round(server / found.n * 1e6, 1),
        }
    elif local is None:
        reason = Phrase(
            "it is not this project's server on this machine",
            "no es el servidor de este proyecto en esta máquina",
        )
        document |= {"cpu_us": None, "cpu_unknown": reason}
    else:
        reason = Phrase("this system does not say", "este sistema no lo dice")
        document |= {"cpu_us": None, "cpu_unknown": reason}
    return document


def _source(reply: "Reply") -> str:
    return str(json.loads(reply.body)["source"])


def _document(found: "Measured") -> dict[str, Any]:
    return {
        "n": found.n,
        "failed": found.n_failed,
        "kinds": found.kinds,
        "elapsed_s": round(found.elapsed_s, 2),
        "per_s": round(found.per_s, 1),
        "p50_ms": found.quantile_ms(0.5),
        "p95_ms": found.quantile_ms(0.95),
        "p99_ms": found.quantile_ms(0.99),
    } | {f"{source}_rate": found.kinds.get(source, 0) / found.n for source in _SOURCES}


def _print(document: dict[str, Any]) -> None:
    say("bench_answers", **document)
    say("bench_latency", **document)
    say("bench_fallback", **document)
    cpu = document["cpu_us"]
    if cpu is None:
        say("bench_cpu_unknown", reason=document["cpu_unknown"])
    else:
        say("bench_cpu", worker_us=cpu["worker"], server_us=cpu["server"])
    if document["failed"]:
        out_json(document["kinds"])
    if document["rows"] == 1:
        say("bench_one_row")
