"""``python -m timonel.http.control '<ControlConfig>'``: the control process of a server."""

import os
import socket
import sys
from pathlib import Path

import uvicorn

from timonel import logs
from timonel.app import open_app
from timonel.http.api import create_api
from timonel.serving.config import ControlConfig, decode
from timonel.serving.processes.liveness import end_with_parent

FINISH_S = 15
BACKLOG = 256


def main(argument: str) -> None:
    """Serve the control application on its Unix socket until SIGTERM."""
    config = decode(argument, ControlConfig)
    end_with_parent()
    app = open_app(config.folder, **config.settings)
    logs.configure(app.settings.log_format, app.settings.log_level, "control")
    server = uvicorn.Server(
        uvicorn.Config(
            create_api(app, behind_worker=True),
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
    with _listen(config.socket) as sock:
        server.run(sockets=[sock])


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
