"""Routes of alerts: what is wrong, who works on it, and deciding about it."""

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request

from timonel.alerts.alert import Alert, State, read_duration
from timonel.alerts.rows import Choice
from timonel.alerts.texts import describe
from timonel.dashboard.language import Language, choose_language
from timonel.http.access.callers import who_of
from timonel.http.parameters import AlertDecision, AlertId, Limit, Marking, Silence
from timonel.store.reads_windows import HOUR_US

if TYPE_CHECKING:
    from timonel.app import App

Document = dict[str, Any]


def create_alert_routes(app: "App") -> APIRouter:
    """Make the routes under ``/v1/alerts``."""
    router = APIRouter(prefix="/v1/alerts", tags=["alerts"])
    _reading(router, app)
    _deciding(router, app)
    return router


def _reading(router: APIRouter, app: "App") -> None:
    @router.get("", summary="List alerts, newest first; by default those firing or acknowledged")
    def alerts(
        request: Request,
        state: Annotated[list[State] | None, Query(description="Only in these states.")] = None,
        model: Annotated[str | None, Query(max_length=64, description="Only this model's.")] = None,
        before: Annotated[int | None, Query(ge=1, le=2**62, description="Cursor.")] = None,
        limit: Limit = 100,
    ) -> Document:
        states = state or [State.FIRING, State.ACKNOWLEDGED]
        found = app.alerts.list(Choice(states, model, None, before, limit))
        lang = _language(request, app)
        following = None
        if len(found) == limit:
            query: list[tuple[str, Any]] = [("before", found[-1].alert_id), ("limit", limit)]
            query += [("state", str(one)) for one in state or []]
            query += [("model", model)] if model is not None else []
            following = f"/v1/alerts?{urlencode(query)}"
        return {"alerts": [_document(alert, lang) for alert in found], "next": following}

    @router.get("/statistics", summary="Sum up the alerts of some days")
    def statistics(
        days: Annotated[int, Query(ge=1, le=3650, description="Days of alerts.")] = 7,
    ) -> Document:
        since = app.clock.now_us() - days * 24 * HOUR_US
        return app.alerts.statistics(since).document()

    @router.get("/{alert_id}", summary="Show an alert with its history and its messages")
    def alert(request: Request, alert_id: AlertId) -> Document:
        found = app.alerts.get(alert_id)
        history = [event.document() for event in app.alerts.history(alert_id)]
        messages = [message.document() for message in app.alerts.messages(alert_id)]
        document = _document(found, _language(request, app))
        return document | {"history": history, "messages": messages}


def _deciding(router: APIRouter, app: "App") -> None:
    @router.post("/{alert_id}/acknowledge", summary="Say that somebody works on a firing alert")
    def acknowledge(request: Request, alert_id: AlertId, decision: AlertDecision) -> Document:
        done = app.alerts.acknowledge(
            alert_id, who_of(request, decision.who), decision.note, revision=decision.revision
        )
        return _document(done, _language(request, app))

    @router.post("/{alert_id}/resolve", summary="Say that an alert is dealt with, and what it was")
    def resolve(request: Request, alert_id: AlertId, decision: AlertDecision) -> Document:
        done = app.alerts.resolve(
            alert_id, who_of(request, decision.who), decision.note, revision=decision.revision
        )
        return _document(done, _language(request, app))

    @router.post("/{alert_id}/silence", summary="Tell nobody of an alert for a time")
    def silence(request: Request, alert_id: AlertId, decision: Silence) -> Document:
        until = app.clock.now_us() + read_duration(decision.duration)
        done = app.alerts.silence(
            alert_id,
            until,
            who_of(request, decision.who),
            decision.note,
            revision=decision.revision,
        )
        return _document(done, _language(request, app))

    @router.post("/{alert_id}/mark", summary="Say what an alert was worth: rules are judged by it")
    def mark(request: Request, alert_id: AlertId, marking: Marking) -> Document:
        done = app.alerts.mark(alert_id, marking.mark, who_of(request, marking.who), marking.note)
        return _document(done, _language(request, app))


def _document(alert: Alert, lang: Language) -> Document:
    return alert.document() | describe(alert, lang)._asdict()


def _language(request: Request, app: "App") -> Language:
    accepted = request.headers.get("accept-language")
    return choose_language(None, None, accepted, app.settings.language)
