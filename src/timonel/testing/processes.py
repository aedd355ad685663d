"""What conformance checks run in processes of their own (importable by name, for ``spawn``)."""

from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from timonel.store.engine import make_engine
from timonel.store.migrate import upgrade


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
