"""The client for an event loop."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from timonel.client.core import Document, Failure, Pause, Reply, Row, Send, Step, Steps, WhenFull
from timonel.client.parts import MAX_QUEUED, Parts, encoded, failure, reply_of
from timonel.client.rules import Given

if TYPE_CHECKING:
    import httpx

_T = TypeVar("_T")


class AsyncClient:
    """As ``Client``, awaited; rules and writes to disk run in threads. Belongs to one loop.

    Parameters
    ----------
    base_url, api_key, timeout_s, retries, rules, queue, max_queued, when_full
        As ``Client`` has them.

    Examples
    --------
    >>> async with AsyncClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     await client.predict("churn", {"antiguedad": 14})
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_s: float = 5.0,
        retries: int = 2,
        rules: Given = None,
        queue: str | Path | None = None,
        max_queued: int = MAX_QUEUED,
        when_full: WhenFull = "raise",
    ) -> None:
        self._parts = Parts(
            base_url,
            api_key=api_key,
            timeout_s=timeout_s,
            retries=retries,
            rules=rules,
            queue=queue,
            max_queued=max_queued,
            when_full=when_full,
        )
        self._http: httpx.AsyncClient | None = None

    async def predict(self, model: str, row: Row, *, unit_id: str | None = None) -> Document:
        """Answer one row; as ``Client.predict``."""
        return await self._run(self._parts.core.predict(model, row, unit_id))

    async def predict_many(
        self, model: str, rows: Sequence[Row], *, unit_id: str | None = None
    ) -> list[Document]:
        """Answer rows in order; as ``Client.predict_many``."""
        return await self._run(self._parts.core.predict_many(model, rows, unit_id))

    async def log(self, model: str, row: Row | None = None, *, prediction: Any, **said: Any) -> str:
        """Record a prediction that was made elsewhere; as ``Client.log``."""
        record = {"prediction": prediction, "inputs": row, **said}
        return (await self._run(self._parts.core.log(model, [record])))[0]

    async def log_many(self, model: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """Record many, all or none."""
        return await self._run(self._parts.core.log(model, [dict(one) for one in records]))

    async def outcome(
        self,
        model: str,
        value: Any,
        *,
        prediction_id: str | None = None,
        key: str | None = None,
        at: str | None = None,
    ) -> str:
        """Tell what turned out to be true; as ``Client.outcome``."""
        one = {"value": value, "prediction_id": prediction_id, "key": key, "at": at}
        return (await self._run(self._parts.core.outcomes(model, [one])))[0]

    async def outcomes(self, model: str, outcomes: Sequence[Mapping[str, Any]]) -> list[str]:
        """Tell many, all or none."""
        return await self._run(self._parts.core.outcomes(model, [dict(one) for one in outcomes]))

    async def outcome_status(self, outcome_id: str) -> Document:
        """Tell what became of an outcome."""
        status: Document = await self._run(self._parts.core.get(f"/v1/outcomes/{outcome_id}"))
        return status

    async def models(self) -> list[Document]:
        """List the models of the server's project."""
        models: list[Document] = (await self._run(self._parts.core.get("/v1/models")))["models"]
        return models

    async def health(self) -> Document:
        """Give the full state of the server, also when it is unhealthy."""
        return await self._run(self._parts.core.health())

    @property
    def waiting(self) -> int:
        """How many answers, records and outcomes wait for their delivery."""
        return 0 if self._parts.queue is None else self._parts.queue.waiting()

    async def deliver(self) -> int:
        """Try now to deliver what waits; give how many still do."""
        courier = self._parts.courier
        return 0 if courier is None else await asyncio.to_thread(courier.deliver)

    async def close(self) -> None:
        """Deliver what can be delivered, and close the connections."""
        await asyncio.to_thread(self._parts.close)
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, steps: Steps[_T]) -> _T:
        try:
            step = next(steps)
            while True:
                try:
                    found = await self._perform(step)
                except Exception as error:  # noqa: BLE001 - the operation decides what it means
                    step = steps.throw(error)
                else:
                    step = steps.send(found)
        except StopIteration as end:
            result: _T = end.value
            return result

    async def _perform(self, step: Step) -> Any:
        if isinstance(step, Send):
            return await self._exchange(step)
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        found = await asyncio.to_thread(step.call)
        await asyncio.to_thread(self._parts.wake)
        return found

    async def _exchange(self, send: Send) -> Reply | Failure:
        import httpx

        if self._http is None:
            self._http = httpx.AsyncClient(
                base_url=self._parts.base_url, headers=self._parts.headers
            )
        try:
            response = await self._http.request(
                send.method, send.path, content=encoded(send.body), timeout=send.timeout_s
            )
        except httpx.TransportError as error:
            return failure(error)
        return reply_of(response)
