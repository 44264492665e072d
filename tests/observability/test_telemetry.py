"""What a collector of OpenTelemetry is sent, and that nothing needs one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import URL

from app.database.url import libpq_uri
from app.observability.telemetry import conceal_requests, configure_telemetry
from tests.servers import running_app


@contextmanager
def running_collector() -> Iterator[tuple[str, "Queue[bytes]"]]:
    """Take what is exported with OTLP over HTTP."""
    received: Queue[bytes] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


def test_spans_hold_no_path_and_no_query(empty_database: URL) -> None:
    canary, url = "canary-4711", libpq_uri(empty_database)
    spans: dict[str, int] = {}
    sent = b""
    with (
        running_collector() as (endpoint, received),
        running_app(
            DATABASE_URL=url,
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_METRICS_EXPORTER="none",
            OTEL_BSP_SCHEDULE_DELAY="100",
        ) as server,
    ):
        for _ in range(10):
            httpx2.get(f"{server.url}/api/v1/users/me?access_token={canary}")
            httpx2.get(f"{server.url}/{canary}", headers={"Authorization": f"Bearer {canary}"})
        while spans.get("GET /api/v1/users/me", 0) < 10 or spans.get("GET", 0) < 10:
            sent += (body := received.get(timeout=30))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        spans[span.name] = spans.get(span.name, 0) + 1
    assert b"http.route" in sent
    assert "fastapi.dependencies" in spans  # those of FastAPI's own way to the endpoint
    assert canary.encode() not in sent


def test_nothing_happens_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    assert configure_telemetry()["auto_configure"]
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    assert not configure_telemetry()["auto_configure"]
    conceal_requests()
