"""Commands on retraining and jobs."""

import time
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from timonel.cli.options import HERE, Folder, Json, Who
from timonel.cli.output import explained, language, moment, out, out_json, say, table, text

if TYPE_CHECKING:
    from timonel.app import App
    from timonel.jobs.job import Job
    from timonel.retraining.triggers import Trigger, TriggerReport

_GRACE_S = 2.0
_POLL_S = 0.3

Model = Annotated[str, typer.Argument(help="Name of a declared model.")]
JobId = Annotated[str, typer.Argument(help="Id of the job.")]
OfModel = Annotated[str | None, typer.Option("--model", help="Only this model's.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="The most that are shown.")]
State = Annotated[str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")]


def register(app: typer.Typer) -> None:
    """Add ``timonel retrain`` and ``timonel jobs``."""
    app.command()(retrain)
    group = typer.Typer(help="Work that lasts: retrainings, and what became of them.")
    group.callback(invoke_without_command=True)(_or_list)
    group.command("list")(list_jobs)
    for command in (show, cancel):
        group.command()(command)
    app.add_typer(group, name="jobs")


def retrain(
    model: Model,
    folder: Folder = HERE,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what would happen, and why.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until it ends; do it here if no worker does.")
    ] = False,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Retrain a model on its logged answers and their truths; gates decide what serves."""
    with explained(as_json):
        from timonel.app import host_name, open_app

        app = open_app(folder)
        app.require_prepared()
        if check:
            _print_check(app, app.retraining.check(model), as_json)
            return
        job = app.retraining.start(model, who=who or host_name())
        if not wait:
            _print_started(job, as_json)
            return
        if not as_json:
            say("retrain_started", model=model, job_id=job.job_id)
        job = _until_ended(app, job.job_id)
        _print_job(app, job, as_json)
        if job.state != "succeeded":
            raise SystemExit(1)


def _print_started(job: "Job", as_json: bool) -> None:
    from timonel.retraining.documents import job_document

    if as_json:
        out_json(job_document(job))
    else:
        say("retrain_started", model=job.model, job_id=job.job_id)


def _until_ended(app: "App", job_id: str) -> "Job":
    """Wait for a job; work on it in this process where no worker takes it."""
    from timonel.app import host_name
    from timonel.jobs.job import ENDED, JobState
    from timonel.jobs.runner import JobRunner

    began = time.monotonic()
    runner = JobRunner(app.jobs, app.job_kinds(), f"{host_name()} --wait", lambda *_: None)
    while (job := app.jobs.get(job_id)).state not in ENDED:
        waited = time.monotonic() - began
        if job.state is JobState.QUEUED and waited > _GRACE_S and runner.run_one():
            continue
        time.sleep(_POLL_S)
    return job


# --- check


def _print_check(app: "App", report: "TriggerReport", as_json: bool) -> None:
    if as_json:
        out_json(report.document())
        return
    say("check_would" if report.by_hand else "check_would_not", model=report.model)
    if report.by_itself is not None:
        say("check_itself", trigger=text(f"check_{report.by_itself}"))
    else:
        say("check_not_itself")
    rows = [_trigger_row(app, trigger) for trigger in report.triggers]
    table(text("check_headings").split("|"), rows)
    for obstacle in report.obstacles:
        facts = {name: value for name, value in obstacle.items() if name != "name"}
        if "until" in facts:
            facts["until"] = moment(facts["until"], ZoneInfo(app.config.timezone))
        say(f"check_{obstacle['name']}", **facts)


def _trigger_row(app: "App", trigger: "Trigger") -> list[str]:
    facts: dict[str, Any] = dict(trigger.facts)
    for name in ("since", "next_at"):
        if facts.get(name) is not None:
            facts[name] = moment(facts[name], ZoneInfo(app.config.timezone))
    known = facts and all(facts.get(name) is not None for name in _NEEDED[trigger.name])
    found = text(f"check_found_{trigger.name}", **facts) if known else "-"
    words = [text("yes") if one else text("no") for one in (trigger.holds, trigger.enabled)]
    return [text(f"check_{trigger.name}"), *words, found]


_NEEDED = {
    "loss": ("since", "n", "effect"),
    "labels": ("n", "needed"),
    "age": ("age_h", "max_age_h"),
    "cron": ("cron", "next_at"),
    "drift": ("n_columns",),
}


# --- jobs


def _or_list(
    context: typer.Context,
    folder: Folder = HERE,
    state: State = None,
    model: OfModel = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    if context.invoked_subcommand is None:
        list_jobs(folder, state, model, limit, as_json)


def list_jobs(
    folder: Folder = HERE,
    state: State = None,
    model: OfModel = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List jobs, the newest first."""
    with explained(as_json):
        from timonel.app import open_app
        from timonel.retraining.documents import job_document

        app = open_app(folder)
        app.require_prepared()
        found = app.jobs.list(state=state, model=model, limit=limit)
        if as_json:
            out_json([job_document(job) for job in found])
        elif not found:
            say("no_jobs")
        else:
            table(text("jobs_headings").split("|"), [_job_row(app, job) for job in found])


def _job_row(app: "App", job: "Job") -> list[str]:
    return [
        job.job_id,
        job.kind,
        job.model,
        text(f"job_state_{job.state}"),
        job.requested_by,
        moment(job.created_at, ZoneInfo(app.config.timezone)),
        sentence_of(job),
    ]


def sentence_of(job: "Job") -> str:
    """Say in one line what came of a job."""
    from timonel.events.importing import pulls

    if job.error is not None and job.result is None:
        return str(job.error["detail_es" if language() == "es" else "detail"])
    if job.kind == pulls.KIND and job.result is not None:
        return pulls.result_sentence(job.result, language())
    return result_sentence(job.result)


def result_sentence(result: Any) -> str:
    """Say in one line what a job's result is; "" where it is no retraining's."""
    from timonel.retraining.report import outcome_sentence

    if not isinstance(result, dict) or "report" not in result:
        return ""
    return outcome_sentence(result, language()).replace("**", "")


def show(job_id: JobId, folder: Folder = HERE, as_json: Json = False) -> None:
    """Show a job, its steps, and its report."""
    with explained(as_json):
        from timonel.app import open_app

        app = open_app(folder)
        app.require_prepared()
        _print_job(app, app.jobs.get(job_id), as_json)


def _print_job(app: "App", job: "Job", as_json: bool) -> None:
    from timonel.retraining.documents import job_document, report_of, step_document

    steps = app.jobs.steps(job.job_id)
    report = report_of(job, language())
    if as_json:
        listed = [step_document(step) for step in steps]
        out_json(job_document(job) | {"steps": listed, "report": report})
        return
    state = text(f"job_state_{job.state}")
    say("job_title", job_id=job.job_id, kind=job.kind, model=job.model, state=state)
    say(
        "job_asked",
        who=job.requested_by,
        when=moment(job.created_at, ZoneInfo(app.config.timezone)),
        attempts=job.attempts,
        max_attempts=job.max_attempts,
    )
    for step in steps:
        say("job_step", step=step.step, state=text(f"job_state_{step.state}"))
    said = sentence_of(job)
    if report is None and job.error is None and said:
        out(said)
    if job.error is not None:
        suffix = "_es" if language() == "es" else ""
        say("job_error", detail=job.error[f"detail{suffix}"], remedy=job.error[f"remedy{suffix}"])
    if report is not None:
        out()
        out(report)


def cancel(job_id: JobId, folder: Folder = HERE, as_json: Json = False) -> None:
    """Stop a job: at once if it waits, at its next step if it runs."""
    with explained(as_json):
        from timonel.app import open_app
        from timonel.retraining.documents import job_document

        app = open_app(folder)
        app.require_prepared()
        job = app.jobs.cancel(job_id)
        if as_json:
            out_json(job_document(job))
        elif job.state == "cancelled":
            say("job_cancelled", job_id=job.job_id, state=text("job_state_cancelled"))
        else:
            say("job_cancelling", job_id=job.job_id)
