"""Traces by OpenTelemetry: off, unless ``timonel[otel]`` is installed and ``OTEL_*`` asks for them.

Off, nothing of OpenTelemetry is imported, and a prediction asks one attribute: ``active``. On, the
standard variables say where spans go and which are kept. Spans hold names, versions, counts and
codes; never a value of a row, a key, a unit or a text of an error, which may quote one.
"""

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"
_CLOSE_S = 3.0  # a collector that is away keeps no process from ending
_MOST_DISTINCT = 10
_ENVELOPE = ("model", "version", "variant", "source", "reason")

_log = logging.getLogger("timonel.tracing")


class Span:
    """One span of ours, while it lasts."""

    def __init__(self, span: "OtelSpan") -> None:
        self._span = span

    def routed(self, method: str, route: str) -> None:
        """Note which route took a request, where that shows only while it is answered."""
        self._span.update_name(f"{method} {route}")
        self._span.set_attribute("http.route", route)

    def responded(self, status: int, code: str | None = None) -> None:
        """Note how a request was answered; a server's fault makes the span an error."""
        self._span.set_attribute("http.response.status_code", status)
        if code is not None:
            self._span.set_attribute("error.type", code)
        if status >= 500:
            self._fail()

    def ended(self, outcome: str, code: str | None = None) -> None:
        """Note how a job ended."""
        self._span.set_attribute("timonel.outcome", outcome)
        if code is not None:
            self._span.set_attribute("error.type", code)
            self._fail()

    def _fail(self) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_status(StatusCode.ERROR)


class Traces:
    """Makes spans; safe to use from any thread."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import context, propagate, trace

        self._provider = provider
        self._tracer = provider.get_tracer("timonel")
        self._trace = trace
        self._context = context
        self._propagate = propagate

    @contextmanager
    def request(self, method: str, route: str, headers: Mapping[bytes, bytes]) -> Iterator[Span]:
        """Span a request, under the caller's span where the headers name one (``traceparent``).

        Parameters
        ----------
        method : str
        route : str
            Its pattern; "" where that is not known yet, or no route takes it.
        headers : mapping of bytes to bytes
        """
        carrier = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()
        }
        parent = self._propagate.extract(carrier)
        attributes = {"http.request.method": method} | ({"http.route": route} if route else {})
        kind = self._trace.SpanKind.SERVER
        with self._span(f"{method} {route}".rstrip(), attributes, parent, kind) as span:
            yield span

    @contextmanager
    def work(self, name: str, attributes: Mapping[str, str | int]) -> Iterator[Span]:
        """Span a piece of work, under the span that it is done in."""
        parent, kind = self._context.get_current(), self._trace.SpanKind.INTERNAL
        with self._span(name, attributes, parent, kind) as span:
            yield span

    @contextmanager
    def _span(
        self, name: str, attributes: Mapping[str, str | int], parent: Any, kind: Any
    ) -> Iterator[Span]:
        # no exception is recorded: its message may quote what was sent
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield Span(span)

    def answered(self, frames: Sequence[object]) -> None:
        """Say on the present span who answered its rows; of several, each that did.

        Parameters
        ----------
        frames : sequence of PredictionFrame
            Of each the model, version, variant, source and reason; nothing else is read.
        """
        span = self._trace.get_current_span()
        if not frames or not span.is_recording():
            return
        span.set_attribute("timonel.rows", len(frames))
        for field in _ENVELOPE:
            found = sorted({getattr(frame, field) for frame in frames} - {""})
            if found:
                value = found[0] if len(found) == 1 else found[:_MOST_DISTINCT]
                span.set_attribute(f"timonel.{field}", value)

    def close(self) -> None:
        """Send what waits, for some seconds at most."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_CLOSE_S)


active: Traces | None = None
"""None: nothing is traced in this process."""


def configure(process: str, project: str) -> None:
    """Trace in this process, where it is asked for.

    Parameters
    ----------
    process : str
        Which one, of the service's instances: "worker-0".
    project : str
    """
    global active
    if not _wanted(os.environ):
        return
    try:
        active = Traces(_provider(process, project))
    except ImportError as error:
        _log.warning(
            "OTEL_* variables ask for traces and %s is not installed: nothing is traced. "
            "Install timonel[otel], or set OTEL_SDK_DISABLED=true.",
            error.name,
        )


def close() -> None:
    """End tracing in this process."""
    global active
    traces, active = active, None
    if traces is not None:
        traces.close()


def working(name: str, **attributes: str | int) -> AbstractContextManager[Span | None]:
    """Span a piece of work where this process traces; None where it does not."""
    if active is None:
        return nullcontext()
    return active.work(name, {f"timonel.{key}": value for key, value in attributes.items()})


def _wanted(variables: Mapping[str, str]) -> bool:
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = variables.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in ("", "otlp", "none"):
        _log.warning("OTEL_TRACES_EXPORTER is %r, expected otlp: nothing is traced", exporter)
    asked = any(variables.get(name) for name in _ENDPOINTS)
    if exporter != "otlp" and (exporter or not asked):
        return False
    protocol = next((variables[name] for name in _PROTOCOLS if variables.get(name)), _HTTP)
    if protocol != _HTTP:
        _log.warning("the protocol of OTLP is %r, expected %s: nothing is traced", protocol, _HTTP)
    return protocol == _HTTP


def _provider(process: str, project: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = os.environ.get("OTEL_SERVICE_NAME", "")
    named += os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").partition("service.name=")[1]
    attributes = {"service.instance.id": f"{process}:{os.getpid()}", "timonel.project": project}
    if not named:
        attributes["service.name"] = "timonel"
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
