"""What retrainings that have ended leave in the artifact store: the rows that they had fetched.

Versions name none of it: what serves is in their manifests, and what they learned from is in their
lineage as digests and counts. The same rows may be another job's, so a file goes only when no job
that is still active names it, and a day after it was last written or asked for.
"""

import json
from typing import Any

from sqlalchemy import select

from timonel.retraining.parts import Parts
from timonel.retraining.pipeline import KIND
from timonel.store.engine import reading
from timonel.store.tables_loop import job_steps, jobs

KEEP_S = 86_400.0
_NEWEST = 2_000  # steps that are looked at; those of older jobs were when they were new
_NAMES = ("log", "learn", "holdout", "candidate")


def remove_leftovers(parts: Parts, *, keep_s: float = KEEP_S) -> int:
    """Remove what ended retrainings left, ``keep_s`` after it was last written; give how many."""
    job, step = jobs.c, job_steps.c
    query = (
        select(job.active, step.output)
        .join(job_steps, (step.project == job.project) & (step.job_id == job.job_id))
        .where(job.project == parts.name, job.kind == KIND, step.output.is_not(None))
        .order_by(job.job_id.desc())
        .limit(_NEWEST)
    )
    left: set[str] = set()
    needed: set[str] = set()
    with reading(parts.engine) as connection:
        for active, output in connection.execute(query):
            (needed if active else left).update(_named(json.loads(output)))
    return sum(parts.artifacts.discard(name, older_than_s=keep_s) for name in left - needed)


def _named(output: dict[str, Any]) -> set[str]:
    found = {output.get(name) for name in _NAMES} | set(output.get("left", ()))
    found.add((output.get("original") or {}).get("rows"))
    return {name for name in found if isinstance(name, str)}
