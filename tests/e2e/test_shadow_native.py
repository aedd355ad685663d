"""A native challenger unheard: a real pool that hangs and crashes, real workers, a real kill."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import Engine, select
from tests.e2e.test_processes_native_pool import (
    CRASH,
    HANG,
    NAN,
    PATIENT_S,
    RAISE,
    native_manifest,
)

from timonel.clock import AffineClock
from timonel.experiments.service import Experiments
from timonel.experiments.wishes import Wish, design_of
from timonel.registry.artifacts import ArtifactStore
from timonel.registry.manifest import ServingPolicy
from timonel.serving.processes.slots import StateFolder
from timonel.store.tables import predictions, shadow_answers
from timonel.testing.builders import PROJECT, make_manifest, open_registry, register_version
from timonel.testing.server import Server, ServerPlan

pytestmark = pytest.mark.slow
DEADLINE_MS = 3000.0


class Shadowed:
    """A compiled champion that answers 3 visits, and a native challenger that doubles them."""

    def __init__(self, engine: Engine, server: Server, client: httpx.Client) -> None:
        self.engine = engine
        self.server = server
        self.client = client

    def ask(self, visits: float) -> str:
        answer = self.client.post("/v1/models/price/predict", json={"inputs": {"visits": visits}})
        said = answer.json()
        assert (answer.status_code, said["source"]) == (200, "model"), answer.text
        assert said["prediction"] == 3.0 * visits
        return str(said["prediction_id"])

    def fates(self) -> dict[str, tuple[str, str | None]]:
        s = shadow_answers.c
        with self.engine.connect() as connection:
            rows = connection.execute(select(s.prediction_id, s.fate, s.answer).where(s.joined))
            return {str(row.prediction_id): (row.fate, row.answer) for row in rows}

    def asked(self) -> dict[str, bool | None]:
        p = predictions.c
        with self.engine.connect() as connection:
            rows = connection.execute(select(p.prediction_id, p.shadow_asked))
            return {str(identifier): asked for identifier, asked in rows}

    def fate_of(self, visits: float) -> tuple[str, str | None]:
        identifier = self.ask(visits)
        await_that(lambda: identifier in self.fates())
        return self.fates()[identifier]


def await_that(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENT_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def shadowed(tmp_path: Path, database: str) -> Iterator[Shadowed]:
    native = msgspec.structs.replace(
        native_manifest(ArtifactStore(StateFolder(tmp_path).artifacts)),
        policy=ServingPolicy(deadline_ms=DEADLINE_MS),
    )
    step = {"kind": "number", "input": 0, "fill": 0.0}
    linear = {"coef": [[3.0]], "intercept": [0.0], "link": "identity"}
    plan = {"format": 1, "timezone": "UTC", "precision": "float64", "n_inputs": 1}
    own: dict[str, Any] = {"task": "regression", "classes": None, "positive": None}
    compiled = make_manifest(
        "price",
        **own,
        baseline=None,
        predictor="linear",
        plan=plan | {"steps": [step], "linear": linear},
    )
    settings = {"port": 0, "workers": 1, "role": "predict", "native_processes": 1}
    served = ServerPlan(state=tmp_path, database_url=database, project=PROJECT, settings=settings)
    with open_registry(database) as (engine, registry):
        registry.declare(msgspec.structs.replace(compiled, predictor="none", plan=None))
        champion = register_version(registry, model="price", manifest=compiled).version
        registry.promote("price", champion, who="ana", reason="first")
        other = register_version(registry, "2", model="price", recipe="n", manifest=native).version
        wish = Wish(name="native", control=champion, treatment=other, mode="shadow", unit="request")
        design = design_of(wish, model="price", task="regression", depends_on_action=False)
        experiments = Experiments(engine, PROJECT, AffineClock(), registry, lambda _: None)
        experiments.create(design, who="ana")
        experiments.start("native", who="ana")
        with Server(served) as server, httpx.Client(base_url=server.url, timeout=60) as client:
            yield Shadowed(engine, server, client)


def test_a_native_challenger_that_hangs_crashes_or_dies_with_its_worker_touches_no_answer(
    shadowed: Shadowed,
) -> None:
    # until the pool has loaded it, what it is asked is late
    await_that(lambda: shadowed.fate_of(7.0) == ("answered", "14.0"))
    assert shadowed.fate_of(NAN) == ("invalid", None)
    assert shadowed.fate_of(RAISE) == ("failed", None)
    assert shadowed.fate_of(CRASH) == ("failed", None)
    assert shadowed.fate_of(HANG) == ("late", None)
    await_that(lambda: shadowed.fate_of(8.0) == ("answered", "16.0"))
    shadowed.ask(9.0)
    lost = shadowed.ask(HANG)
    (pid,) = shadowed.server.worker_pids()
    shadowed.server.kill([pid])
    await_that(lambda: shadowed.server.worker_pids() not in ([0], [pid]))
    with httpx.Client(base_url=shadowed.server.url, timeout=60) as client:
        shadowed.client = client
        await_that(lambda: shadowed.fate_of(8.0) == ("answered", "16.0"))
    await_that(lambda: lost in shadowed.asked())
    asked, fates = shadowed.asked(), shadowed.fates()
    missing = Counter(identifier in fates for identifier, one in asked.items() if one)
    assert asked[lost] is True
    assert lost not in fates
    assert missing[False] in (1, 2)  # the one before it may have been on its way, too
