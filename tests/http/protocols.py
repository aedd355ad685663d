"""What the tests of the protocols share: a project of several models, and a worker on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from timonel.events.frames import Frame, PredictionFrame, RefusalFrame, decode
from timonel.events.segments import list_segments, read_frames
from timonel.registry.registry import Registry
from timonel.serving.application import ServingApplication, build
from timonel.serving.config import WorkerConfig
from timonel.testing.serving import ServingWorld, declared_manifest, linear_manifest


def open_world(folder: Path, url: str, registry: Registry) -> ServingWorld:
    """``churn`` has a champion and a previous version, ``ruled`` only rules, ``bare`` nothing."""
    world = ServingWorld(folder, url, registry)
    for name in ("churn", "ruled", "bare"):
        registry.declare(declared_manifest(name, **({"rules": None} if name == "bare" else {})))
    world.promote(linear_manifest(visits=1.0))
    world.promote()
    return world


@asynccontextmanager
async def serving(
    config: WorkerConfig, *, peer: str = "127.0.0.1"
) -> AsyncIterator[tuple[ServingApplication, httpx.AsyncClient]]:
    """Run a worker's application, and ask it in process."""
    app = build(config)
    await app.start()
    transport = httpx.ASGITransport(app, client=(peer, 1))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield app, client
    finally:
        await app.stop()


def frames(config: WorkerConfig) -> list[Frame]:
    """Give all that was logged."""
    return [
        decode(payload)
        for segment in list_segments(config.spool)
        for _, payload in read_frames(segment, 0, max_frames=100_000).frames
    ]


def predictions(config: WorkerConfig) -> list[PredictionFrame]:
    """Give the logged predictions."""
    return [frame for frame in frames(config) if isinstance(frame, PredictionFrame)]


def refusals(config: WorkerConfig) -> list[RefusalFrame]:
    """Give the logged refusals."""
    return [frame for frame in frames(config) if isinstance(frame, RefusalFrame)]
