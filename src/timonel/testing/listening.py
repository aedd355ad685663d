"""An ASGI application on a real port of this machine, that may go away and come back."""

import threading
from typing import Any, Self

import uvicorn

from timonel.serving.application import ServingApplication, build
from timonel.serving.config import WorkerConfig
from timonel.serving.processes.ports import listen


class Listening:
    """Serves an application from a thread; the same port at each start.

    Parameters
    ----------
    app : ASGI application
        Started and stopped by its lifespan.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens, or did."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen and serve; returns when it is ready."""
        sock = listen("127.0.0.1", self._port)
        self._port = sock.getsockname()[1]
        config = uvicorn.Config(
            self._app, lifespan="on", log_config=None, timeout_graceful_shutdown=1
        )
        ready = threading.Event()

        class Told(uvicorn.Server):
            async def startup(self, sockets: Any = None) -> None:
                await super().startup(sockets)
                ready.set()

        self._server = server = Told(config)
        self._thread = threading.Thread(target=lambda: server.run([sock]), daemon=True)
        self._thread.start()
        if not ready.wait(30):
            message = "the server did not start"
            raise TimeoutError(message)

    def stop(self) -> None:
        """Go away; a request under way is cut after a second."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(30)
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Worker:
    """A predict worker's application with a lifespan; a new one at each start."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._app: ServingApplication | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as the worker does; its lifespan starts and stops it."""
        if scope["type"] != "lifespan":
            assert self._app is not None
            await self._app(scope, receive, send)
            return
        await receive()
        self._app = build(self._config)
        await self._app.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._app.stop()
        await send({"type": "lifespan.shutdown.complete"})
