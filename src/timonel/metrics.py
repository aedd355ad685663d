"""A project's own metrics: ``timonel.metrics.record("translation_latency_ms", 12.5, lang="es")``.

To be called from rules, recipes, notifiers, training code and scripts. A call costs some
microseconds, does no I/O, never raises and never waits; where it is wrong it is counted
(``dropped_values``) and said in the log once. Values are added up by minute and written to disk
five times a second, and at the process's end; ``kill -9`` loses what came after the last time. What
is on disk counts exactly once. ``timonel metrics`` shows it.
"""

import sys
from pathlib import Path

from timonel.events.recorded.recorder import RECORDER

__all__ = ["flush", "record", "use"]


def record(name: str, value: float, /, **labels: str | int) -> None:
    """Record a value of a metric.

    Parameters
    ----------
    name : str
        Of ``a-z``, ``0-9`` and ``_``, at most 64 characters, its unit at its end: ``wait_s``.
    value : float
        Finite, at most 1e12 in magnitude; kept in steps of 1e-6.
    **labels : str or int
        At most 4, of few different values: 100 sets of labels a name are told apart, further ones
        are counted together.
    """
    if not RECORDER.looked:
        RECORDER.near(sys._getframe(1).f_globals.get("__file__"))
    RECORDER.record(name, value, labels)


def flush() -> bool:
    """Write what was recorded until now; say whether all of it is in the file."""
    return RECORDER.flush()


def use(project: str | Path) -> bool:
    """Record for the project of a folder; say whether there is one.

    Without it: the project whose folder holds the code that records first, else that of the
    working directory. A process of a server records for its own.
    """
    return RECORDER.use(Path(project))
