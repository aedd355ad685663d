"""Commands that run or check processes: up, serve, worker, db, doctor."""

import logging
import shutil
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timonel import logging as logs
from timonel import tracing
from timonel.cli.lifecycle import print_training
from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import (
    explained,
    language,
    log_as_asked,
    out,
    out_json,
    print_error,
    say,
    text,
)
from timonel.cli.retrain import result_sentence
from timonel.errors import TimonelError, in_language

if TYPE_CHECKING:
    from timonel.host import Host as ServingHost
    from timonel.jobs.job import Job

_log = logging.getLogger("timonel.processes")
_TRAININGS = ("training", "trained", "training_failed")
_RETRAIN = "retrain"  # the kind of job

Host = Annotated[str | None, typer.Option(help="Address to listen on; default 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; default 8000, 0: any free one.")]
Workers = Annotated[int | None, typer.Option(help="Predict workers; default 1.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (up, serve, worker, doctor):
        app.command()(command)
    database = typer.Typer(help="The database.", no_args_is_help=True)
    database.command(name="upgrade")(db_upgrade)
    app.add_typer(database, name="db")


def up(
    folder: Folder = HERE, host: Host = None, port: Port = None, workers: Workers = None
) -> None:
    """Run everything on this machine: server, drainers, worker; trains a first version."""
    with explained():
        from timonel.app import open_app
        from timonel.cli.checks import differing_schemas

        app = open_app(folder, host=host, port=port, workers=workers)
        output = log_as_asked(app, "supervisor")
        app.project.check()
        app.prepare()
        changed = app.declare()
        if changed:
            say("declared", models=", ".join(changed))
        for finding in differing_schemas(app):
            out(in_language(finding.detail, language()))
            out(f"  -> {finding.remedy}")
        run_server(app, output, with_worker=True)


def serve(
    folder: Folder = HERE,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    role: Annotated[str | None, typer.Option(help="predict, control or all.")] = None,
) -> None:
    """Serve predictions (and control routes); the database must be at this release's schema.

    Role predict serves what others have published: it declares nothing, reads no project code, and
    is all that the serving-only install (timonel-serve) runs.
    """
    with explained():
        from timonel.host import open_host

        chosen = {"host": host, "port": port, "workers": workers, "role": role}
        server: ServingHost = open_host(folder, **chosen)
        output = log_as_asked(server, "supervisor")
        server.require_prepared()
        if server.settings.role != "predict":
            from timonel.app import open_app

            app = open_app(folder, **chosen)
            app.declare()
            server = app
        run_server(server, output, with_worker=False)


def run_server(app: "ServingHost", output: logs.Output | None, *, with_worker: bool) -> None:
    """Run the supervisor until a signal; print where it serves once it is ready."""
    from timonel.host import host_name

    def on_notice(kind: str, facts: Mapping[str, Any]) -> None:
        if kind == "ready":
            announce(app, facts["url"])
        if output is not None:
            log_notice(output, kind, facts)
        else:
            report_notice(kind, facts)

    secret = app.make_first_key(who=host_name())
    if secret is not None:
        say("first_key", secret=secret)  # to this terminal alone: no log has it
    tracing.configure("supervisor", app.name)  # its threads drain
    try:
        left = app.supervisor(on_notice, with_worker=with_worker).run()
    finally:
        tracing.close()
    say("stopped_lag", bytes=left) if left else say("stopped")


def announce(app: "ServingHost", url: str) -> None:
    """Print the addresses, and the line that puts ``timonel`` on the PATH."""
    models = app.registry.models()
    model = next(iter(models), "MODEL")
    say("serving_at", project=app.name, url=url)
    if not models:
        say("nothing_declared")
    predict_only = app.settings.role == "predict"
    say("addresses_predict" if predict_only else "addresses", url=url, model=model)
    if shutil.which("timonel") is None:
        say("path_hint", folder=Path(sys.executable).parent)
    say("stop_hint")


def report_notice(kind: str, facts: Mapping[str, Any], *, quiet: bool = False) -> None:
    """Print what the supervisor tells, apart from what ``announce`` said already."""
    from timonel.serving.processes.notices import text_of

    if kind in ("listening", "ready", "stopped"):
        return
    if kind == "log" and facts["process"] == "worker":  # it speaks in sentences of its own
        if not quiet:
            out(facts["line"])
        return
    if quiet and kind == "stopping":
        return
    sys.stderr.write(text_of(kind, facts, language()) + "\n")
    sys.stderr.flush()


def log_notice(output: logs.Output, kind: str, facts: Mapping[str, Any]) -> None:
    """Log what the supervisor tells, as JSON; what a child logs goes on as it is."""
    from timonel.serving.processes.notices import Notice, text_of

    if kind == Notice.LOG:
        logs.pass_on(output, facts["process"], facts["line"])
        return
    usual = (Notice.LISTENING, Notice.READY, Notice.STOPPING, Notice.STOPPED)
    level = logging.INFO if kind in usual else logging.ERROR
    child = {"child": facts["process"]} if "process" in facts else {}
    _log.log(level, "%s", text_of(kind, facts), extra={"event": kind, **child})


def worker(
    folder: Folder = HERE,
    attached: Annotated[
        bool, typer.Option("--attached", hidden=True, help="End with the process that started it.")
    ] = False,
) -> None:
    """Run trainings and chores against the project's database, beside any number of servers."""
    with explained():
        from timonel.app import open_app
        from timonel.serving.processes.liveness import end_with_parent
        from timonel.worker import Worker

        if attached:
            end_with_parent()
        app = open_app(folder)
        output = log_as_asked(app, "worker", attached=attached)
        app.require_prepared()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        say("worker_started", project=app.name)
        tracing.configure("worker", app.name)
        try:
            if output is not None:
                _log.info("the worker has started")
                Worker(app, _log_work).run(stop)
            else:
                Worker(app, _report_work).run(stop)
        finally:
            tracing.close()


def _report_work(kind: str, facts: dict[str, Any]) -> None:
    if kind == "training":
        say("training_first", **facts)
    elif kind == "trained":
        print_training(facts["published"])
    elif kind == "matured":
        say("matured", **facts)
    elif kind.startswith("job_"):
        _report_job(kind, facts["job"], facts)
    elif "error" in facts:
        if kind == "training_failed":
            say("training_failed", model=facts["model"])
        print_error(facts["error"])


def _log_work(kind: str, facts: dict[str, Any]) -> None:
    job, error = facts.get("job"), facts.get("error")
    known = {"model": job.model, "job": str(job.job_id)} if job is not None else {}
    known |= {"model": facts["model"]} if facts.get("model") else {}
    if "published" in facts:
        version = facts["published"].version
        known |= {"model": version.model, "version": version.version}
    level = logging.INFO if error is None else logging.ERROR
    said = kind if error is None else f"{kind}: {error}"
    _logger_of(kind, job).log(level, "%s", said, extra={"event": kind, **known})


def _logger_of(kind: str, job: "Job | None") -> logging.Logger:
    """Give the logger of what a worker did."""
    if job is not None:
        return logging.getLogger("timonel.retraining" if job.kind == _RETRAIN else "timonel.jobs")
    return logging.getLogger("timonel.training") if kind in _TRAININGS else _log


def _report_job(kind: str, job: "Job", facts: dict[str, Any]) -> None:
    named = {"kind": job.kind, "model": job.model, "job_id": job.job_id}
    if kind == "job_started":
        say("work_started", **named)
    elif kind == "job_succeeded":
        say("work_succeeded", sentence=result_sentence(facts["result"]))
    elif kind == "job_cancelled":
        say("work_cancelled", **named)
    elif kind == "job_failed":
        say("work_failed", **named)
        if isinstance(facts["error"], TimonelError):
            print_error(facts["error"])


def db_upgrade(folder: Folder = HERE) -> None:
    """Bring the database to this release's schema."""
    with explained():
        from timonel.host import open_host

        open_host(folder).prepare()
        say("migrated")


def doctor(folder: Folder = HERE, as_json: Json = False) -> None:
    """Check installation, project, sources, database, artifacts, spool and port."""
    with explained(as_json):
        from timonel.cli.checks import diagnose

        findings = diagnose(folder)
        if as_json:
            out_json([finding.document() for finding in findings])
        else:
            for finding in findings:
                said = finding.document()
                out(f"{text('doctor_' + finding.state):>8}  {finding.name:<12} {said['detail']}")
                if finding.remedy:
                    out(f"{'':>8}  {'':<12} -> {said['remedy']}")
        if any(finding.state == "failed" for finding in findings):
            raise SystemExit(1)
