"""A worker killed at every boundary of a retraining: another goes on, and nothing is done twice."""

import multiprocessing
import signal
from collections import Counter

from sqlalchemy import select, update
from tests.databases import postgres_with_the_slow
from tests.unit.retraining.killed import work_until
from tests.unit.retraining.world import MODEL, World

from timonel.jobs.job import ENDED, JobState, one_per_model
from timonel.retraining.pipeline import KIND, STEPS
from timonel.store.tables_loop import comparisons, jobs

MOMENTS = (
    "after fetch",
    "after prepare",
    "after train",
    "registered",
    "after validate",
    "promoted",
    "never",
)


@postgres_with_the_slow
def test_killed_at_every_boundary(any_world: World, database: str) -> None:
    world = any_world
    world.live(700, turned=True)
    app = world.app
    job = app.jobs.submit(
        KIND,
        model=MODEL,
        payload={"trigger": "hand"},
        unique_key=one_per_model(KIND, MODEL),
        requested_by="ana",
        max_attempts=20,
    )
    context = multiprocessing.get_context("forkserver")
    for moment in MOMENTS:
        with app.engine.begin() as connection:  # the lease of the dead one has ended
            connection.execute(update(jobs).values(lease_until=0))
        worker = context.Process(target=work_until, args=(app.folder, database, moment))
        worker.start()
        worker.join(120)
        if moment != "never":
            assert worker.exitcode == -signal.SIGKILL, moment
    ended = app.jobs.get(job.job_id)
    assert ended.state in ENDED
    assert ended.state is JobState.SUCCEEDED, ended.error
    assert ended.attempts == len(MOMENTS)
    assert ended.result["state"] == "promoted"
    assert [step.step for step in app.jobs.steps(job.job_id)] == list(STEPS)
    assert [v.version for v in app.registry.versions(MODEL)] == ["1.0.1", "1.0.0"]
    moves = Counter((row.version, row.to_stage) for row in app.registry.history(MODEL))
    assert set(moves.values()) == {1}, moves
    assert world.champion.version == "1.0.1"
    with app.engine.connect() as connection:
        looks = connection.execute(select(comparisons.c.candidate, comparisons.c.look)).all()
    assert [tuple(look) for look in looks] == [("1.0.1", 1)]
    assert app.registry.verify_history().intact
