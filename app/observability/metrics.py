"""Metrics for Prometheus, on a port of their own, added up over all processes that serve."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    start_http_server,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_SAMPLED_EVERY = 5  # seconds
# prometheus_client chooses by this variable, when it is imported, to write to files.
_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_requests = Counter(
    "http_requests",
    "Requests answered; `code` is that of the problem, empty on success",
    ("operation", "method", "status", "code"),
)
UNAVAILABLE = Counter(
    "http_unavailable",
    "Requests answered 503, by the reason and by the SQLSTATE or the class of the first error",
    ("reason", "cause"),
)
_durations = Histogram(
    "http_request_duration_seconds",
    "From the head of a request to the end of its answer",
    ("operation",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_GAUGES: Final = {
    "passwords": Gauge(
        "password_hasher_queue",
        "Passwords being hashed or waiting for it",
        multiprocess_mode="livesum",
    ),
    "connections": Gauge(
        "database_connections_in_use",
        "Connections that requests hold",
        multiprocess_mode="livesum",
    ),
    "mails": Gauge("outbox_due_mails", "Mails that are due", multiprocess_mode="livemostrecent"),
    "mail_age": Gauge(
        "outbox_oldest_mail_seconds",
        "For how long the oldest mail has been due",
        multiprocess_mode="livemostrecent",
    ),
}
log = structlog.get_logger(__name__)


class RequestMetrics:
    """Counts answers. A label's lookup is most of the cost, so each is looked up once."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str, int, str], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def observe(self, operation: str, method: str, status: int, code: str, seconds: float) -> None:
        if method not in _METHODS:
            method = "other"  # anyone can invent one, and each would be kept
        key = (operation, method, status, code)
        try:
            self._counters[key].inc()
            self._histograms[operation].observe(seconds)
        except KeyError:
            self._counters[key] = _requests.labels(operation, method, str(status), code)
            self._histograms[operation] = _durations.labels(operation)
            self.observe(operation, method, status, code, seconds)


Sample = Callable[[], Awaitable[float]]


@asynccontextmanager
async def sampling(**samples: Sample) -> AsyncIterator[None]:
    """Set the gauges of these names every few seconds while the block runs."""
    tasks = [asyncio.create_task(_sample(_GAUGES[name], each)) for name, each in samples.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _sample(gauge: Gauge, sample: Sample) -> None:
    while True:
        try:
            gauge.set(await sample())
        except Exception as error:  # noqa: BLE001  # the database may be absent for a while
            log.debug("sampling_failed", error=type(error).__name__)
        await asyncio.sleep(_SAMPLED_EVERY)


@contextmanager
def serving_metrics(host: str, port: int | None, *, child_processes: bool) -> Iterator[None]:
    """Serve metrics while the block runs, those of the processes that it starts included."""
    if port is None:
        yield
        return
    with _registry_of_children() if child_processes else nullcontext(REGISTRY) as registry:
        server, thread = start_http_server(port, host, registry)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@contextmanager
def _registry_of_children() -> Iterator[CollectorRegistry]:
    """Have the processes that are started from here on write what they count to files."""
    with TemporaryDirectory(prefix="metrics-") as folder:
        os.environ[_FOLDER] = folder
        registry = CollectorRegistry()
        registry.register(_LiveProcesses(folder))
        yield registry


class _LiveProcesses(MultiProcessCollector):
    """Forgets the gauges of processes that have ended; what they have counted stays.

    The library tells types of its public functions only.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(None, folder)  # type: ignore[no-untyped-call]
        self._folder = Path(folder)

    def collect(self) -> Iterable[Metric]:
        processes = {int(path.stem.rpartition("_")[2]) for path in self._folder.glob("*.db")}
        for process in processes:
            if not _is_alive(process):
                mark_process_dead(process, str(self._folder))  # type: ignore[no-untyped-call]
        found: Iterable[Metric] = super().collect()  # type: ignore[no-untyped-call]
        return found


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
