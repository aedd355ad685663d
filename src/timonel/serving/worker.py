"""A predict worker: ``python -m timonel.serving.worker LISTENER HEARTBEAT``, orders on stdin.

One event loop over a listening socket that the supervisor bound. It imports no more than the
answer needs: no SQLAlchemy, no pydantic, no FastAPI, no training library.
"""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop

from timonel import logging as logs
from timonel import tracing
from timonel.serving import rule_limit
from timonel.serving.application import ServingApplication, build
from timonel.serving.config import WorkerConfig, decode
from timonel.serving.connection import KnownHeads, WorkerHttp
from timonel.serving.processes.accepting import FairServer
from timonel.serving.processes.liveness import Heartbeat, end_with_parent, receive_orders

TICK_S = 0.05  # how soon a new generation is known of; silence is judged after 2 s
KEEP_ALIVE_S = 75  # longer than the 60 s of the usual balancers: they close first
FINISH_S = 15
_MANY_OBJECTS = 20_000


def main(arguments: list[str]) -> None:
    """Serve until SIGTERM, then finish what was begun."""
    listener, heartbeat = arguments
    config = decode(receive_orders(), WorkerConfig)
    stopping: list[int] = []
    # Seen before uvicorn listens to signals, and again when it passes one on after draining. A
    # list, not an Event: its lock may be held by the very code that a signal interrupts.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stopping.append(number))
    if config.log_format == "json":
        logs.configure("json", config.log_level, f"worker-{config.slot_index}")
    tracing.configure(f"worker-{config.slot_index}", config.project)
    rule_limit.install()
    end_with_parent()
    application = build(config)
    beat = Heartbeat(Path(heartbeat))
    with socket.socket(fileno=int(listener)) as sock:
        try:
            uvloop.run(_serve(application, sock, beat, Path(heartbeat), stopping))
        finally:
            tracing.close()


def _uvicorn(application: ServingApplication) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        loop="uvloop",
        http=cast(Any, partial(WorkerHttp, plain=application.plain, known=KnownHeads())),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=FINISH_S,
    )


async def _serve(
    application: ServingApplication,
    sock: socket.socket,
    beat: Heartbeat,
    heartbeat: Path,
    stopping: list[int],
) -> None:
    await application.start()
    server = FairServer(_uvicorn(application), beat, heartbeat)
    _leave_alone_what_stays()
    ticking = asyncio.create_task(_tick(application, server, beat, stopping))
    try:
        await server.serve(sockets=[sock])
    finally:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        await application.stop()


def _leave_alone_what_stays() -> None:
    """Have cycles looked for seldom, and not among what lives as long as the process.

    A request leaves none behind, but the rows of a large one made Python look through everything
    again and again, for a fifth of the time that they took.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MANY_OBJECTS, 20, 20)


async def _tick(
    application: ServingApplication,
    server: FairServer,
    beat: Heartbeat,
    stopping: list[int],
) -> None:
    """Leave signs of life from the loop itself, so that a loop that hangs is seen."""
    while True:
        server.should_exit = server.should_exit or bool(stopping)
        ready = server.started and application.ready and not server.should_exit
        beat.tick(time.monotonic_ns(), application.generation, ready=ready)
        server.tell_connections()
        application.tell_state()
        rule_limit.interrupt_overdue()
        await asyncio.sleep(TICK_S)


if __name__ == "__main__":
    main(sys.argv[1:])
