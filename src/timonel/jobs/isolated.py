"""A step in a process of its own: what is sent to it, and what it does there.

The claim is plain data, so the step's transaction is guarded by the same token as if it ran in the
worker, and is refused should it outlive the claim.
"""

from typing import Any

from timonel.jobs.executors import find_function, function_path
from timonel.jobs.job import Claim, Json
from timonel.jobs.queue import JobQueue
from timonel.jobs.steps import Leash, Step, StepContext
from timonel.store.control import read_clock
from timonel.store.engine import make_engine

RUN_STEP = f"{__name__}:run_step"


def step_orders(queue: JobQueue, claim: Claim, step: Step, context: StepContext) -> dict[str, Any]:
    """Give what another process needs to run a step; it holds the database's password."""
    return {
        "database": queue.engine.url.render_as_string(hide_password=False),
        "project": queue.project,
        "job_id": claim.job.job_id,
        "worker_id": claim.worker_id,
        "token": claim.token,
        "lease_s": claim.lease_s,
        "position": context.position,
        "step": step.name,
        "outputs": dict(context.outputs),
        "function": function_path(step.run),
    }


def run_step(orders: dict[str, Any]) -> Json:
    """Run a step; give its output, and whether its own transaction has recorded it."""
    engine = make_engine(orders["database"])
    try:
        queue = JobQueue(engine, orders["project"], read_clock(engine, orders["project"]))
        job = queue.get(orders["job_id"])
        claim = Claim(job, orders["worker_id"], orders["token"], orders["lease_s"])
        context = StepContext(
            queue, claim, orders["position"], orders["step"], orders["outputs"], Leash()
        )
        output = find_function(orders["function"])(context)
        return {
            "output": output,
            "completed": context.completed,
            "completed_with": context.output if context.completed else None,
        }
    finally:
        engine.dispose()
