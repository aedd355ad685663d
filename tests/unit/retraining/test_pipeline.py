"""A retraining from its request to its end, with real training and real processes."""

import threading

import pytest
from tests.unit.retraining.world import MODEL, World

from timonel.alerts.book import AlertBook
from timonel.alerts.texts import describe
from timonel.jobs.errors import JobActive
from timonel.jobs.job import JobState
from timonel.registry.versions import Stage
from timonel.retraining.documents import report_of
from timonel.retraining.learning import frames
from timonel.retraining.leftovers import remove_leftovers
from timonel.runtime.predictors import load_predictor


def wrong_of(world: World, rows: frames.Rows) -> int:
    """Count the rows that the first version answers otherwise than their truth."""
    manifest = world.app.registry.manifest(MODEL, "1.0.0")
    predictor = load_predictor(manifest, world.app.artifacts.get)
    answers = predictor.predict_rows(rows.values)
    return sum(a.prediction != truth for a, truth in zip(answers, rows.target, strict=True))


def test_a_loss_is_repaired_with_the_rows_that_were_wrong(any_world: World) -> None:
    world = any_world
    if world.app.engine.dialect.name == "sqlite":
        world.isolate()
    world.live(250)
    since = world.live(900, turned=True)[0]
    world.alert(since)
    job = world.retrain("loss")
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.result["state"] == "promoted", job.result["report"]["en"]
    assert world.champion.version == "1.0.1"
    fetched, prepared = world.output(job, "fetch"), world.output(job, "prepare")
    learned = frames.load(prepared["learn"], world.app.model(MODEL).schema, world.app.artifacts)
    assert fetched["log_facts"]["answered_otherwise"] > 700
    assert wrong_of(world, learned) > 500, "what the champion got wrong is what there is to learn"
    assert prepared["n_holdout"] == 200
    assert world.output(job, "train")["mixture"]["chosen"]["name"] == "log"
    lineage = world.champion.lineage["retraining"]
    assert lineage["loss_since"] == since
    assert lineage["log"]["rows"] == fetched["n_log"]
    assert lineage["mixture"]["tried"]
    spanish = report_of(job, "es")
    assert spanish is not None
    assert "está en producción" in spanish
    assert world.app.registry.verify_history().intact


def test_an_equal_model_on_few_rows_is_undecided_and_each_row_judges_once(world: World) -> None:
    world.live(320, noise=1.5)
    first = world.retrain()
    assert first.state is JobState.SUCCEEDED, first.error
    assert first.result["verdict"] == "UNDECIDED", first.result["report"]["en"]
    judged = world.output(first, "validate")
    champion = next(gate for gate in judged["gates"] if gate["name"] == "champion")
    assert champion["n_to_decide"] > champion["n"] == 200
    assert str(champion["n_to_decide"]) in str(report_of(first, "en"))
    assert world.champion.version == "1.0.0"
    assert world.app.registry.get(MODEL, "1.0.1").stage is Stage.VALIDATION
    again = world.retrain()
    assert again.result["state"] == "not_enough_new"
    assert again.result["found"] == 0
    world.live(250, noise=1.5)
    third = world.retrain()
    judged = world.output(third, "validate")
    assert (judged["look"], round(judged["alpha"], 4)) == (2, 0.0076)


def test_a_worse_candidate_fails(world: World) -> None:
    world.mode("recipe-constant")
    world.live(900)
    job = world.retrain()
    assert job.result["verdict"] == "FAIL", job.result["report"]["en"]
    assert world.app.registry.get(MODEL, job.result["version"]).stage is Stage.FAILED
    assert world.champion.version == "1.0.0"
    history = world.app.registry.history(MODEL)[-1]
    assert '"champion"' in history.gates
    spanish = str(report_of(job, "es"))
    assert "rechazada" in spanish
    assert "no peor que el campeón: difiere en -0," in spanish


def test_manual_approval_waits_for_a_person(world: World) -> None:
    world.mode("manual")
    world.live(700, turned=True)
    job = world.retrain()
    assert (job.result["state"], job.result["why"]) == ("pending", "approval")
    assert world.champion.version == "1.0.0"
    service, book = world.app.retraining, world.app.alerts
    service.consider()
    (notice,) = book.list()
    assert (notice.kind, notice.severity) == ("APPROVAL_PENDING", "INFO")
    said = describe(notice, "es")
    assert said.title == f"{MODEL}@1.0.1 espera a una persona"
    assert said.seen.startswith("Pasó todas las compuertas")
    assert f"`timonel promote {MODEL} 1.0.1`" in said.steps[1]
    world.app.registry.promote(MODEL, job.result["version"], who="ana", reason="approved")
    assert world.champion.version == "1.0.1"
    service.consider()
    assert book.list() == []


def test_fetched_rows_are_removed_when_no_job_needs_them(world: World) -> None:
    world.live(700, turned=True)
    job = world.retrain()
    parts, store = world.app.retraining.parts, world.app.artifacts
    fetched, prepared = world.output(job, "fetch"), world.output(job, "prepare")
    names = [fetched["log"], fetched["original"]["rows"], prepared["learn"], prepared["holdout"]]
    names += [world.output(job, "train")["candidate"], *world.output(job, "validate")["left"]]
    assert all(name in store for name in names)
    assert remove_leftovers(parts) == 0, "a day has not passed"
    world.forget_step(job, "deploy")  # it works on
    assert remove_leftovers(parts, keep_s=0) == 0
    assert world.runner().run_one()
    assert remove_leftovers(parts, keep_s=0) == len(set(names))
    assert not any(name in store for name in names)
    manifest = world.app.registry.manifest(MODEL, "1.0.1")
    assert load_predictor(manifest, store.get).predict_row([0.1, 0.2, "a", True, None])
    assert world.app.registry.verify_history().intact


@pytest.mark.parametrize("word", ["source-down", "source-hangs"])
def test_a_source_that_is_down_leaves_the_log_and_a_person(world: World, word: str) -> None:
    world.mode(word)
    if word == "source-hangs":
        world.isolate(4.0, first_only=True)
    world.live(800, turned=True)
    job = world.retrain()
    assert job.state is JobState.SUCCEEDED, job.error
    assert (job.result["state"], job.result["why"]) == ("pending", "source_down")
    assert "down" in world.app.registry.get(MODEL, "1.0.1").lineage["retraining"]["original"]
    assert "no respondió" in str(report_of(job, "es"))


def test_not_enough_labels_is_a_state_with_a_reason(world: World) -> None:
    world.live(37)
    job = world.retrain()
    assert job.state is JobState.SUCCEEDED
    assert (job.result["state"], job.result["found"], job.result["needed"]) == (
        "not_enough",
        37,
        100,
    )
    assert "37 of 100" in str(report_of(job, "en"))
    assert [v.version for v in world.app.registry.versions(MODEL)] == ["1.0.0"]


def test_labels_of_one_class_are_not_learned_from(world: World) -> None:
    world.live(300, truth=1)
    job = world.retrain()
    assert (job.result["state"], job.result["label"]) == ("one_class", 1)
    assert "say 1" in str(report_of(job, "en"))


@pytest.mark.parametrize("word", ["recipe-raises", "recipe-hangs"])
def test_a_recipe_that_raises_or_hangs_fails_the_job_alone(world: World, word: str) -> None:
    world.live(500)
    world.mode(word)
    if word == "recipe-hangs":
        world.isolate(6.0)
    job = world.retrain()
    assert job.state is JobState.FAILED
    assert job.error is not None
    expected = {"recipe-raises": "recipe_failed", "recipe-hangs": "training_stopped"}
    assert job.error["code"] == expected[word]
    assert world.champion.version == "1.0.0"
    world.app.retraining.consider()
    book: AlertBook = world.app.alerts
    assert [alert.kind for alert in book.list()] == ["JOB_FAILED"]


def test_one_at_a_time_and_cancel(world: World) -> None:
    first = world.app.retraining.start(MODEL, who="ana")
    with pytest.raises(JobActive) as refused:
        world.app.retraining.start(MODEL, who="eva")
    assert refused.value.context["job_id"] == first.job_id
    world.app.jobs.cancel(first.job_id)
    second = world.app.retraining.start(MODEL, who="eva")
    assert second.job_id != first.job_id


def test_a_running_recipe_is_killed_when_the_job_is_cancelled(world: World) -> None:
    world.live(500)
    world.mode("recipe-hangs")
    world.isolate()
    job = world.app.retraining.start(MODEL, who="ana")
    begun = threading.Event()

    def report(kind: str, facts: dict[str, object]) -> None:
        if kind == "step_finished" and facts["step"] == "prepare":
            begun.set()

    worker = threading.Thread(target=world.runner(report, lease_s=1.5).run_one)
    worker.start()
    assert begun.wait(60)
    world.app.jobs.cancel(job.job_id)
    worker.join(30)
    assert world.app.jobs.get(job.job_id).state is JobState.CANCELLED


def test_a_rollback_is_never_undone_by_a_job_that_resumes(world: World) -> None:
    world.live(700, turned=True)
    job = world.retrain()
    assert job.result["state"] == "promoted", job.result["report"]["en"]
    world.app.registry.roll_back(MODEL, who="ana", reason="I do not like it")
    world.forget_step(job, "deploy")
    assert world.runner().run_one()
    assert world.app.jobs.get(job.job_id).result["state"] == "taken_back"
    assert world.champion.version == "1.0.0"
