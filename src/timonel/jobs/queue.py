"""The durable queue: a job is claimed by one worker at a time, and only the last claim may write.

A claim raises the job's *token* and holds a *lease* on the database's clock, which heartbeats
extend. Whoever finds a lease ended claims the job anew; from then on each write of the worker
before, if it still lives, is refused, for every write asks for its token (ADR 0018). All of it is
guarded UPDATEs, which SQLite and PostgreSQL do alike.
"""

from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from timonel.clock import Clock
from timonel.errors import TimonelError
from timonel.jobs import claims, rows
from timonel.jobs.errors import JobActive, JobCancelled, JobEnded, LeaseLost, UnknownJob
from timonel.jobs.job import (
    ENDED,
    RETRY_FIRST_S,
    Claim,
    Job,
    JobState,
    Json,
    Standing,
    StepRecord,
    StepState,
    retry_wait_s,
    write_error,
    write_json,
)
from timonel.store.engine import database_now, reading
from timonel.store.tables_loop import job_steps, jobs
from timonel.wire.ids import IdSource, parse_uuid

LEASE_S = 15.0

Jobs = list[Job]
Steps = list[StepRecord]

_ids = IdSource()
_row = jobs.c


class JobQueue:
    """The jobs of one project; safe to use from several threads, processes and hosts.

    Parameters
    ----------
    engine : Engine
        Of a database that ``upgrade`` has prepared.
    project : str
    clock : Clock
        Event time, for the moments that people read; leases are on the database's clock.
    retry_first_s : float
        How long a job waits after its first failed attempt; twice as long after each further one.
    """

    def __init__(
        self, engine: Engine, project: str, clock: Clock, *, retry_first_s: float = RETRY_FIRST_S
    ) -> None:
        self.engine = engine
        self.project = project
        self.clock = clock
        self._retry_first_s = retry_first_s

    def submit(
        self,
        kind: str,
        *,
        model: str = "",
        payload: Json = None,
        unique_key: str | None = None,
        requested_by: str,
        delay_s: float = 0.0,
        max_attempts: int = 3,
        connection: Connection | None = None,
    ) -> Job:
        """Enter a job.

        Parameters
        ----------
        kind, model, payload
            What to do, on which model ("" for none), with which JSON-safe facts (``{}`` if None).
        unique_key : str or None
            Its purpose: only one job of a purpose is active at a time.
        requested_by : str
        delay_s : float
            Not before so many seconds from now, by the database's clock.
        max_attempts : int
            How many claims it may take, of workers that fail or die.
        connection : Connection or None
            A transaction to enter it in; None: one of its own.

        Raises
        ------
        JobActive
            If one of the same purpose has not ended; ``context["job_id"]`` names it.
        NotJson
            If the payload cannot be stored.
        """
        values = {
            "project": self.project,
            "job_id": UUID(bytes=_ids.next()),
            "kind": kind,
            "model": model,
            "payload": write_json({} if payload is None else payload, "the payload of a job"),
            "state": JobState.QUEUED,
            "unique_key": unique_key,
            "active": True,
            "requested_by": requested_by[:128],
            "created_at": self.clock.now_us(),
            "run_at": database_now() + round(delay_s * 1e6),
            "attempts": 0,
            "max_attempts": max_attempts,
            "token": 0,
            "cancel_requested": False,
        }
        if connection is not None:
            return self._enter(connection, values)
        with self.engine.begin() as own:
            return self._enter(own, values)

    def get(self, job_id: str) -> Job:
        """Give a job.

        Raises
        ------
        UnknownJob
        """
        with reading(self.engine) as connection:
            return self._get(connection, job_id)

    def list(
        self,
        *,
        state: JobState | str | None = None,
        model: str | None = None,
        kind: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Jobs:
        """List jobs, the newest first.

        Parameters
        ----------
        state, model, kind
            Only these; None: all.
        limit : int
        before : str or None
            The ``job_id`` that the page before ended with.
        """
        wanted: list[ColumnElement[bool]] = [_row.project == self.project]
        for column, value in ((_row.state, state), (_row.model, model), (_row.kind, kind)):
            if value is not None:
                wanted.append(column == value)
        if before is not None:
            wanted.append(_row.job_id < _identifier(before))
        query = select(jobs).where(*wanted).order_by(_row.job_id.desc()).limit(limit)
        with reading(self.engine) as connection:
            return [rows.read_job(row) for row in connection.execute(query)]

    def steps(self, job_id: str) -> Steps:
        """List the steps that a job has begun, in their order."""
        step = job_steps.c
        query = (
            select(job_steps)
            .where(step.project == self.project, step.job_id == _identifier(job_id))
            .order_by(step.position)
        )
        with reading(self.engine) as connection:
            return [rows.read_step(row) for row in connection.execute(query)]

    def cancel(self, job_id: str) -> Job:
        """Stop a job: at once if it waits, at its next heartbeat or step if it runs.

        Raises
        ------
        UnknownJob
        JobEnded
            If it has ended.
        """
        mine = self._mine(job_id)
        active = update(jobs).where(*mine, _row.state.not_in(sorted(ENDED)))
        waiting = update(jobs).where(*mine, _row.state == JobState.QUEUED)
        ended = claims.ended(JobState.CANCELLED, self.clock.now_us())
        with self.engine.begin() as connection:
            asked = connection.execute(active.values(cancel_requested=True)).rowcount
            connection.execute(waiting.values(ended))
            job = self._get(connection, job_id)
        if not asked:
            raise JobEnded(job_id=job_id, state=job.state)
        return job

    def claim(
        self,
        worker_id: str,
        lease_s: float = LEASE_S,
        kinds: Collection[str] | None = None,
        on_end: Callable[[Job], None] | None = None,
    ) -> Claim | None:
        """Take a job that is due, or whose worker's lease has ended.

        Parameters
        ----------
        worker_id : str
        lease_s : float
            How long it is held without a heartbeat.
        kinds : collection of str or None
            Only of these kinds; None: of any.
        on_end : callable or None
            Told of a job that ends here, as its last worker died or was to be stopped.

        Returns
        -------
        Claim or None
            None if there was nothing to take.
        """
        with reading(self.engine) as connection:
            found = claims.claimable(connection, self.project, kinds)
        for row in found:
            taken = claims.take(
                self.engine, row, worker_id=worker_id, lease_s=lease_s, now=self.clock.now_us()
            )
            if isinstance(taken, Claim):
                return taken
            if taken is not None and on_end is not None:
                on_end(taken)
        return None

    def heartbeat(self, claim: Claim) -> bool:
        """Extend the lease; False if the job was cancelled or is another's: then stop."""
        return self.standing(claim, extend=True) is Standing.HELD

    def standing(self, claim: Claim, *, extend: bool = False) -> Standing:
        """Say whether a claim still holds, and extend its lease if asked to."""
        held = self._held(claim)
        asked = select(_row.cancel_requested).where(*held)
        if not extend:
            with reading(self.engine) as connection:
                return _standing(connection.scalar(asked))
        until = database_now() + round(claim.lease_s * 1e6)
        with self.engine.begin() as connection:
            connection.execute(update(jobs).where(*held).values(lease_until=until))
            return _standing(connection.scalar(asked))

    def begin_step(self, claim: Claim, position: int, step: str) -> None:
        """Write that a step begins.

        Raises
        ------
        LeaseLost
            If the job is another's by now.
        JobCancelled
            If it is to stop.
        """
        values = {
            "step": step,
            "state": StepState.RUNNING,
            "attempt": claim.job.attempts,
            "output": None,
            "started_at": self.clock.now_us(),
            "finished_at": None,
            "error": None,
        }
        place = {
            "project": self.project,
            "job_id": UUID(claim.job.job_id),
            "position": position,
        }
        with self.engine.begin() as connection:
            self.fence(connection, claim)
            if connection.scalar(select(_row.cancel_requested).where(*self._held(claim))):
                raise JobCancelled(job_id=claim.job.job_id)
            again = update(job_steps).where(*self._step(claim, position)).values(values)
            if connection.execute(again).rowcount == 0:
                connection.execute(insert(job_steps), place | values)

    def finish_step(
        self, claim: Claim, position: int, output: Json, *, connection: Connection | None = None
    ) -> None:
        """Write that a step is done, and its output; may be repeated.

        Parameters
        ----------
        connection : Connection or None
            The transaction of the step's effects, so that both are committed or neither is.

        Raises
        ------
        LeaseLost
            If the job is another's by now; the caller's transaction must then be rolled back.
        """
        if connection is None:
            with self.engine.begin() as own:
                self.finish_step(claim, position, output, connection=own)
            return
        done = {
            "state": StepState.DONE,
            "output": write_json(output, f"the output of step {position + 1}"),
            "finished_at": self.clock.now_us(),
        }
        self.fence(connection, claim)
        connection.execute(update(job_steps).where(*self._step(claim, position)).values(done))

    def finish(self, claim: Claim, result: Json = None) -> None:
        """Write that the job has succeeded.

        Raises
        ------
        LeaseLost
        """
        values = claims.ended(JobState.SUCCEEDED, self.clock.now_us())
        values |= {"result": write_json(result, "the result of a job"), "error": None}
        self._write(claim, values)

    def fail(self, claim: Claim, error: TimonelError, *, retry: bool) -> JobState:
        """Write that the attempt has failed: the job ends, or waits for its next attempt.

        Returns
        -------
        JobState
            ``failed``; ``queued`` if attempts are left and ``retry`` is set; ``cancelled`` if
            somebody asked for that meanwhile.

        Raises
        ------
        LeaseLost
        """
        document = write_error(error)
        now = self.clock.now_us()
        with self.engine.begin() as connection:
            self.fence(connection, claim)
            row = connection.execute(select(jobs).where(*self._held(claim))).one()
            document["n_deaths"] = rows.deaths(row)
            if row.cancel_requested:
                values = claims.ended(JobState.CANCELLED, now)
            elif retry and row.attempts < row.max_attempts:
                wait_s = retry_wait_s(row.attempts, self._retry_first_s)
                values = claims.waiting(wait_s)
            else:
                values = claims.ended(JobState.FAILED, now)
            text = write_json(document, "an error")
            connection.execute(
                update(jobs).where(*self._held(claim)).values(values | {"error": text})
            )
            claims.fail_steps(connection, self.project, claim.job.job_id, text, now)
        return JobState(values["state"])

    def acknowledge_cancel(self, claim: Claim) -> None:
        """Write that the running job has stopped, as somebody asked.

        Raises
        ------
        LeaseLost
        """
        text = write_json(write_error(JobCancelled(job_id=claim.job.job_id)), "an error")
        self._write(claim, claims.ended(JobState.CANCELLED, self.clock.now_us()), step_error=text)

    def release(self, claim: Claim) -> None:
        """Give a job back unfinished, for another worker to go on with at once.

        Its attempt is not counted: the worker stops in good order.

        Raises
        ------
        LeaseLost
        """
        self._write(claim, claims.waiting(0.0) | {"attempts": _row.attempts - 1})

    def fence(self, connection: Connection, claim: Claim) -> None:
        """Let a transaction go on only if the claim still holds, and until it ends nobody claim.

        Raises
        ------
        LeaseLost
        """
        held = self._held(claim)
        if connection.execute(update(jobs).where(*held).values(token=claim.token)).rowcount != 1:
            raise LeaseLost(job_id=claim.job.job_id, worker_id=claim.worker_id)

    def _enter(self, connection: Connection, values: dict[str, Any]) -> Job:
        while True:
            self._refuse_second(connection, values["unique_key"])
            try:
                with connection.begin_nested():
                    connection.execute(insert(jobs).values(values))
            except IntegrityError:  # another process entered one of this purpose meanwhile
                continue
            return self._get(connection, str(values["job_id"]))

    def _refuse_second(self, connection: Connection, unique_key: str | None) -> None:
        if unique_key is None:
            return
        active = select(_row.job_id, _row.state).where(
            _row.project == self.project,
            _row.unique_key == unique_key,
            _row.state.in_([JobState.QUEUED, JobState.RUNNING]),
        )
        row = connection.execute(active).first()
        if row is not None:
            raise JobActive(unique_key=unique_key, job_id=str(row.job_id), state=row.state)

    def _write(
        self, claim: Claim, values: dict[str, Any], *, step_error: str | None = None
    ) -> None:
        with self.engine.begin() as connection:
            self.fence(connection, claim)
            connection.execute(update(jobs).where(*self._held(claim)).values(values))
            if step_error is not None:
                now = self.clock.now_us()
                claims.fail_steps(connection, self.project, claim.job.job_id, step_error, now)

    def _get(self, connection: Connection, job_id: str) -> Job:
        row = connection.execute(select(jobs).where(*self._mine(job_id))).first()
        if row is None:
            raise UnknownJob(job_id=job_id)
        return rows.read_job(row)

    def _mine(self, job_id: str) -> tuple[ColumnElement[bool], ...]:
        return _row.project == self.project, _row.job_id == _identifier(job_id)

    def _held(self, claim: Claim) -> tuple[ColumnElement[bool], ...]:
        running = _row.state == JobState.RUNNING
        return *self._mine(claim.job.job_id), _row.token == claim.token, running

    def _step(self, claim: Claim, position: int) -> tuple[ColumnElement[bool], ...]:
        step = job_steps.c
        mine = step.job_id == UUID(claim.job.job_id)
        return step.project == self.project, mine, step.position == position


def _identifier(job_id: str) -> UUID:
    parsed = parse_uuid(job_id)
    if parsed is None:
        raise UnknownJob(job_id=job_id)
    return UUID(bytes=parsed)


def _standing(cancel_requested: bool | None) -> Standing:
    if cancel_requested is None:
        return Standing.LOST
    return Standing.CANCELLED if cancel_requested else Standing.HELD
