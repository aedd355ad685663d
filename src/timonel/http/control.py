"""``python -m timonel.http.control '<ControlConfig>'``: the control process of a server."""

import logging
import os
import socket
import sys
from pathlib import Path

import uvicorn

from timonel.app import open_app
from timonel.http.api import create_api
from timonel.serving.config import ControlConfig, decode
from timonel.serving.processes.liveness import end_with_parent

FINISH_S = 15


def main(argument: str) -> None:
    """Serve the control application on its Unix socket until SIGTERM."""
    config = decode(argument, ControlConfig)
    end_with_parent()
    app = open_app(config.folder, **config.settings)
    level = app.settings.log_level.upper()
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # the supervisor says when it starts
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
    config.socket.unlink(missing_ok=True)


def _listen(path: Path) -> socket.socket:
    """Bind a Unix socket that only this user may open: whoever can is not asked for a key."""
    path.unlink(missing_ok=True)  # of a control process that was killed
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
    return sock


if __name__ == "__main__":
    main(sys.argv[1])
