"""The five steps of a retraining: fetch, prepare, train, validate, deploy.

Each is recorded when it is done; what it leaves for the next is JSON and artifacts by hash. A step
whose worker died is done again, and has its effect once: an artifact is named by its content, a
version by its training, a look by its two versions, and a promotion is made against the champion
it was decided for. A job that cannot go on for want of data ends with a reason; it has not failed.
"""

from collections.abc import Callable
from typing import Any

from timonel.errors import ProjectFault
from timonel.events.plans import Plan
from timonel.jobs.errors import TaskEnded
from timonel.jobs.steps import JobKind, Step, StepContext, run_apart
from timonel.project.model import Model, Task
from timonel.registry.catalogue import ModelVersion
from timonel.retraining.deploy import deploy
from timonel.retraining.errors import TrainingStopped
from timonel.retraining.judging import verdicts
from timonel.retraining.judging.comparisons import newest_compared
from timonel.retraining.judging.gates import FEWEST_HELD, held_out
from timonel.retraining.learning import frames, isolated
from timonel.retraining.learning.log import read_labelled
from timonel.retraining.learning.mixture import options
from timonel.retraining.parts import Parts
from timonel.retraining.validate import validate
from timonel.store.engine import reading
from timonel.training.assemble import outcome_plan
from timonel.training.table import class_list

KIND = "retrain"
FETCH, PREPARE, TRAIN, VALIDATE, DEPLOY = STEPS = (
    "fetch",
    "prepare",
    "train",
    "validate",
    "deploy",
)
Json = dict[str, Any]
Isolate = Callable[[Callable[[Json], Json], Json], Json]


def retrain_kind(parts: Parts) -> JobKind:
    """Make the kind of job that retrains a model."""

    def step(name: str, work: Callable[[Parts, StepContext, Isolate], Json]) -> Step:
        def run(context: StepContext) -> Json:
            ended = _ended(context)
            if ended is not None and name != DEPLOY:
                return ended
            return work(parts, context, _isolation(parts, context))

        return Step(name, run)

    return JobKind(
        KIND,
        (
            step(FETCH, _fetch),
            step(PREPARE, _prepare),
            step(TRAIN, _train),
            step(VALIDATE, validate),
            step(DEPLOY, deploy),
        ),
    )


def _ended(context: StepContext) -> Json | None:
    """Give why an earlier step ended the job, if one did."""
    for output in context.outputs.values():
        if "ended" in output:
            return {"ended": output["ended"]}
    return None


def _isolation(parts: Parts, context: StepContext) -> Isolate:
    """Make what runs a function in a process of its own, killed when the step is to stop."""

    def run(function: Callable[[Json], Json], facts: Json) -> Json:
        payload = {
            "folder": str(parts.folder),
            "project": parts.name,
            "timezone": parts.timezone,
            "model": context.job.model,
            "artifacts": str(parts.artifacts.root),
            **facts,
        }
        limit = parts.timeout_s
        path = f"{function.__module__}:{function.__qualname__}"
        late = TrainingStopped(model=context.job.model, step=context.step, limit_s=limit)
        done = run_apart(context, parts.executor(), path, payload, limit_s=limit, too_long=late)
        return dict(done)

    return run


# --- fetch


def _fetch(parts: Parts, context: StepContext, isolate: Isolate) -> Json:
    """Read the labelled log and the original set; say on which world the rows bear."""
    model = parts.model(context.job.model)
    champion = parts.registry.champion(model.name)
    plan = outcome_plan(model)
    found = read_labelled(parts.engine, parts.name, model.name, plan, now_us=parts.now_us())
    context.check()
    truths = Plan(str(model.task), tuple(_classes(parts, champion)), plan)
    rows, dropped = frames.rows_of_log(found.rows, model, truths, parts.timezone)
    output = {
        "champion": None if champion is None else champion.version,
        "n_log": len(rows),
        "log_facts": found.document() | {"dropped": dropped},
    }
    with reading(parts.engine) as connection:
        compared = newest_compared(connection, parts.name, model.name)
    ended = _enough(model, rows, compared)
    if ended is not None:
        return output | ended
    original = _original(context, isolate)
    if champion is None:  # labels as the original set writes them, where no version says how
        truths = Plan(str(model.task), tuple(original.get("classes") or ()), plan)
        rows, _ = frames.rows_of_log(found.rows, model, truths, parts.timezone)
    onset = None if champion is None else verdicts.loss_onset(parts.engine, parts.name, champion)
    return output | {
        "log": frames.store(rows, model.schema, parts.artifacts),
        "original": original,
        "onset": onset,
        "compared_until": compared,
    }


def _original(context: StepContext, isolate: Isolate) -> Json:
    """Read the model's own source; one that raises or hangs is down, and the log is left."""
    try:
        return isolate(isolated.read_original, {})
    except (ProjectFault, TaskEnded) as error:
        return {"down": isolated.said(error)}


def _classes(parts: Parts, champion: ModelVersion | None) -> list[Any]:
    if champion is None:
        return []
    return parts.registry.manifest(champion.model, champion.version).classes or []


def _enough(model: Model, rows: frames.Rows, compared: int | None) -> Json | None:
    needed = max(model.policy.min_samples, 1)
    if len(rows) < needed:
        return _end("not_enough", found=len(rows), needed=needed)
    if model.task != Task.REGRESSION:
        classes = class_list(rows.target)
        if len(classes) < 2:
            return _end("one_class", label=classes[0], found=len(rows))
    n_fresh = sum(at > (compared or 0) for at in rows.at)
    if n_fresh < FEWEST_HELD:
        why = "not_enough" if compared is None else "not_enough_new"
        return _end(why, found=n_fresh, needed=FEWEST_HELD)
    return None


def _end(state: str, **facts: Any) -> Json:
    return {"ended": {"state": state, **facts}}


# --- prepare


def _prepare(parts: Parts, context: StepContext, isolate: Isolate) -> Json:
    """Keep the newest rows to judge by; list the ways to learn from the others."""
    fetched = context.outputs[FETCH]
    model = parts.model(context.job.model)
    rows = frames.load(fetched["log"], model.schema, parts.artifacts)
    onset, compared = fetched["onset"], fetched["compared_until"]
    n_recent = sum(at >= (onset or 0) for at in rows.at)
    n_fresh = sum(at > (compared or 0) for at in rows.at)
    n_held = held_out(n_recent, n_fresh)
    n = len(rows)
    learn, holdout = rows.take(range(n - n_held)), rows.take(range(n - n_held, n))
    original = fetched["original"]
    n_original = original.get("n", 0)
    n_since_loss = sum(at >= (onset or 0) for at in learn.at)
    needed = model.policy.min_samples
    if len(learn) + n_original < needed:
        return _end("not_enough", found=n, needed=needed + n_held)
    ways = options(
        n_log=len(learn),
        n_since_loss=n_since_loss,
        n_original=n_original,
        onset_us=onset,
        needed=needed,
    )
    store = parts.artifacts
    return {
        "learn": frames.store(learn, model.schema, store),
        "holdout": frames.store(holdout, model.schema, store),
        "n_learn": len(learn),
        "n_since_loss": n_since_loss,
        "n_original": n_original,
        "n_holdout": n_held,
        "holdout_from": holdout.at[0],
        "holdout_until": holdout.at[-1],
        "ways": [way.document() for way in ways.ways],
        "why": ways.why,
    }


# --- train


def _train(parts: Parts, context: StepContext, isolate: Isolate) -> Json:
    """Train the candidate in a process of its own."""
    fetched, prepared = context.outputs[FETCH], context.outputs[PREPARE]
    original = fetched["original"]
    shown = {key: original[key] for key in original if key not in ("rows", "classes")}
    description = {
        "kind": "retraining",
        "job": context.job.job_id,
        "trigger": context.payload.get("trigger", "hand"),
        "champion": fetched["champion"],
        "log": fetched["log_facts"],
        "original": shown,
        "loss_since": fetched["onset"],
        "n_learn": prepared["n_learn"],
        "n_holdout": prepared["n_holdout"],
        "why_mixture": prepared["why"],
    }
    return isolate(
        isolated.train_candidate,
        {
            "learn": prepared["learn"],
            "holdout": prepared["holdout"],
            "original": original.get("rows"),
            "ways": prepared["ways"],
            "description": description,
            "profile": _profile(parts, fetched["champion"], context.job.model),
        },
    )


def _profile(parts: Parts, champion: str | None, name: str) -> Any:
    """Give the champion's reference profile, whose cells a version of the same schema keeps."""
    if champion is None:
        return None
    version = parts.registry.get(name, champion)
    if version.schema_digest != parts.model(name).schema.digest():
        return None
    profile_id = parts.registry.manifest(name, champion).profile
    profile = None if profile_id is None else parts.registry.profile(profile_id)
    return None if profile is None else profile.to_json()
