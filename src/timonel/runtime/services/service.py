"""A model that runs elsewhere: an HTTP service behind the same checks as our own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from timonel.registry.manifest import ServingManifest
from timonel.runtime.errors import InvalidService, RowRefused, ServiceFailed
from timonel.runtime.services.connection import Connections
from timonel.runtime.services.forms import FORMS, SINGLE, AnswerReader, request_of
from timonel.wire.answer import Answer

_ROW_REFUSED = (400, 422)  # what is wrong is the row, says the service


class ModelService:
    """Answers of one service; all of it belongs to one event loop.

    Parameters
    ----------
    manifest : ServingManifest
        Of kind ``http``; its plan says where and in which form.
    plain : callable
        From validated values to JSON-safe values by name (``RowDecoder.plain``).
    environment : mapping of str to str
        Where the key is found, by the name that the plan gives.
    """

    def __init__(
        self,
        manifest: ServingManifest,
        plain: Callable[[Sequence[Any]], dict[str, Any]],
        environment: Mapping[str, str],
    ) -> None:
        plan = (manifest.plan or {})["http"]
        self._model = manifest.model
        self._url: str = plan["url"]
        self._form: str = plan["form"]
        if self._form not in FORMS:
            raise InvalidService(found=f"the form {self._form}", expected=", ".join(FORMS))
        self._kinds = {one["name"]: one["kind"] for one in manifest.schema}
        self._plain = plain
        self._reader = AnswerReader(manifest, self._form, plan.get("single", SINGLE))
        key = None
        if plan.get("key_env"):
            key = environment.get(plan["key_env"])
            if not key:
                raise InvalidService(
                    found=f"no variable {plan['key_env']}", expected="the service's key"
                )
        self._key = key
        self._connections: Connections | None = None

    async def predict(self, table: Sequence[Sequence[Any]], limit_s: float) -> list[Answer]:
        """Answer validated rows, in order.

        Raises
        ------
        TimeoutError, ServiceFailed, InvalidOutput
        RowRefused
            If the service refuses what it was sent.
        """
        if self._connections is None:
            self._connections = Connections(self._url, self._key)
        body = request_of(self._form, self._kinds, [self._plain(values) for values in table])
        reply = await self._connections.post(body, limit_s)
        if reply.status in _ROW_REFUSED:
            raise RowRefused(
                model=self._model, found=f"status {reply.status}", expected="an answer"
            )
        if reply.status != 200:
            kind = "a redirect, which is not followed: " if 300 <= reply.status < 400 else ""
            raise ServiceFailed(url=self._url, found=f"{kind}status {reply.status}")
        return self._reader.read(reply.body, len(table))

    def close(self) -> None:
        """Close its idle connections."""
        if self._connections is not None:
            self._connections.close()
