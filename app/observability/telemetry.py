"""OpenTelemetry: FastAPI's own, by the standard variables, where its packages are installed."""

import os
from importlib.util import find_spec

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.context import Context


def configure_telemetry() -> TelemetryConfig:
    """Export traces and metrics to OTEL_EXPORTER_OTLP_ENDPOINT, if there is one.

    `pip install "fastapi[opentelemetry]"` brings the packages; without them nothing happens, and
    without its variables neither: else each request would look for them. FastAPI's log records are
    off: they hold messages of exceptions, as these were raised.
    """
    wanted = _is_installed() and any(name.startswith("OTEL_") for name in os.environ)
    return {"auto_configure": wanted, "tracing": wanted, "metrics": wanted, "logs": False}


def _is_installed() -> bool:
    names = ("opentelemetry.sdk", "opentelemetry.exporter")
    return all(find_spec(name) is not None for name in names)


def conceal_requests() -> None:
    """Keep what clients write into paths and queries out of spans; `http.route` tells enough.

    To be called once the provider is configured: when the application starts.
    """
    provider = trace.get_tracer_provider()
    if not hasattr(provider, "add_span_processor"):  # the packages are absent, or not asked for
        return
    from opentelemetry.sdk.trace import Span, SpanProcessor  # noqa: PLC0415

    class Concealment(SpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
            for name in ("url.path", "url.query"):
                if span.attributes and name in span.attributes:
                    span.set_attribute(name, "")

    provider.add_span_processor(Concealment())
