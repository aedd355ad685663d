"""The client against real servers on real ports: away, slow, broken, back again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.http import protocols

from timonel.client import (
    Answer,
    AsyncClient,
    Client,
    QueueFull,
    QueueUnusable,
    RequestRefused,
    RulesUnusable,
    ServerUnreachable,
)
from timonel.events.frames import OutcomeFrame
from timonel.serving.config import WorkerConfig
from timonel.testing.builders import open_registry
from timonel.testing.listening import Listening, Worker
from timonel.testing.serving import ROW, RULES, ServingWorld
from timonel.wire.ids import id_text

NOWHERE = "http://127.0.0.1:9"  # discard: nothing listens there
Respond = Callable[[str, Any], tuple[int, Any]]


def stay(row: dict[str, Any]) -> Answer | None:
    if row["visits"] > 50:
        return None
    return Answer(int(row["visits"] == 0), 0.9, explanation="by visits")


class Peer:
    """A server of the test's own: answers each request as it is told, and keeps what came."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.asked: list[tuple[str, Any]] = []
        self.hold: threading.Event | None = None
        self.retry_after: bytes | None = None
        self.times: list[float] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.times.append(time.monotonic())
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        body = (await receive()).get("body") or b"null"
        self.asked.append((scope["path"], json.loads(body)))
        if self.hold is not None:
            await asyncio.to_thread(self.hold.wait, 20)
        status, document = self.respond(*self.asked[-1])
        headers = [] if self.retry_after is None else [(b"retry-after", self.retry_after)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(document).encode()})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingWorld]:
    folder = tmp_path_factory.mktemp("world")
    url = f"sqlite:///{folder / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        yield protocols.open_world(folder, url, registry)


@pytest.fixture
def config(world: ServingWorld, tmp_path: Path) -> WorkerConfig:
    return world.config(spool=tmp_path / "spool", slot=tmp_path / "metrics")


def logged(config: WorkerConfig) -> dict[str, tuple[str, str]]:
    return {id_text(f.id): (f.source, f.reason) for f in protocols.predictions(config)}


def test_all_that_it_does_is_taken_by_a_real_server(config: WorkerConfig) -> None:
    with Listening(Worker(config)) as server, Client(server.url) as client:
        answer = client.predict("churn", ROW, unit_id="u1")
        assert (answer["source"], answer["version"]) == ("model", "1.0.1")
        many = client.predict_many("churn", [ROW, {"visits": -1}, ROW])
        assert [("error" in one) for one in many] == [False, True, False]
        moment = ROW | {"since": datetime(2026, 3, 1, tzinfo=UTC)}
        told = client.log("churn", moment, prediction=1, version="b7", score=0.5)
        assert client.log_many("churn", [{"prediction": 0}, {"prediction": 1}]) != []
        outcome = client.outcome("churn", 1, prediction_id=told)
        client.outcomes("churn", [{"value": 0, "key": "7-1"}])
        with pytest.raises(RequestRefused) as refused:
            client.log("churn", prediction="maybe")
        assert refused.value.problem["code"] == "invalid_record"
        assert client.waiting == 0
    sources = logged(config)
    assert sources[answer["prediction_id"]] == ("model", "assigned")
    assert sources[told] == ("external", "assigned")
    assert len(sources) == 6
    outcomes = [f for f in protocols.frames(config) if isinstance(f, OutcomeFrame)]
    assert id_text(outcomes[0].id) == outcome


async def test_the_awaited_client_does_the_same(config: WorkerConfig, tmp_path: Path) -> None:
    server = Listening(Worker(config))
    await asyncio.to_thread(server.start)
    async with AsyncClient(server.url, rules=stay, queue=tmp_path / "queue") as client:
        answer = await client.predict("churn", ROW)
        assert answer["source"] == "model"
        assert len(await client.predict_many("churn", [ROW, ROW])) == 2
        told = await client.log("churn", ROW, prediction=1)
        await client.outcome("churn", 1, prediction_id=told)
        await asyncio.to_thread(server.stop)
        local = await client.predict("churn", ROW)
        assert (local["source"], local["queued"]) == ("rules", True)
        assert client.waiting == 1
        await asyncio.to_thread(server.start)
        assert await client.deliver() == 0
    await asyncio.to_thread(server.stop)
    assert logged(config)[local["prediction_id"]] == ("rules", "server_away")
    assert len(logged(config)) == 5


@pytest.mark.parametrize("durable", [True, False])
def test_rules_answer_while_the_server_is_away_and_are_delivered_once(
    config: WorkerConfig, tmp_path: Path, durable: bool
) -> None:
    queue = tmp_path / "queue" if durable else None
    server = Listening(Worker(config))
    with server, Client(server.url, rules={"churn": stay}, queue=queue) as client:
        first = client.predict("churn", ROW)
        server.stop()
        local = client.predict("churn", ROW | {"visits": 0})
        assert (local["source"], local["reason"], local["prediction"]) == (
            "rules",
            "server_away",
            1,
        )
        many = client.predict_many("churn", [ROW] * 3)
        wrong = client.predict("churn", {"visits": 1, "port": "Lima"})  # nobody here knows better
        outcome = client.outcome("churn", 1, prediction_id=local["prediction_id"])
        with pytest.raises(ServerUnreachable):
            client.predict("churn", ROW | {"visits": 60})  # the rules decline
        with pytest.raises(ServerUnreachable):
            client.models()
        server.start()
        assert client.deliver() == client.waiting == 0
    found = logged(config)
    ids = {one["prediction_id"] for one in [local, *many]}
    assert {i for i, said in found.items() if said == ("rules", "server_away")} == ids
    assert found[first["prediction_id"]] == ("model", "assigned")
    assert wrong["prediction_id"] not in found
    assert len(found) == 5
    frames = protocols.frames(config)
    assert [id_text(f.id) for f in frames if isinstance(f, OutcomeFrame)] == [outcome]
    if durable:  # what the server refuses is kept, with the reason
        (line,) = (tmp_path / "queue" / "refused.jsonl").read_text().splitlines()
        assert wrong["prediction_id"] in line
        assert "invalid_record" in line


def test_a_retry_carries_the_same_id(tmp_path: Path) -> None:
    statuses = [503, 502, 200, 503, 503, 503]
    peer = Peer(lambda path, body: (statuses[len(peer.asked) - 1], {"prediction_ids": []}))
    with Listening(peer) as server, Client(server.url, retries=2) as client:
        client.predict("churn", ROW)
        with pytest.raises(RequestRefused):
            client.outcome("churn", 1, key="a")
    bodies = [body for _, body in peer.asked]
    assert len({body["prediction_id"] for body in bodies[:3]}) == 1
    assert len({body["outcomes"][0]["outcome_id"] for body in bodies[3:]}) == 1


@pytest.mark.parametrize("rules", [None, stay])
async def test_a_rate_limit_is_waited_for_as_it_says(rules: Any) -> None:
    def limited() -> Peer:
        statuses = iter([429, 200])
        peer = Peer(lambda path, body: (next(statuses), {"prediction": 1}))
        peer.retry_after = b"1"
        return peer

    peers = [limited(), limited()]
    with Listening(peers[0]) as one, Listening(peers[1]) as other:
        awaited = AsyncClient(one.url, rules=rules)
        blocking = Client(other.url, rules=rules)
        answers = await asyncio.gather(
            awaited.predict("churn", ROW), asyncio.to_thread(blocking.predict, "churn", ROW)
        )
        await awaited.close()
        await asyncio.to_thread(blocking.close)
    assert [answer["prediction"] for answer in answers] == [1, 1]
    for peer in peers:
        first, second = peer.times[1:3]  # the lifespan comes before
        assert second - first >= 1.0
        assert len({body["prediction_id"] for _, body in peer.asked}) == 1


@pytest.mark.parametrize("rules", [None, stay])
@pytest.mark.parametrize("after", [b"3600", b"Fri, 31 Dec 2999 23:59:59 GMT"])
async def test_a_rate_limit_longer_than_the_time_there_is_is_raised(
    rules: Any, after: bytes
) -> None:
    peer = Peer(lambda _, __: (429, {"detail": "too many"}))
    peer.retry_after = after
    with Listening(peer) as server:
        async with AsyncClient(server.url, rules=rules) as awaited:
            with pytest.raises(RequestRefused, match="too many"):
                await awaited.predict("churn", ROW)
        with Client(server.url, rules=rules) as blocking:
            with pytest.raises(RequestRefused, match="too many"):
                await asyncio.to_thread(blocking.predict, "churn", ROW)
            assert blocking.waiting == 0  # the rules answer for a server that is away, not for this
    assert len(peer.asked) == 2


def test_a_slow_server_is_not_waited_for_twice(tmp_path: Path) -> None:
    peer = Peer(lambda path, body: (200, {}))
    peer.hold = threading.Event()
    server = Listening(peer)
    with server, Client(server.url, rules=stay, timeout_s=0.3, queue=tmp_path) as client:
        answers = [client.predict("churn", ROW) for _ in range(5)]
        assert {one["reason"] for one in answers} == {"server_away"}
        asked = [path for path, _ in peer.asked if path.endswith("/predict")]
        assert len(asked) == 1  # then it is left alone for a while
        peer.hold.set()


def test_refusals_are_the_servers_and_never_answered_here() -> None:
    peer = Peer(lambda path, body: (422, {"detail": "no", "remedy": "yes"}))
    with Listening(peer) as server, Client(server.url, rules=stay) as client:
        with pytest.raises(RequestRefused, match="no"):
            client.predict("churn", ROW)
        assert client.waiting == 0


def test_rules_of_the_server_are_learned_while_it_is_there() -> None:
    def respond(path: str, body: Any) -> tuple[int, Any]:
        if path.endswith("/rules"):
            return 200, {"function": "stay", "source": RULES}
        return 200, {"prediction": 0, "source": "model"}

    server = Listening(Peer(respond))
    with server, Client(server.url, rules="server", retries=0) as client:
        assert client.predict("churn", ROW)["source"] == "model"
        server.stop()
        assert client.predict("churn", ROW)["source"] == "rules"
        with pytest.raises(RulesUnusable, match="KeyError"):
            client.predict("churn", ROW | {"calls": 99})
        with pytest.raises(ServerUnreachable):
            client.predict("other", ROW)
        server.start()


def test_a_full_queue_raises_or_says_that_it_logged_nothing(tmp_path: Path) -> None:
    for queue in (tmp_path / "queue", None):
        with Client(NOWHERE, rules=stay, queue=queue, max_queued=2, retries=0) as client:
            for _ in range(2):
                client.predict("churn", ROW)
            with pytest.raises(QueueFull):
                client.predict("churn", ROW)
            assert client.waiting == 2
    answering = Client(NOWHERE, rules=stay, max_queued=1, retries=0, when_full="answer")
    assert "queued" in answering.predict("churn", ROW)
    assert answering.predict("churn", ROW)["logged"] is False
    assert answering.n_unlogged == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(QueueUnusable, match="denied"):
        Client(NOWHERE, rules=stay, queue=tmp_path / "queue")


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "queue").write_text("")
    with pytest.raises(QueueUnusable):
        Client(NOWHERE, queue=tmp_path / "queue")


def test_rules_from_a_file_and_rules_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "rules.py"
    file.write_text("def of(row):\n    return 'No'\ndef bad(row):\n    return [row]\n")
    with Client(NOWHERE, rules=f"{file}:of", retries=0) as client:
        assert client.predict("churn", ROW)["prediction"] == "No"
    with Client(NOWHERE, rules=f"{file}:bad", retries=0) as client, pytest.raises(RulesUnusable):
        client.predict("churn", ROW)
    for wrong in (f"{file}:nothing", str(file), "missing.py:of"):
        with pytest.raises(RulesUnusable):
            Client(NOWHERE, rules=wrong)


KILLED = """
import sys
from timonel.client import Client

client = Client(sys.argv[1], rules=lambda row: 1, queue=sys.argv[2], retries=0)
while True:
    print(client.predict("churn", {"visits": 1, "calls": 2, "port": "Arica"})["prediction_id"],
          flush=True)
"""


def test_kill_9_of_the_caller_loses_no_answer_it_gave(config: WorkerConfig, tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, NOWHERE, str(queue)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    given = {child.stdout.readline().strip() for _ in range(700)}  # more than one file
    child.send_signal(signal.SIGKILL)
    given |= {line.strip() for line in child.stdout.read().splitlines() if len(line) == 36}
    child.wait()
    child.stdout.close()
    torn = max(queue.glob("*.ndjson"))
    with torn.open("ab") as file:
        file.write(b'0badcafe ["/v1')
    with Listening(Worker(config)) as server, Client(server.url, queue=queue) as client:
        assert client.deliver() == 0
        assert client.deliver() == 0
    found = logged(config)
    assert given <= found.keys()
    assert len(found) - len(given) <= 1  # one may have been kept and not yet said
    assert list(queue.glob("*.ndjson")) == []


def test_importing_it_is_light() -> None:
    code = "import sys, timonel.client; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"numpy", "sqlalchemy", "httpx", "asyncio", "msgspec", "pydantic", "polars"}
    assert heavy.isdisjoint(loaded)
