"""The command demo: a server with a living city, or one honest run through all of it."""

import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timonel.cli.options import Json
from timonel.cli.output import explained, language, out, out_json, say
from timonel.cli.process import announce, report_notice

if TYPE_CHECKING:
    from timonel.app import App
    from timonel.simulate.result import DemoResult


_MOST_HELD = 200


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="Run through it once and stop.")] = False,
    as_json: Json = False,
    seed: Annotated[int, typer.Option(help="Seed of the city; not that of its history.")] = 7,
    port: Annotated[
        int | None, typer.Option(help="Port; default 8000, with --once any free one.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Predict workers.")] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the demo's project in this new folder.")
    ] = None,
) -> None:
    """Serve the example `dispatch` to a simulated city, and count what happens from outside."""
    with explained(as_json):
        from timonel.app import open_app
        from timonel.simulate.demo import living_clock, once_clock

        wanted = 0 if once and port is None else port
        wanted_workers = 2 if once and workers is None else workers
        with _project_folder(keep) as folder:
            app = open_app(folder, port=wanted, workers=wanted_workers)
            app.project.check()
            app.prepare(clock=once_clock() if once else living_clock())
            app.declare()
            if not as_json:
                say("demo_start", folder=folder)
            run = _Run(app, seed=seed, once=once, quiet=as_json)
            result = run.run()
    if once and result is not None and as_json:
        out_json(result.document())
    if once and (result is None or not result.ok):
        raise SystemExit(1)


@contextmanager
def _project_folder(keep: Path | None) -> Iterator[Path]:
    """Copy the example into a folder of its own; removed afterwards unless it is to be kept."""
    from timonel.simulate.examples import copy_for_demo

    if keep is not None:
        copy_for_demo(keep)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="timonel-demo-") as temporary:
        folder = Path(temporary) / "dispatch"
        copy_for_demo(folder)
        yield folder


class _Run:
    """The server in this thread, the city in another, until one of them ends."""

    def __init__(self, app: "App", *, seed: int, once: bool, quiet: bool) -> None:
        self._app = app
        self._seed = seed
        self._once = once
        self._quiet = quiet
        self._stop = threading.Event()
        self._result: DemoResult | None = None
        self._fault: BaseException | None = None
        self._held: deque[tuple[str, Mapping[str, Any]]] = deque(maxlen=_MOST_HELD)
        self._supervisor = app.supervisor(self._on_notice, with_worker=True)
        self._city = threading.Thread(target=self._live, name="city")

    def run(self) -> "DemoResult | None":
        """Serve until the city is done (``--once``) or a signal comes."""
        try:
            left = self._supervisor.run()
        finally:
            self._stop.set()
            if self._city.is_alive():
                self._city.join()
        if self._once and (self._result is None or not self._result.ok):
            for kind, facts in self._held:  # what the processes said may tell why
                report_notice(kind, facts, quiet=self._quiet)
        if not self._quiet:
            say("stopped_lag", bytes=left) if left else say("stopped")
        if self._fault is not None:
            raise self._fault
        return self._result

    def _on_notice(self, kind: str, facts: Mapping[str, Any]) -> None:
        if kind == "ready":
            if not self._quiet:
                announce(self._app, facts["url"])
            self._city.start()
        elif kind == "stopping":
            self._stop.set()
        if self._once:  # the story tells what it does; kill -9 is part of it
            self._held.append((kind, facts))
        else:
            report_notice(kind, facts, quiet=self._quiet)

    def _live(self) -> None:
        from timonel.simulate.demo import DemoOptions, live, once

        options = DemoOptions(seed=self._seed, lang="es" if language() == "es" else "en")
        tell = (lambda _: None) if self._quiet else out
        url = self._supervisor.url
        try:
            if self._once:
                self._result = once(self._app, url, options, say=tell, stop=self._stop)
            else:
                live(self._app, url, self._stop, options, say=tell)
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._fault = error
        finally:
            if self._once or self._fault is not None:
                self._supervisor.stop()
