"""A model behind an HTTP service: brought, asked, and answered for when it fails."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.http.protocols import predictions, serving

from timonel.errors import TimonelError
from timonel.project.model import Model, Task
from timonel.registry.manifest import ServingManifest, ServingPolicy
from timonel.runtime.errors import InvalidService
from timonel.runtime.services.connection import address_of
from timonel.runtime.services.forms import AnswerReader
from timonel.schema.features import Category, Number, Timestamp
from timonel.schema.schema import Schema
from timonel.serving.config import WorkerConfig
from timonel.testing.builders import open_registry
from timonel.testing.serving import ServingWorld, declared_manifest, linear_manifest
from timonel.training.bring.errors import ServiceNotUsable
from timonel.training.services.wrap import Wrap, wrap

PREDICT = "/v1/models/churn/predict"
Reply = tuple[int, Any]


def row_of(visits: float, calls: int = 1) -> dict[str, Any]:
    return {"inputs": {"visits": visits, "calls": calls, "port": "Arica"}}


class Service:
    """A real HTTP server whose answers a test chooses."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self.reply: Callable[[Any], Reply] = by_form
        self.url = ""

    @contextmanager
    def running(self) -> Iterator["Service"]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body together: apart, the second waits 40 ms for a receipt

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                document = json.loads(body)
                service.asked.append(document)
                service.keys.append(self.headers.get("authorization"))
                service.paths.append(self.path)
                status, said = service.reply(document)
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("location", service.url + "/elsewhere")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            self.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()


def visits_of(document: Any) -> list[float]:
    if "dataframe_split" in document:
        table = document["dataframe_split"]
        at = table["columns"].index("visits")
        return [row[at] for row in table["data"]]
    rows = document["inputs"]
    if rows and "datatype" in rows[0]:
        return next(list(one["data"]) for one in rows if one["name"] == "visits")
    return [row["visits"] for row in rows]


def by_form(document: Any) -> Reply:
    """Answer with the share visits / 100 in the form that was asked in."""
    shares = [visits / 100 for visits in visits_of(document)]
    if "dataframe_split" in document:
        return 200, {"predictions": [[1 - share, share] for share in shares]}
    if "inputs" in document and document["inputs"] and "datatype" in document["inputs"][0]:
        flat = [value for share in shares for value in (1 - share, share)]
        probabilities = {"name": "predict_proba", "shape": [len(shares), 2], "data": flat}
        labels = {"name": "predict", "shape": [len(shares)], "data": [0] * len(shares)}
        return 200, {"outputs": [labels, probabilities]}
    return 200, {
        "predictions": [
            {"prediction": int(s >= 0.5), "score": s, "probabilities": {"0": 1 - s, "1": s}}
            for s in shares
        ]
    }


@pytest.fixture
def service() -> Iterator[Service]:
    with Service().running() as running:
        yield running


def served_manifest(service: Service, form: str = "timonel", **changes: Any) -> ServingManifest:
    plan = {"http": {"url": service.url + "/predict", "form": form} | changes.pop("http", {})}
    values: dict[str, Any] = {"policy": ServingPolicy(deadline_ms=5000)}
    return linear_manifest(predictor="http", plan=plan, **values | changes)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServingWorld]:
    url = f"sqlite:///{tmp_path / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        registry.declare(declared_manifest())
        yield ServingWorld(tmp_path, url, registry)


@pytest.fixture
def config(world: ServingWorld, tmp_path: Path) -> WorkerConfig:
    return world.config(spool=tmp_path / "spool", slot=tmp_path / "metrics")


@pytest.mark.parametrize("form", ["timonel", "mlflow", "inference"])
async def test_each_form_is_asked_and_read(
    world: ServingWorld, config: WorkerConfig, service: Service, form: str
) -> None:
    version = world.promote(served_manifest(service, form))
    async with serving(config) as (_, client):
        one = (await client.post(PREDICT, json=row_of(25.0))).json()
        rows = [row_of(n)["inputs"] for n in (10.0, 90.0)]
        many = (await client.post(PREDICT, json={"inputs": rows})).json()["predictions"]
    assert (one["source"], one["version"]) == ("model", version.version)
    assert one["score"] == pytest.approx(0.25)
    assert [reply["prediction"] for reply in many] == [0, 1]
    assert many[1]["probabilities"] == {"0": pytest.approx(0.1), "1": pytest.approx(0.9)}
    assert service.paths == ["/predict"] * 2


async def test_rows_asked_at_once_keep_to_themselves(
    world: ServingWorld, config: WorkerConfig, service: Service
) -> None:
    world.promote(served_manifest(service))
    async with serving(config) as (_, client):
        shares = [n / 2 for n in range(100)]
        replies = await asyncio.gather(*(client.post(PREDICT, json=row_of(s)) for s in shares))
    for share, reply in zip(shares, replies, strict=True):
        assert reply.json()["score"] == pytest.approx(share / 100)
    assert len(predictions(config)) == 100


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ((500, {}), "model_error"),
        ((503, {}), "model_error"),
        ((307, {}), "model_error"),
        ((200, b"not json"), "invalid_output"),
        ((200, {"predictions": []}), "invalid_output"),
        ((200, {"predictions": [1, 1]}), "invalid_output"),
        ((200, {"predictions": ["leaves"]}), "invalid_output"),
        ((200, {"predictions": [None]}), "invalid_output"),
        ((200, {"predictions": [[0.7, 0.7]]}), "invalid_output"),
        ((200, b'{"predictions": [[NaN, 1]]}'), "invalid_output"),
        ((200, {"predictions": [{"score": 0.5}]}), "invalid_output"),
        ((200, {"predictions": [{"prediction": 1, "score": 7}]}), "invalid_output"),
        ((422, {}), "invalid_output"),
    ],
)
async def test_rules_answer_for_a_service_that_fails(
    world: ServingWorld, config: WorkerConfig, service: Service, said: Reply, reason: str
) -> None:
    service.reply = lambda _: said
    world.promote(served_manifest(service))
    async with serving(config) as (_, client):
        reply = await client.post(PREDICT, json=row_of(0.0))
    answer = reply.json()
    assert (reply.status_code, answer["source"], answer["reason"]) == (200, "rules", reason)
    assert service.paths == ["/predict"]  # no redirect is followed


async def test_a_late_service_is_left_alone_until_it_is_tried_again(
    world: ServingWorld, config: WorkerConfig, service: Service
) -> None:
    def late(document: Any) -> Reply:
        time.sleep(0.3)
        return by_form(document)

    service.reply = late
    world.promote(served_manifest(service, policy=ServingPolicy(deadline_ms=30)))
    async with serving(config) as (app, client):
        reasons = [
            (await client.post(PREDICT, json=row_of(1.0))).json()["reason"] for _ in range(8)
        ]
        asked = len(service.asked)
        service.reply = by_form
        _, model = app.model("churn")
        assert model.champion is not None
        model.champion.breaker._opened_at -= 10.0  # as if so many seconds had gone by
        again = (await client.post(PREDICT, json=row_of(1.0))).json()
    assert reasons == ["timeout"] * 5 + ["breaker_open"] * 3
    assert 1 <= asked <= 5  # one that was not sent in time was not asked
    assert len(service.asked) == asked + 1  # half-open: one is let through
    assert again["reason"] in ("assigned", "timeout")


@pytest.mark.parametrize(
    ("said", "opens"),
    [
        ({"predictions": ["perhaps"]}, True),
        ({"predictions": [[0.7, 0.7]]}, True),
        ({"predictions": [-3.0]}, False),  # out of range: the next row's may be in it
    ],
)
async def test_a_service_that_answers_nonsense_is_left_alone(
    world: ServingWorld, config: WorkerConfig, service: Service, said: Any, opens: bool
) -> None:
    service.reply = lambda _: (200, said)
    manifest = served_manifest(service)
    if not opens:
        manifest = msgspec.structs.replace(
            manifest, task="regression", classes=None, positive=None, target_range=(0.0, None)
        )
    world.promote(manifest)
    async with serving(config) as (_, client):
        reasons = [
            (await client.post(PREDICT, json=row_of(1.0))).json()["reason"] for _ in range(7)
        ]
    assert reasons == ["invalid_output"] * 5 + ["breaker_open" if opens else "invalid_output"] * 2


async def test_one_bad_row_does_not_spoil_the_others(
    world: ServingWorld, config: WorkerConfig, service: Service
) -> None:
    def picky(document: Any) -> Reply:
        return (422, {}) if 13.0 in visits_of(document) else by_form(document)

    service.reply = picky
    world.promote(served_manifest(service))
    rows = [row_of(float(n))["inputs"] for n in range(30)]
    async with serving(config) as (_, client):
        many = (await client.post(PREDICT, json={"inputs": rows})).json()["predictions"]
        after = (await client.post(PREDICT, json=row_of(5.0))).json()
    assert [n for n, reply in enumerate(many) if reply["source"] != "model"] == [13]
    assert after["source"] == "model"
    assert len(service.asked) < 15


async def test_without_a_service_there_is_an_answer(
    world: ServingWorld, config: WorkerConfig
) -> None:
    with Service().running() as gone:
        world.promote(served_manifest(gone))
    async with serving(config) as (_, client):
        answer = (await client.post(PREDICT, json=row_of(0.0))).json()
    assert (answer["source"], answer["reason"]) == ("rules", "model_error")


async def test_a_key_is_read_in_the_servers_environment(
    world: ServingWorld,
    config: WorkerConfig,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCORES_KEY", "s3cret")
    manifest = served_manifest(service, http={"key_env": "SCORES_KEY"})
    assert b"s3cret" not in manifest.encode()
    world.promote(manifest)
    async with serving(config) as (_, client):
        await client.post(PREDICT, json=row_of(1.0))
    assert service.keys == ["Bearer s3cret"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/x",
        "http://",
        "http://u:p@h/x",
        "http://h:x/",
        "http://h/a b",
        "http://h/\r\nx",
        "h",
    ],
)
def test_only_an_address_without_a_user_is_taken(url: str) -> None:
    with pytest.raises(InvalidService) as caught:
        address_of(url)
    assert "u:p" not in str(caught.value)


def test_classes_are_known_however_a_service_writes_them() -> None:
    reader = AnswerReader(linear_manifest(), "mlflow", "label")
    said = [answer.prediction for answer in reader.read(b'{"predictions": [1, 1.0, "1"]}', 3)]
    assert said == [1, 1, 1]
    assert {type(label) for label in said} == {int}


SCHEMA = Schema(
    Number("visits", ge=0, le=100),
    Category("port", ["Arica", "Quintero"]),
    Timestamp("since", required=False),
)


def model_of(task: str = "binary", values: tuple[Any, ...] = (0, 1)) -> Model:
    rows = [
        {"visits": n % 100, "port": "Arica", "since": None, "y": values[n % len(values)]}
        for n in range(50)
    ]
    return Model(name="churn", task=Task(task), target="y", schema=SCHEMA, source=lambda: rows)


def brought(service: Service, model: Model, **options: Any) -> Any:
    given = Wrap(url=service.url + "/predict", **options)
    return wrap(model, given, project="demo", timezone="America/Santiago", rules=None)


def test_a_service_becomes_a_version(service: Service, tmp_path: Path) -> None:
    sample = tmp_path / "sample.csv"
    sample.write_text("visits,port\n" + "".join(f"{n},Arica\n" for n in range(80)))
    version = brought(service, model_of(), form="mlflow", sample=sample)
    again = brought(service, model_of(), form="mlflow", sample=sample)
    assert version.manifest.predictor == "http"
    assert version.manifest.parity["summary"].startswith("not checkable")
    assert version.manifest.classes == [0, 1]
    assert version.manifest.profile is not None
    assert version.metrics["main"]["value"] is None
    assert version.version_hash == again.version_hash
    assert [finding.code for finding in version.report.findings] == ["service"]
    assert max(len(visits_of(one)) for one in service.asked) <= 64


def test_a_single_number_is_found_to_be_a_score(service: Service) -> None:
    service.reply = lambda d: (200, {"predictions": [v / 100 for v in visits_of(d)]})
    version = brought(service, model_of())
    assert version.manifest.plan["http"]["single"] == "score"
    service.reply = lambda d: (200, {"predictions": [v * 7.5 for v in visits_of(d)]})
    numbers = brought(service, model_of("regression", (1.5, 2.5)))
    assert numbers.manifest.plan["http"]["single"] == "label"
    assert any(finding.code == "no_reference" for finding in numbers.report.findings)


@pytest.mark.parametrize(
    "said", [(404, {}), (422, {}), (200, {"predictions": ["other"]}), (302, {})]
)
def test_what_does_not_answer_is_no_version(service: Service, said: Reply) -> None:
    service.reply = lambda d: (
        said[0],
        {"predictions": said[1]["predictions"] * len(visits_of(d))} if said[1] else {},
    )
    with pytest.raises(ServiceNotUsable) as caught:
        brought(service, model_of())
    assert caught.value.message("es") != caught.value.message("en")


def test_an_unknown_form_or_variable_is_refused(service: Service) -> None:
    for options in ({"form": "grpc"}, {"key_env": "NO_SUCH_KEY"}):
        with pytest.raises(TimonelError, match="Cannot use the model service"):
            brought(service, model_of(), **options)
    assert service.asked == []
