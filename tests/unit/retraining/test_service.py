"""What starts a retraining, as routes, commands and the worker see it."""

import threading
from typing import Any

import httpx
import pytest
from tests.unit.retraining.world import MODEL, World
from typer.testing import CliRunner

from timonel.cli.main import app as cli
from timonel.cli.phrases.retrain import RETRAIN_TEXTS
from timonel.http.api import create_api
from timonel.jobs.job import JobState
from timonel.retraining import texts
from timonel.retraining.service import schedule_name
from timonel.worker import Worker


def client_of(world: World) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_api(world.app), client=("127.0.0.1", 5000))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


async def test_routes(world: World) -> None:
    async with client_of(world) as client:
        here = f"/v1/models/{MODEL}/retrain"
        check = (await client.post(f"{here}/check")).json()
        assert (check["would_run"], check["would_run_by_itself"]) == (True, None)
        assert [o["name"] for o in check["obstacles"]] == ["not_enough"]
        started = await client.post(here, json={"who": "ana"})
        assert started.status_code == 202
        job = started.json()
        assert started.headers["location"] == f"/v1/jobs/{job['job_id']}"
        refused = await client.post(here)
        assert (refused.status_code, refused.json()["job_id"]) == (409, job["job_id"])
        assert (await client.post(f"{here}/check")).json()["would_run"] is False
        assert world.runner().run_one()
        shown = (await client.get(f"/v1/jobs/{job['job_id']}")).json()
        assert (shown["state"], shown["result"]["state"]) == ("succeeded", "not_enough")
        assert [step["state"] for step in shown["steps"]] == ["done"] * 5
        assert "0 of 100" in shown["report"]
        listed = (await client.get(here, headers={"accept-language": "es"})).json()
        assert [one["job_id"] for one in listed["retrainings"]] == [job["job_id"]]
        assert "No alcanza" in listed["report"]
        second = (await client.post(here)).json()["job_id"]
        assert (await client.post(f"/v1/jobs/{second}/cancel")).json()["state"] == "cancelled"
        assert (await client.post(f"/v1/jobs/{second}/cancel")).status_code == 409
        page = (await client.get("/v1/jobs", params={"limit": 1})).json()
        assert [one["job_id"] for one in page["jobs"]] == [second]
        rest = (await client.get(page["next"])).json()
        assert [one["job_id"] for one in rest["jobs"]] == [job["job_id"]]
        for path in ("/v1/jobs/nothing", "/v1/models/ship/retrain"):
            assert (await client.get(path)).status_code == 404
        assert (await client.post("/v1/models/ship/retrain")).status_code == 404


def test_a_confirmed_loss_starts_one_and_cools_down(world: World) -> None:
    service = world.app.retraining
    world.live(320)
    assert service.consider() == []
    world.alert(world.live(299, turned=True)[0])
    assert service.consider() == []
    assert service.check(MODEL).obstacles == ({"name": "not_enough", "found": 299, "needed": 300},)
    world.live(1, turned=True)
    assert service.check(MODEL).by_itself == "loss"
    started = service.consider()
    assert [job.payload for job in started] == [{"trigger": "loss"}]
    assert service.consider() == []
    assert world.runner().run_one()
    assert world.champion.version == "1.0.1"
    obstacles = [o["name"] for o in service.check(MODEL).obstacles]
    assert obstacles == ["not_enough", "cooldown"], "each row judges once"
    assert service.consider() == []


def test_the_policy_schedules_and_takes_off(world: World) -> None:
    assert world.app.scheduler.list() == []
    world.mode("nightly")
    world.app.declare()
    (schedule,) = world.app.scheduler.list()
    assert (schedule.name, schedule.cron) == (schedule_name(MODEL), "0 2 * * *")
    assert schedule.unique_key == world.app.retraining.start(MODEL, who="ana").unique_key
    cron = world.app.retraining.check(MODEL).document()["triggers"][3]
    assert cron["enabled"]
    assert cron["next_at"] > world.app.clock.now_us()
    world.mode()
    world.app.declare()
    assert world.app.scheduler.list() == []


def test_the_worker_does_what_is_asked(world: World) -> None:
    world.live(37)
    job = world.app.retraining.start(MODEL, who="ana")
    stop = threading.Event()
    said: list[str] = []

    def report(kind: str, facts: dict[str, Any]) -> None:
        said.append(kind)
        if kind == "job_succeeded":
            stop.set()

    worker = threading.Thread(target=Worker(world.app, report).run, args=(stop,))
    worker.start()
    assert stop.wait(60), said
    worker.join(30)
    assert world.app.jobs.get(job.job_id).state is JobState.SUCCEEDED
    assert "chore_failed" not in said


@pytest.mark.parametrize("lang", ["en", "es"])
def test_commands(world: World, monkeypatch: pytest.MonkeyPatch, lang: str) -> None:
    monkeypatch.setenv("TIMONEL_LANGUAGE", lang)
    folder = ["-C", str(world.app.folder)]

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(cli, [*words, *folder])
        assert done.exit_code == code, done.output
        return done.output

    assert {"en": "would not start", "es": "no se iniciaría"}[lang] in run(
        "retrain", MODEL, "--check"
    )
    assert {"en": "No jobs", "es": "Sin trabajos"}[lang] in run("jobs")
    world.live(300, truth=0)
    waited = run("retrain", MODEL, "--wait")
    assert {"en": "say 0", "es": "dicen 0"}[lang] in waited
    (job,) = world.app.jobs.list()
    assert job.job_id in run("jobs", "list", "--model", MODEL)
    assert "fetch" in run("jobs", "show", job.job_id)
    run("retrain", MODEL)
    run("retrain", MODEL, code=1)
    second = world.app.jobs.list()[0].job_id
    assert {"en": "cancelled", "es": "cancelado"}[lang] in run("jobs", "cancel", second)
    run("jobs", "show", "nothing", code=1)


@pytest.mark.parametrize(
    "catalogue",
    [
        RETRAIN_TEXTS,
        texts.STATES,
        texts.WHY,
        texts.LINES,
        texts.TRIGGERS,
        texts.GATES,
        texts.FOUND,
        texts.VERDICTS,
    ],
)
def test_both_languages_say_the_same(catalogue: dict[str, dict[str, str]]) -> None:
    from string import Formatter

    for key, both in catalogue.items():
        fields = [{f for _, f, _, _ in Formatter().parse(text) if f} for text in both.values()]
        assert set(both) == {"en", "es"}, key
        assert fields[0] == fields[1], key
