"""OpenTelemetry spans of requests and tasks, where `tracing.endpoint` is set. Without it nothing of OpenTelemetry is imported.

A span is made when its request is over, with the times it had: nothing is carried through the program, and a request that is not
traced costs nothing. The parent is the client's, by the W3C `traceparent` header.
"""

import importlib
import time
from typing import Any, Final

from entrepot import __version__
from entrepot.config import Settings
from entrepot.http.messages import Request
from entrepot.model.errors import RegistryError, ValueInvalid

_HEADERS: Final = ("traceparent", "tracestate")


def open_tracer(settings: Settings, *, process: str) -> "Tracer | None":
    """A tracer that sends to the endpoint of the settings; None without one. Raises ValueInvalid where the extra is not installed."""
    if settings.tracing.endpoint is None:
        return None
    try:
        return Tracer(settings.tracing.endpoint.reveal().rstrip("/"), process)
    except ImportError as error:
        raise missing_extra(error) from error


def missing_extra(error: ImportError) -> RegistryError:
    """What to do about it."""
    reason = (
        f"needs the extra `tracing` ({error.name} is not there): pip install 'entrepot[tracing]'"
    )
    return ValueInvalid("tracing.endpoint", reason)


class Tracer:
    """Sends spans in batches, on a thread of the SDK."""

    def __init__(self, endpoint: str, process: str) -> None:
        trace, sdk, export = (
            importlib.import_module(f"opentelemetry.{name}")
            for name in ("trace", "sdk.trace", "sdk.trace.export")
        )
        resources = importlib.import_module("opentelemetry.sdk.resources")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        propagation = importlib.import_module("opentelemetry.trace.propagation.tracecontext")
        self._propagator: Any = propagation.TraceContextTextMapPropagator()
        self._kinds: Any = trace.SpanKind
        self._failed: Any = trace.Status(trace.StatusCode.ERROR)
        about = {
            "service.name": "entrepot",
            "service.version": __version__,
            "service.instance.id": process,
        }
        self._provider: Any = sdk.TracerProvider(resource=resources.Resource.create(about))
        exporter = otlp.OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")
        self._provider.add_span_processor(export.BatchSpanProcessor(exporter))
        self._tracer: Any = self._provider.get_tracer("entrepot", __version__)

    def request(
        self, request: Request, endpoint: str, *, status: int, size: int, seconds: float
    ) -> None:
        """A span of a request that was just answered (attribute names: OpenTelemetry's HTTP conventions)."""
        carrier = {name: request.header(name.encode()) for name in _HEADERS}
        attributes = {
            "http.request.method": request.method,
            "http.route": endpoint,
            "url.path": request.path[:500].decode("latin-1"),
            "http.response.status_code": status,
            "http.response.body.size": size,
            "client.address": request.client,
            "user_agent.original": request.header(b"user-agent")[:200],
            "entrepot.request_id": request.id,
        }
        self._span(
            f"{request.method} {endpoint}",
            attributes,
            parent=self._propagator.extract({k: v for k, v in carrier.items() if v}),
            kind=self._kinds.SERVER,
            seconds=seconds,
            is_failed=status >= 500,
        )

    def task(self, kind: str, *, task: int, outcome: str, seconds: float) -> None:
        """A span of a task that just ended."""
        self._span(
            f"task {kind}",
            {"entrepot.task": task, "entrepot.outcome": outcome},
            parent=None,
            kind=self._kinds.CONSUMER,
            seconds=seconds,
            is_failed=outcome == "failed",
        )

    def _span(
        self,
        name: str,
        attributes: dict[str, Any],
        *,
        parent: Any,
        kind: Any,
        seconds: float,
        is_failed: bool,
    ) -> None:
        end = time.time_ns()
        span = self._tracer.start_span(
            name,
            context=parent,
            kind=kind,
            attributes=attributes,
            start_time=end - int(seconds * 1e9),
        )
        if is_failed:
            span.set_status(self._failed)
        span.end(end)

    def close(self) -> None:
        """Send what waits; blocks for some seconds at most."""
        self._provider.shutdown()
