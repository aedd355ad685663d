"""Routes of what the project itself records (``timonel.metrics``)."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path

from timonel.monitoring.series.recorded import find_recorded, hour_document, read_recorded

if TYPE_CHECKING:
    from timonel.app import App

Document = dict[str, Any]
MetricName = Annotated[str, Path(max_length=64, description="Name of a recorded metric.")]


def create_metric_routes(app: "App") -> APIRouter:
    """Make the routes under ``/v1/metrics``."""
    router = APIRouter(prefix="/v1/metrics", tags=["metrics"])

    @router.get("", summary="The metrics the project records: statistics of the last 60 minutes")
    def metrics() -> Document:
        now_us = app.clock.now_us()
        return hour_document(now_us, read_recorded(app.engine, app.name, now_us))

    @router.get("/{name}", summary="One of them, by its sets of labels")
    def metric(name: MetricName) -> Document:
        now_us = app.clock.now_us()
        return hour_document(now_us, find_recorded(app.engine, app.name, now_us, name))

    return router
