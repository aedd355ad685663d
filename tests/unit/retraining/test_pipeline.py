"""A retraining from its request to its end, with real training and real processes."""

from tests.unit.retraining.world import MODEL, World

from timonel.jobs.job import JobState
from timonel.retraining import frames
from timonel.runtime.predictors import load_predictor


def wrong_of(world: World, rows: frames.Rows) -> int:
    """Count the rows that the first version answers otherwise than their truth."""
    manifest = world.app.registry.manifest(MODEL, "1.0.0")
    predictor = load_predictor(manifest, world.app.artifacts.get)
    answers = predictor.predict_rows(rows.values)
    return sum(a.prediction != truth for a, truth in zip(answers, rows.target, strict=True))


def test_a_loss_is_repaired_with_the_rows_that_were_wrong(any_world: World) -> None:
    world = any_world
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
    wrong = wrong_of(world, learned)
    assert wrong > 500, "the rows that the champion got wrong are what there is to learn"
    assert prepared["n_holdout"] == 200
    assert world.output(job, "train")["mixture"]["chosen"]["name"] == "log"
    lineage = world.champion.lineage["retraining"]
    assert lineage["loss_since"] == since
    assert lineage["log"]["rows"] == fetched["n_log"]
    assert lineage["mixture"]["tried"]
    print(job.result["report"]["es"])
    assert world.app.registry.verify_history().intact
