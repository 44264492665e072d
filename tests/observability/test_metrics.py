"""What Prometheus reads: on its own port, and the same however many processes serve."""

import asyncio
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import httpx2
import psutil
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import URL, text
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.url import libpq_uri
from app.mail.backlog import count_due_mails, get_age_of_oldest_mail
from app.mail.service import enqueue
from app.observability.metrics import RequestMetrics, sampling
from tests.problems import read_problem
from tests.servers import ROOT, find_free_port, running_app

MISS = 'code="not_found",method="GET",operation="unmatched",status="404"'


def count(**labels: str) -> float:
    return REGISTRY.get_sample_value("http_requests_total", labels) or 0


def test_request_metrics_count_by_operation_and_outcome() -> None:
    login = {"operation": "test-log_in", "method": "POST"}
    metrics = RequestMetrics()
    for _ in range(2):
        metrics.observe("test-log_in", "POST", 401, "invalid_credentials", 0.2)
    metrics.observe("test-log_in", "POST", 200, "", 0.02)
    assert count(**login, status="401", code="invalid_credentials") == 2
    assert count(**login, status="200", code="") == 1
    sample = {"operation": "test-log_in", "le": "0.025"}
    assert REGISTRY.get_sample_value("http_request_duration_seconds_bucket", sample) == 1


def test_request_metrics_keep_no_invented_method() -> None:
    for number in range(3):
        RequestMetrics().observe("test", f"METHOD{number}", 405, "", 0.1)
    assert count(operation="test", method="other", status="405", code="") == 3


def test_alerts_are_about_metrics_that_there_are() -> None:
    alerts = (ROOT / "containers" / "prometheus" / "alerts.yml").read_text()
    used = {*re.findall(r"\b(?:http|outbox|password|database)_\w+", alerts)}
    names = (metric.name for metric in REGISTRY.collect())
    assert used
    assert used <= {f"{name}{suffix}" for name in names for suffix in ("", "_total", "_bucket")}


async def test_sampling_survives_what_fails() -> None:
    async def fail() -> float:
        raise ConnectionError

    async def count_connections() -> float:
        counted.set()
        return 7

    counted = asyncio.Event()
    async with sampling(mails=fail, connections=count_connections):
        await counted.wait()
        await asyncio.sleep(0)
    assert REGISTRY.get_sample_value("database_connections_in_use") == 7


async def test_backlog_is_what_is_due(session: AsyncSession) -> None:
    assert (await count_due_mails(session), await get_age_of_oldest_mail(session)) == (0, 0)
    for _ in range(2):
        await enqueue(session, "password_reset")
    connection = await session.connection()
    await enqueue(session, "invitation")
    later = "UPDATE outbox SET run_at = now() + interval '1 day' WHERE kind = 'invitation'"
    await connection.execute(text(later))
    await enqueue(session, "new_login")
    sent = "UPDATE outbox SET sent_at = now(), run_at = 'epoch' WHERE kind = 'new_login'"
    await connection.execute(text(sent))
    earlier = "UPDATE outbox SET run_at = run_at - interval '1 hour' WHERE kind = 'password_reset'"
    await connection.execute(text(earlier))
    assert await count_due_mails(session) == 2
    assert await get_age_of_oldest_mail(session) == pytest.approx(3600, abs=60)


def read_value(page: str, sample: str) -> float:
    match = re.search(rf"^{re.escape(sample)} (\S+)$", page, re.MULTILINE)
    return float(match[1]) if match else 0


def wait_until(condition: Callable[[], bool]) -> None:
    end = monotonic() + 30
    while not condition():
        assert monotonic() < end
        sleep(0.05)


def test_metrics_add_up_over_all_workers(empty_database: URL, tmp_path: Path) -> None:
    port = find_free_port()
    url = libpq_uri(empty_database)

    def read(sample: str) -> float:
        return read_value(httpx2.get(f"http://127.0.0.1:{port}/metrics").text, sample)

    with running_app(
        "--workers", "2", DATABASE_URL=url, METRICS_PORT=str(port), TMPDIR=str(tmp_path)
    ) as server:
        read_problem(httpx2.get(f"{server.url}/metrics"), 404, "not_found")
        for _ in range(19):  # each on a connection of its own, for whichever process is free
            httpx2.get(f"{server.url}/nowhere")
        wait_until(lambda: read(f"http_requests_total{{{MISS}}}") == 20)
        assert read('http_request_duration_seconds_count{operation="unmatched"}') == 20
        assert read("database_connections_in_use") == 0
        victim = psutil.Process(server.process.pid).children()[-1]
        os.kill(victim.pid, signal.SIGKILL)
        server.wait_for(r"died")
        assert read(f"http_requests_total{{{MISS}}}") == 20
        assert not list(tmp_path.rglob(f"gauge_live*_{victim.pid}.db"))
    assert list(tmp_path.iterdir()) == []
