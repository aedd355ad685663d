"""``python -m timonel.http.control '<ControlConfig>'``: the control process of a server."""

import os
import socket
import sys
from pathlib import Path

import uvicorn

from timonel import logging as logs
from timonel import tracing
from timonel.app import open_app
from timonel.http.access.guard import AsgiApp, Message, Receive, Scope, Send
from timonel.http.api import create_api
from timonel.http.problems import PROBLEM
from timonel.serving.config import ControlConfig, decode
from timonel.serving.processes.liveness import end_with_parent
from timonel.serving.routes.exchange import CLIENT_LEFT

FINISH_S = 15
BACKLOG = 256


def main(argument: str) -> None:
    """Serve the control application on its Unix socket until SIGTERM."""
    config = decode(argument, ControlConfig)
    end_with_parent()
    app = open_app(config.folder, **config.settings)
    logs.configure(app.settings.log_lines, app.settings.log_level, "control")
    tracing.configure("control", app.name)
    api: AsgiApp = create_api(app, behind_worker=True)
    if tracing.active is not None:
        api = Traced(api, tracing.active)
    server = uvicorn.Server(
        uvicorn.Config(
            api,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=FINISH_S,
        )
    )
    try:
        with _listen(config.socket) as sock:
            server.run(sockets=[sock])
    finally:
        tracing.close()


class Traced:
    """Spans every request that an application answers, by the route that takes it.

    Parameters
    ----------
    app : ASGI application
        Its router leaves the route it found in the scope.
    traces : Traces
    """

    def __init__(self, app: AsgiApp, traces: tracing.Traces) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = CLIENT_LEFT  # unless an answer begins

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"]
        with self._traces.request(method, "", dict(scope["headers"])) as span:
            try:
                await self._app(scope, receive, noting)
            finally:
                route = scope.get("route")
                if route is not None:
                    span.routed(method, route.path)
                span.responded(status, scope.get(PROBLEM))


def _listen(path: Path) -> socket.socket:
    """Make a Unix socket that only this user may open: whoever can is not asked for a key.

    It gets its name when it listens already, and takes the place of a dead process's.
    """
    unnamed = path.with_name(f"{path.name}.new")
    unnamed.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(unnamed))
    finally:
        os.umask(before)
    sock.listen(BACKLOG)
    unnamed.replace(path)
    return sock


if __name__ == "__main__":
    main(sys.argv[1])
