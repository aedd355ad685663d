"""A time limit for the project's rules: one that never ends must not take its worker with it.

Rules are called in the event loop. There the alarm of a timer interrupts them, in a loop of Python
as in a sleep or while a socket is read. In the thread of a large batch no signal arrives; there
the loop's ticks set an exception from outside, which ends Python code, though no blocking call.
What neither ends (a computation inside a library) silences the worker, and its supervisor starts
another one.
"""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

LIMIT_S = 0.25  # several in a row still leave the worker time to say that it lives

_Given = TypeVar("_Given")
_Result = TypeVar("_Result")
_main = threading.main_thread().ident
_lock = threading.Lock()
_threads: dict[int, float] = {}  # which threads are in a rule, and until when they may
_armed = False  # a rule runs in the main thread
_installed = False


class Overdue(BaseException):
    """A rule ran too long; no ``Exception``, so that rules do not catch it by accident."""


def install() -> None:
    """Take the process's alarm signal; without it nothing is limited. Main thread only."""
    global _installed
    signal.signal(signal.SIGALRM, _alarm)
    _installed = True


def within(limit_s: float, call: Callable[[_Given], _Result], given: _Given) -> _Result:
    """Call a function that may be interrupted.

    Raises
    ------
    Overdue
        If it did not end in time.
    """
    if not _installed:
        return call(given)
    if threading.get_ident() != _main:
        return _in_thread(limit_s, call, given)
    global _armed
    _armed = True
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        return call(given)
    finally:
        _armed = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def interrupt_overdue() -> None:
    """End the rules of other threads that ran too long; to be called again and again."""
    if not _threads:
        return
    import ctypes

    now = time.monotonic()
    with _lock:
        for ident in [ident for ident, until in _threads.items() if now > until]:
            del _threads[ident]
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(ident), ctypes.py_object(Overdue)
            )


def _in_thread(limit_s: float, call: Callable[[_Given], _Result], given: _Given) -> _Result:
    ident = threading.get_ident()
    try:
        with _lock:
            _threads[ident] = time.monotonic() + limit_s
        return call(given)
    finally:
        with _lock:
            _threads.pop(ident, None)
        _settle()


def _settle() -> None:
    """Be a call: what was set from outside is raised here at the latest, not in other code."""


def _alarm(_number: int, _frame: FrameType | None) -> None:
    global _armed
    if _armed:
        _armed = False
        raise Overdue
