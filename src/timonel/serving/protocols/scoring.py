"""MLflow's scoring protocol: ``/invocations``, ``/ping`` and ``/version``.

``/health`` is ours: it says how each part of the system is, which MLflow's does not.
"""

from typing import Any
from urllib.parse import parse_qsl

from timonel import __version__
from timonel.access.gate import require_model
from timonel.errors import Phrase, closest
from timonel.serving.protocols.errors import ModelNotNamed, UnknownProtocolRoute
from timonel.serving.protocols.models import Served, pinned_of
from timonel.serving.protocols.open_inference import answers_of
from timonel.serving.protocols.scoring_tables import ScoringCsv, ScoringJson
from timonel.serving.routes.exchange import Exchange, require_json, said_of_log
from timonel.serving.routes.predict import Predictions
from timonel.wire.errors import UnsupportedMediaType
from timonel.wire.replies import PredictionReply

ROOT = "/invocations"
PATHS = ("/ping", "/version")
_CSV = "text/csv"
_TEXT = b"text/plain; charset=utf-8"
_TYPES = Phrase("application/json or text/csv, in UTF-8", "application/json o text/csv, en UTF-8")
_ROUTES = ("POST /invocations[/MODEL]", "GET /ping", "GET /version")


class Scoring:
    """Answers MLflow's routes.

    Parameters
    ----------
    served : Served
    predictions : Predictions
    max_body_bytes : int
    """

    def __init__(self, served: Served, predictions: Predictions, max_body_bytes: int) -> None:
        self._served = served
        self._predictions = predictions
        self._limit = max_body_bytes

    async def answer(self, exchange: Exchange, started_ns: int) -> None:
        """Answer one request; raises ``TimonelError``."""
        path = exchange.path
        if path == "/ping":
            await self._ping(exchange)
        elif path == "/version":
            exchange.route = path
            exchange.require("GET", "HEAD")
            await exchange.reply(__version__.encode(), media_type=_TEXT)
        else:
            await self._invoke(exchange, started_ns)

    async def _ping(self, exchange: Exchange) -> None:
        exchange.route = "/ping"
        exchange.require("GET", "HEAD")
        self._served.snapshot()
        await exchange.reply(b"\n")

    async def _invoke(self, exchange: Exchange, started_ns: int) -> None:
        exchange.route = ROOT
        name, number = self._named(exchange)
        require_model(exchange.caller, name)
        exchange.require("POST")
        _, model = self._served.model(name)
        pinned_of(model, number)  # refused before its body is read
        read = _reader(exchange.headers.get(b"content-type"))
        body = read(await exchange.content(self._limit))
        snapshot, model = self._served.model(name)  # the body may have taken a while
        reply = await self._predictions.answer(
            snapshot,
            model,
            body,
            started_ns=started_ns,
            language=exchange.language,
            pinned=pinned_of(model, number),
        )
        replies = answers_of(reply)
        document = {
            "predictions": [one.prediction for one in replies],
            "model": name,
            "details": [_details(one) for one in replies],
        }
        await exchange.reply_json(document, extra=said_of_log(replies))

    def _named(self, exchange: Exchange) -> tuple[str, str | None]:
        """Tell which model, and which version, a request is for."""
        rest = exchange.path[len(ROOT) :].strip("/")
        if "/" in rest:
            raise UnknownProtocolRoute(path=exchange.path[:200], routes=", ".join(_ROUTES))
        query = parse_qsl(exchange.scope.get("query_string", b"").decode("latin-1"))
        names = [rest] if rest else []
        names += [value for name, value in query if name == "model"]
        versions = [value for name, value in query if name == "version"]
        known = list(self._served.snapshot().models)
        if not names and len(known) == 1:
            names = known
        if len(set(names)) != 1:
            found = ", ".join(name[:64] for name in names[:4])
            raise ModelNotNamed(found=found or Phrase("none", "ninguno"), known=closest("", known))
        return names[0], versions[-1] if versions else None


def _reader(kind: bytes | None) -> type[ScoringJson] | type[ScoringCsv]:
    found = (kind or b"").decode("latin-1")
    media, _, parameters = found.lower().partition(";")
    charset = parameters.partition("charset=")[2].strip(' "').partition(";")[0]
    if media.strip() == _CSV and charset in ("", "utf-8", "utf8", "us-ascii"):
        return ScoringCsv
    try:
        if kind is not None:
            require_json(kind)
    except UnsupportedMediaType:
        raise UnsupportedMediaType(found=f"Content-Type {found[:100]}", expected=_TYPES) from None
    return ScoringJson


def _details(reply: PredictionReply) -> dict[str, Any]:
    """Give what MLflow's answer has no place for: who answered, why, and under which id."""
    return {
        "prediction_id": reply.prediction_id,
        "version": reply.version,
        "source": reply.source,
        "reason": reply.reason,
        "score": reply.score,
        "probabilities": reply.probabilities,
        "explanation": reply.explanation or None,
    }
