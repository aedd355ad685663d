"""A client of the HTTP API: a pool, timeouts, and retries that never count twice."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from timonel.client.errors import RequestRefused, ServerUnreachable

if TYPE_CHECKING:
    import httpx

Row = Mapping[str, Any]


class Client:
    """Talks to one Timonel server; may be shared by threads.

    Parameters
    ----------
    base_url : str
    key : str or None
        API key, where the server is not asked from its own machine.
    timeout_s : float
        Of one attempt.
    retries : int
        Further attempts after a connection failure or a 503. Each single-row prediction carries
        an id made here, so an attempt that did arrive is not counted a second time.

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
        key: str | None = None,
        timeout_s: float = 5.0,
        retries: int = 2,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._timeout_s = timeout_s
        self._retries = retries
        self._http: httpx.Client | None = None

    def predict(self, model: str, row: Row, *, unit_id: str | None = None) -> dict[str, Any]:
        """Answer one row.

        Returns
        -------
        dict
            ``prediction_id, model, version, variant, source, reason, prediction, score,
            probabilities, latency_ms``.

        Raises
        ------
        RequestRefused
            If the server refuses it (``error.problem`` is its problem document).
        ServerUnreachable
            If no attempt got an answer.
        """
        body: dict[str, Any] = {"inputs": dict(row), "prediction_id": str(_uuid7())}
        if unit_id is not None:
            body["unit_id"] = unit_id
        answer: dict[str, Any] = self._send("POST", f"/v1/models/{model}/predict", body)
        return answer

    def predict_many(self, model: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Answer rows in order; a row that breaks the schema is answered by its error.

        Not retried after the request was sent: its rows would be counted twice.
        """
        body = {"inputs": [dict(row) for row in rows], "partial": True}
        answers: list[dict[str, Any]] = self._send(
            "POST", f"/v1/models/{model}/predict", body, retries=0
        )["predictions"]
        return answers

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
        named = {"prediction_id": prediction_id, "key": key, "at": at}
        body = {"value": value} | {name: text for name, text in named.items() if text is not None}
        ids: list[str] = self._send("POST", f"/v1/models/{model}/outcomes", body)["outcome_ids"]
        return ids[0]

    def outcome_status(self, outcome_id: str) -> dict[str, Any]:
        """Tell what became of an outcome: joined, parked, revised, expired or invalid."""
        status: dict[str, Any] = self._send("GET", f"/v1/outcomes/{outcome_id}")
        return status

    def models(self) -> list[dict[str, Any]]:
        """List the models of the server's project."""
        models: list[dict[str, Any]] = self._send("GET", "/v1/models")["models"]
        return models

    def health(self) -> dict[str, Any]:
        """Give the full state of the server, also when it is unhealthy."""
        response = self._transport().get("/health")
        document: dict[str, Any] = response.json()
        return document

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _transport(self) -> "httpx.Client":
        if self._http is None:
            import httpx  # 0.26 s: paid at the first call, not at import

            self._http = httpx.Client(
                base_url=self._base_url, headers=self._headers, timeout=self._timeout_s
            )
        return self._http

    def _send(self, method: str, path: str, body: Any = None, *, retries: int | None = None) -> Any:
        import httpx

        left = self._retries if retries is None else retries
        wait_s = 0.1
        while True:
            try:
                response = self._transport().request(method, path, json=body)
            except httpx.TransportError as error:
                if left == 0:
                    raise ServerUnreachable(url=self._base_url, cause=str(error)) from error
            else:
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or left == 0:
                    return _document(response)
            left -= 1
            time.sleep(wait_s)
            wait_s *= 2


def _document(response: "httpx.Response") -> Any:
    if response.is_success:
        return response.json()
    try:
        problem = response.json()
    except ValueError:
        problem = {"status": response.status_code, "detail": response.text[:500]}
    raise RequestRefused(
        status=response.status_code,
        detail=str(problem.get("detail", "")),
        advice=str(problem.get("remedy", "")),
        problem=problem,
    )


def _uuid7() -> UUID:
    """Make a UUIDv7 (RFC 9562): 48 bits of milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)
