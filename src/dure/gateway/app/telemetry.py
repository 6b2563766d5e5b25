"""Traces by OpenTelemetry's semantic conventions for generative AI: a span for each call, without content.

An optional extra (`dure[telemetry]`). Nothing of it is imported unless `OTEL_EXPORTER_OTLP_ENDPOINT` says where spans
go. They are made when a call has ended, with the times it had, and sent by a thread of the library's.
"""

import logging
import os
from typing import TYPE_CHECKING, Any

from dure.gateway.app.ended import Ended

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

logger = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
#: `gen_ai.operation.name`; endpoints the conventions have no name for go by their own.
_OPERATIONS = {
    "chat.completions": "chat",
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
}


def wanted() -> bool:
    return any(os.environ.get(name) for name in _ENDPOINTS)


def make(version: str) -> "Traces | None":
    """What sends spans where the environment says; None where it says nothing or the extra is not installed."""
    if not wanted():
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        logger.error("no traces are sent: install dure[telemetry] for OTEL_EXPORTER_OTLP_ENDPOINT to work")
        return None
    return Traces(OTLPSpanExporter(), version)


class Traces:
    """Turns ended calls into spans for `exporter`."""

    def __init__(self, exporter: "SpanExporter", version: str) -> None:
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        named = os.environ.get("OTEL_SERVICE_NAME") or "dure-gateway"
        resource = Resource.create({SERVICE_NAME: named, SERVICE_VERSION: version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("dure.gateway", version)
        self._kind = SpanKind.CLIENT
        self._error = Status(StatusCode.ERROR)
        self._extract = TraceContextTextMapPropagator().extract

    def ended(self, ended: Ended) -> None:
        if not ended.model:
            return  # not a call of a model
        parent = (
            self._extract({"traceparent": ended.traceparent.decode("latin-1")}) if ended.traceparent else None
        )
        operation = _OPERATIONS.get(ended.endpoint, ended.endpoint)
        span = self._tracer.start_span(
            f"{operation} {ended.model}",
            context=parent,
            kind=self._kind,
            start_time=ended.received_at * 1000,
            attributes=attributes_of(ended, operation),
        )
        if ended.http_status >= 400 or ended.error_code:
            span.set_status(self._error)
        span.end(end_time=ended.ended_at * 1000)

    def reopen(self) -> None:
        """Nothing to reopen."""

    def close(self) -> None:
        self._provider.shutdown()


def attributes_of(ended: Ended, operation: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": ended.owner or "dure",
        "gen_ai.request.model": ended.model,
        "http.response.status_code": ended.http_status,
        "dure.award": ended.award,
    }
    if ended.request_id:
        attributes["gen_ai.response.id"] = ended.request_id
    if ended.server is not None:
        attributes["server.address"], attributes["server.port"] = ended.server
    error = ended.error_code
    record = ended.record()
    if record is not None:
        error = record.error_code or error
        attributes |= {
            "gen_ai.usage.input_tokens": record.input_tokens,
            "gen_ai.usage.output_tokens": record.output_tokens,
            "dure.outcome": record.status,
            "dure.attempts": record.attempts,
            "dure.cost_micro_won": record.cost_micro_won,
        }
        if record.first_byte_at is not None:
            attributes["gen_ai.server.time_to_first_token"] = (record.first_byte_at - record.opened_at) / 1e6
    if error or ended.http_status >= 400:
        attributes["error.type"] = error or str(ended.http_status)
    return attributes
