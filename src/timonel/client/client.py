"""The client for threads."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from timonel.client.core import Document, Pause, Row, Send, Step, Steps, WhenFull
from timonel.client.parts import MAX_QUEUED, Parts, exchange
from timonel.client.rules import Given

_T = TypeVar("_T")


class Client:
    """Talks to one Timonel server; may be shared by threads.

    Every prediction, record and outcome carries an id made here, so what is sent again after a
    lost answer is counted once.

    Parameters
    ----------
    base_url : str
    api_key : str or None
        Where the server is not asked from its own machine.
    timeout_s : float
        Of one attempt; with ``rules``, of the whole of a prediction.
    retries : int
        Further attempts after no answer or a 429, 502, 503 or 504, with growing random pauses, and
        not before a ``Retry-After`` is over; one longer than ``timeout_s`` is not waited for.
    rules : callable, str, Path, mapping or None
        What answers when the server does not: a function ``(row) -> Answer`` for every model,
        ``FILE.py:function``, a mapping of models to either, or ``"server"``: the rules that the
        server has of each model, fetched (and run) here before its first prediction.
    queue : str, Path or None
        Folder where answers wait for their delivery, each synced to disk before it is given; None:
        in memory. Processes may share it.
    max_queued : int
        Most that may wait.
    when_full : {"raise", "answer"}
        When nothing more can be kept: raise, or answer with ``"logged": False``.

    Raises
    ------
    RulesUnusable, QueueUnusable

    Examples
    --------
    >>> client = Client("http://127.0.0.1:8000")  # doctest: +SKIP
    >>> client.predict("churn", {"antiguedad": 14})["prediction"]  # doctest: +SKIP
    'No'
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

    def predict(self, model: str, row: Row, *, unit_id: str | None = None) -> Document:
        """Answer one row.

        Returns
        -------
        dict
            ``prediction_id, model, version, variant, source, reason, prediction, score,
            probabilities, latency_ms``. Answered here: ``source`` is "rules", ``reason`` is
            "server_away", and ``queued`` is true.

        Raises
        ------
        RequestRefused
            If the server refuses it (``error.problem`` is its problem document).
        ServerUnreachable
            If no attempt got an answer, and no rules answer here.
        QueueFull, QueueUnusable
            If rules answered and it cannot be kept (``when_full="raise"``).
        """
        return self._run(self._parts.core.predict(model, row, unit_id))

    def predict_many(
        self, model: str, rows: Sequence[Row], *, unit_id: str | None = None
    ) -> list[Document]:
        """Answer rows in order; one that breaks the schema is answered by its ``error``."""
        return self._run(self._parts.core.predict_many(model, rows, unit_id))

    def log(self, model: str, row: Row | None = None, *, prediction: Any, **said: Any) -> str:
        """Record a prediction that was made elsewhere; give its id.

        Parameters
        ----------
        row : mapping or None
            What was predicted on.
        prediction : class or number
        **said
            ``version, score, probabilities, explanation, latency_ms, at, key, unit_id, variant,
            prediction_id``, as ``POST /v1/models/{model}/predictions`` takes them.
        """
        record = {"prediction": prediction, "inputs": row, **said}
        return self._run(self._parts.core.log(model, [record]))[0]

    def log_many(self, model: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """Record many, all or none; each as the route takes it: ``prediction``, ``inputs`` ..."""
        return self._run(self._parts.core.log(model, [dict(record) for record in records]))

    def outcome(
        self,
        model: str,
        value: Any,
        *,
        prediction_id: str | None = None,
        key: str | None = None,
        at: str | None = None,
    ) -> str:
        """Tell what turned out to be true; give the outcome's id.

        Parameters
        ----------
        value : label or number
            In the terms of the model's target.
        prediction_id, key : str
            Exactly one: the prediction, or the request's own key (its last prediction at ``at``).
        at : str or None
            ISO 8601 moment that the truth belongs to; None: now.
        """
        one = {"value": value, "prediction_id": prediction_id, "key": key, "at": at}
        return self._run(self._parts.core.outcomes(model, [one]))[0]

    def outcomes(self, model: str, outcomes: Sequence[Mapping[str, Any]]) -> list[str]:
        """Tell many, all or none; each with ``value`` and ``prediction_id`` or ``key``."""
        return self._run(self._parts.core.outcomes(model, [dict(one) for one in outcomes]))

    def outcome_status(self, outcome_id: str) -> Document:
        """Tell what became of an outcome: joined, parked, revised, expired or invalid."""
        status: Document = self._run(self._parts.core.get(f"/v1/outcomes/{outcome_id}"))
        return status

    def models(self) -> list[Document]:
        """List the models of the server's project."""
        models: list[Document] = self._run(self._parts.core.get("/v1/models"))["models"]
        return models

    def health(self) -> Document:
        """Give the full state of the server, also when it is unhealthy."""
        return self._run(self._parts.core.health())

    @property
    def waiting(self) -> int:
        """How many answers, records and outcomes wait for their delivery."""
        return 0 if self._parts.queue is None else self._parts.queue.waiting()

    @property
    def n_unlogged(self) -> int:
        """How many answers were given that nobody will know of (``when_full="answer"``)."""
        return self._parts.core.n_unlogged

    def deliver(self) -> int:
        """Try now to deliver what waits; give how many still do."""
        courier = self._parts.courier
        return 0 if courier is None else courier.deliver()

    def close(self) -> None:
        """Deliver what can be delivered, and close; what waits in a folder stays there."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, steps: Steps[_T]) -> _T:
        try:
            step = next(steps)
            while True:
                try:
                    found = self._perform(step)
                except Exception as error:  # noqa: BLE001 - the operation decides what it means
                    step = steps.throw(error)
                else:
                    step = steps.send(found)
        except StopIteration as end:
            result: _T = end.value
            return result

    def _perform(self, step: Step) -> Any:
        if isinstance(step, Send):
            return exchange(self._parts.http(), step)
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        found = step.call()
        self._parts.wake()
        return found
