"""What conformance checks run in processes of their own (importable by name)."""

import os
import signal
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy import Engine, event

from timonel.clock import AffineClock
from timonel.registry.errors import ChampionChanged
from timonel.registry.registry import Registry
from timonel.store.control import read_generation
from timonel.store.engine import make_engine
from timonel.store.migrate import upgrade
from timonel.testing.builders import register_version


def upgrade_at_barrier(url: str, barrier: Barrier, results: "Queue[str]") -> None:
    """Upgrade a database at the same moment as others; put "done", "already" or the error."""
    engine = make_engine(url)
    barrier.wait(60)
    try:
        results.put("done" if upgrade(engine) else "already")
    except Exception as error:  # noqa: BLE001 - the other side reports it
        results.put(repr(error))
    finally:
        engine.dispose()


def register_and_promote(
    url: str, project: str, name: str, barrier: Barrier, results: "Queue[Any]"
) -> None:
    """Register and promote three versions at the same moment as others; put how many it won."""
    engine = make_engine(url)
    registry = Registry(engine, project, AffineClock())
    barrier.wait(60)
    n_won = 0
    try:
        for n in range(3):
            version = register_version(registry, f"{name}-{n}")
            try:
                registry.promote(version.model, version.version, who=name, reason="mine")
                n_won += 1
            except ChampionChanged:
                continue
        results.put(n_won)
    except Exception as error:  # noqa: BLE001 - the other side reports it
        results.put(repr(error))
    finally:
        engine.dispose()


def killed_promotions(url: str, project: str, model: str, results: "Queue[Any]") -> None:
    """Promote ``1.0.1`` in children that kill themselves after their 1st, 2nd, ... statement.

    Puts a list of what was found after each: (champion, how far the generation had risen). It ends
    with the first child that had no statement left to be killed after.
    """
    try:
        results.put(_states(url, project, model))
    except Exception as error:  # noqa: BLE001 - the other side reports it
        results.put(repr(error))


def _states(url: str, project: str, model: str) -> list[tuple[str, int]]:
    engine = make_engine(url)
    registry = Registry(engine, project, AffineClock())
    first = read_generation(engine, project)
    states: list[tuple[str, int]] = []
    killed = True
    while killed:
        engine.dispose()  # no connection goes into the child; compiled statements do
        child = os.fork()
        if child == 0:
            _promote_and_die(registry, model, after=len(states) + 1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        champion = registry.champion(model)
        risen = read_generation(engine, project) - first
        states.append((champion.version if champion else "", risen))
    engine.dispose()
    return states


def _promote_and_die(registry: Registry, model: str, after: int) -> None:
    registry.get(model, "1.0.1")  # connects, so that what follows is counted from the promotion
    n = 0

    @event.listens_for(Engine, "after_cursor_execute")
    def die(*_: object) -> None:
        nonlocal n
        n += 1
        if n == after:
            os.kill(os.getpid(), signal.SIGKILL)

    registry.promote(model, "1.0.1", who="ana", reason="killed")
