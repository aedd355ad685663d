"""``python -m timonel.http.control '<ControlConfig>'``: the control process of a server."""

import logging
import sys

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
    config.socket.unlink(missing_ok=True)  # of a control process that was killed
    uvicorn.run(
        create_api(app, behind_worker=True),
        uds=str(config.socket),
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


if __name__ == "__main__":
    main(sys.argv[1])
