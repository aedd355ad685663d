"""Functions that executors and isolated steps run in tests (importable by name).

Each process that runs one imports this module: what only some of them need, they import themselves.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timonel.jobs.errors import JobEnded

if TYPE_CHECKING:
    from timonel.jobs.steps import StepContext


def draw(payload: dict[str, Any]) -> list[float]:
    """Draw numbers from a seed."""
    import numpy as np

    values: list[float] = np.random.default_rng(payload["seed"]).normal(size=5).tolist()
    return values


def give_back(payload: Any) -> Any:
    """Give the payload back."""
    return payload


def print_much(payload: Any) -> str:
    """Print, and give back how much was asked for."""
    print("x" * 100_000)  # noqa: T201
    return "y" * int(payload)


def raise_known(payload: Any) -> None:
    """Raise an error of Timonel's."""
    raise JobEnded(job_id=payload, state="failed")


def raise_unknown(payload: Any) -> None:
    """Raise an error of Python's."""
    message = f"cannot use {payload}"
    raise ValueError(message)


def give_nan(payload: Any) -> float:
    """Give what JSON does not hold."""
    return float("nan")


def kill_itself(payload: Any) -> None:
    """Die as if by want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang(payload: dict[str, Any]) -> None:
    """Start a child, write both process ids to a file, and hang."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    part = Path(f"{payload['file']}.part")
    part.write_text(f"{os.getpid()} {child.pid}", "utf-8")
    part.rename(payload["file"])
    time.sleep(600)


def hang_in_step(context: "StepContext") -> None:
    """Hang as a step."""
    hang(context.payload)


def hang_at_first_in_step(context: "StepContext") -> None:
    """Hang at the first attempt; count at the second."""
    if not Path(context.payload["file"]).exists():
        hang(context.payload)
    count_in_step(context)


def die_in_step(context: "StepContext") -> None:
    """Die as a step."""
    kill_itself(context.payload)


def raise_in_step(context: "StepContext") -> None:
    """Raise what the payload asks for, as a step."""
    if context.payload.get("known"):
        raise_known("0")
    raise_unknown("this")


def add_in_step(context: "StepContext") -> dict[str, Any]:
    """Compute from the steps before, as a step without an effect."""
    return {"sum": sum(output["n"] for output in context.outputs.values())}


def count_in_step(context: "StepContext") -> None:
    """Count up a row of the table ``effects``, as a step whose effect happens once."""
    from sqlalchemy import text

    with context.transaction() as connection:
        place = {"job": context.job.job_id, "step": context.step}
        changed = connection.execute(
            text("UPDATE effects SET n = n + 1 WHERE job = :job AND step = :step"), place
        )
        if changed.rowcount == 0:
            connection.execute(text("INSERT INTO effects VALUES (:job, :step, 1)"), place)
        context.complete({"n": len(context.outputs) + 1})
