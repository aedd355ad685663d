"""Traces of real processes, as a collector gets them: OTLP over HTTP, read by OpenTelemetry."""

import gzip
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from timonel import tracing
from timonel.jobs.runner import JobRunner
from timonel.jobs.steps import JobKind, Step
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.errors import StoreUnavailable
from timonel.testing.builders import PROJECT, open_registry
from timonel.testing.events import PROJECT as EVENTS_PROJECT
from timonel.testing.events import Bench, Events
from timonel.testing.jobs import open_queue
from timonel.testing.server import Server, ServerPlan
from timonel.testing.serving import ROW, ServingWorld, declared_manifest

LIMIT_S = 60.0
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECRET = "QUINTERO-7"


class Receiver:
    """A collector: takes ``ExportTraceServiceRequest`` over HTTP and keeps the spans."""

    def __init__(self) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        self.spans: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                receiver.bodies.append(body)
                receiver.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def take(self, request: Any) -> None:
        for resource in request.resource_spans:
            of = values(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans += [
                    {
                        "name": span.name,
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "kind": span.kind,
                        "error": span.status.code == 2,
                        "n_events": len(span.events),
                        "resource": of,
                        **values(span.attributes),
                    }
                    for span in scope.spans
                ]

    def wait_for(self, n: int) -> list[dict[str, Any]]:
        limit = time.monotonic() + LIMIT_S
        while len(self.spans) < n:
            assert time.monotonic() < limit, f"{len(self.spans)} of {n} spans came"
            time.sleep(0.02)
        return self.spans

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def values(attributes: Any) -> dict[str, Any]:
    def read(value: Any) -> Any:
        kind = value.WhichOneof("value")
        held = getattr(value, kind)
        return [read(one) for one in held.values] if kind == "array_value" else held

    return {one.key: read(one.value) for one in attributes}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    one = Receiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    yield one
    one.close()


@pytest.mark.interop
def test_a_served_prediction_is_a_span_of_the_caller_s_trace(
    tmp_path: Path, sqlite_database: str, receiver: Receiver
) -> None:
    with open_registry(sqlite_database) as (_, registry):
        registry.declare(declared_manifest())
        ServingWorld(tmp_path, sqlite_database, registry).promote()
    settings = {"port": 0, "workers": 1, "role": "predict", "native_processes": 0}
    plan = ServerPlan(
        state=tmp_path, database_url=sqlite_database, project=PROJECT, settings=settings
    )
    with Server(plan) as server:
        url = f"{server.url}/v1/models/churn/predict"
        asked = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        with httpx.Client(headers=asked) as client:
            one = client.post(url, json={"inputs": ROW | {"rut": SECRET}})
            both = client.post(url, json={"inputs": [ROW, ROW | {"calls": 1}]})
            bad = client.post(url, json={"inputs": ROW | {"port": SECRET}})
        alone = httpx.post(url, json={"inputs": ROW})
    assert [a.status_code for a in (one, both, bad, alone)] == [200, 200, 422, 200]
    spans = receiver.wait_for(4)  # what waited was sent as the server ended
    assert {s["name"] for s in spans} == {"POST /v1/models/{model}/predict"}
    assert {s["kind"] for s in spans} == {2}  # a server's
    assert [(s["trace"], s["parent"]) for s in spans[:3]] == [(TRACE, PARENT)] * 3
    assert (spans[3]["trace"] != TRACE, spans[3]["parent"]) == (True, "")
    said = {k: v for k, v in spans[0].items() if k.startswith("timonel.")}
    version = one.json()["version"]
    assert said == {
        "timonel.rows": 1,
        "timonel.model": "churn",
        "timonel.version": version,
        "timonel.source": "model",
        "timonel.reason": "assigned",
    }
    assert (spans[1]["timonel.rows"], spans[1]["timonel.version"]) == (2, version)
    assert spans[2]["http.response.status_code"] == 422
    assert (spans[2]["error.type"], spans[2]["error"]) == (bad.json()["code"], False)
    assert spans[0]["resource"]["service.name"] == "timonel"
    assert spans[0]["resource"]["service.instance.id"].startswith("worker-0:")
    assert not any(s["n_events"] for s in spans)
    assert not any(SECRET.encode() in body or b"visits" in body for body in receiver.bodies)


@pytest.mark.interop
def test_what_the_control_process_answers_is_a_span_by_its_route(
    tmp_path: Path, sqlite_database: str, receiver: Receiver
) -> None:
    with open_registry(sqlite_database) as (_, registry):
        registry.declare(declared_manifest())
    (tmp_path / "timonel.toml").write_text(
        f'[project]\nname = "{PROJECT}"\ntimezone = "America/Santiago"\n'
    )
    settings = {"port": 0, "workers": 1, "role": "control", "native_processes": 0}
    plan = ServerPlan(
        state=tmp_path, database_url=sqlite_database, project=PROJECT, settings=settings
    )
    asked = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    with Server(plan) as server, httpx.Client(headers=asked, base_url=server.url) as client:
        limit = time.monotonic() + LIMIT_S
        while client.get("/v1/models").status_code == 503:  # control starts later
            assert time.monotonic() < limit
            time.sleep(0.05)
        one = client.get("/v1/models/churn")
        unknown = client.get(f"/v1/models/{SECRET}")
        nowhere = client.get(f"/v1/{SECRET}")
        refused = client.put("/v1/models")
    assert [a.status_code for a in (one, unknown, nowhere, refused)] == [200, 404, 404, 405]
    spans = receiver.wait_for(5)[-4:]
    assert [s["name"] for s in spans[:3]] == ["GET /v1/models/{model}"] * 2 + ["GET"]
    assert [s.get("http.route") for s in spans[:3]] == ["/v1/models/{model}"] * 2 + [None]
    assert [s["http.response.status_code"] for s in spans] == [200, 404, 404, 405]
    codes = [None, *(answer.json()["code"] for answer in (unknown, nowhere, refused))]
    assert [s.get("error.type") for s in spans] == codes
    assert {(s["trace"], s["parent"], s["kind"], s["error"]) for s in spans} == {
        (TRACE, PARENT, 2, False)
    }
    assert spans[0]["resource"]["service.instance.id"].startswith("control:")
    assert not any(SECRET.encode() in body for body in receiver.bodies)


@pytest.mark.interop
def test_a_drained_batch_is_a_span_and_an_idle_round_is_none(
    tmp_path: Path, sqlite_database: str, receiver: Receiver
) -> None:
    engine = make_engine(sqlite_database)
    ensure_project(engine, EVENTS_PROJECT, "America/Santiago")
    bench = Bench(engine, tmp_path / "spool")
    events = Events(1)
    bench.write(*(events.prediction(unit=SECRET) for _ in range(3)), events.outcome(1))
    tracing.configure("supervisor", PROJECT)
    try:
        drainer = bench.drainer("slot-0")
        assert drainer.drain_once().n_inserted == 3
        drainer.drain_once()
        bench.write(events.prediction())
        with sqlite3.connect(sqlite_database.removeprefix("sqlite:///")) as another:
            another.execute("BEGIN IMMEDIATE")  # the one write lock
            with pytest.raises(StoreUnavailable) as away:
                drainer.drain_once()
    finally:
        tracing.close()
        engine.dispose()
    done, failed = receiver.wait_for(2)
    assert (done["name"], done["timonel.frames"], done["timonel.predictions"]) == ("drain", 4, 3)
    assert (done["timonel.drainer"], done["error"]) == ("drainer-0", False)
    assert (failed["timonel.outcome"], failed["error.type"]) == ("not_stored", away.value.code)
    assert failed["error"]
    assert not any(SECRET.encode() in body for body in receiver.bodies)


@pytest.mark.interop
def test_a_job_is_a_span_with_its_steps_below(sqlite_database: str, receiver: Receiver) -> None:
    bench: list[str] = []
    empty: dict[str, int] = {}
    steps = (Step("first", lambda _: 1), Step("second", lambda _: empty["no such key"]))
    tracing.configure("worker", PROJECT)
    try:
        with open_queue(sqlite_database) as queue:
            kinds = {"good": JobKind("good", steps[:1]), "bad": JobKind("bad", steps)}
            runner = JobRunner(queue, kinds, "w", lambda kind, _: bench.append(kind))
            for kind in kinds:
                queue.submit(kind, model="churn", payload={"rut": SECRET}, requested_by="ana")
                assert runner.run_one()
    finally:
        tracing.close()
    spans = receiver.wait_for(5)
    good, bad = (next(s for s in spans if s["name"] == f"job {kind}") for kind in kinds)
    assert (good["timonel.outcome"], good["error"]) == ("job_succeeded", False)
    assert (bad["timonel.outcome"], bad["error.type"]) == ("job_failed", "step_failed")
    assert bad["error"]
    assert (bad["timonel.model"], bad["timonel.attempt"]) == ("churn", 1)
    below = sorted(s["name"] for s in spans if s["parent"] == bad["id"])
    assert below == ["step first", "step second"]
    assert good["trace"] != bad["trace"]
    assert not any(SECRET.encode() in body for body in receiver.bodies)


def test_without_the_variables_nothing_is_imported_and_nothing_traced() -> None:
    code = (
        "import sys; from timonel import tracing; tracing.configure('w', 'p');"
        "print(tracing.active, 'opentelemetry' in sys.modules)"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    asked = kept | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    for environment in (
        kept,
        asked | {"OTEL_SDK_DISABLED": "true"},
        asked | {"OTEL_TRACES_EXPORTER": "none"},
        asked | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "None False\n"


def test_asked_for_and_not_installed_it_says_so(tmp_path: Path) -> None:
    # as in an installation without the extra: nothing of that name can be imported
    code = (
        "import sys; sys.modules['opentelemetry'] = None;"
        "from timonel import tracing; tracing.configure('w', 'p'); print(tracing.active)"
    )
    asked = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=asked, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"
    assert "timonel[otel]" in done.stderr
