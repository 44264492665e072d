"""A server process: what a fault leaves of it, what it prints, and its other port."""

import re

import httpx2
import psycopg

from tests.factories import PASSWORD
from tests.problems import read_problem
from tests.servers import Server
from tests.web.wire.connections import API, Connect, get


def test_asvs_16_5_4_fault_leaves_the_connection_open(
    server: Server, connect: Connect, database: str, token: str
) -> None:
    connection = connect()
    request = get(f"{API}/users/me", token)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute('ALTER TABLE "user" RENAME COLUMN full_name TO canary')
        try:
            connection.send(request)
            status, headers, body = connection.read()
        finally:
            owner.execute('ALTER TABLE "user" RENAME COLUMN canary TO full_name')
    assert (status, headers["content-type"]) == (500, "application/problem+json")
    assert headers["x-request-id"].encode() in body
    assert b"full_name" not in body
    connection.send(request)
    assert connection.read()[0] == 200
    server.wait_for(r"unexpected_error", r"psycopg\.errors\.UndefinedColumn", r"status=500")
    faults = [line for line in server.printed.splitlines() if "Error" in line and "app." in line]
    assert len([line for line in server.printed.splitlines() if "unexpected_error" in line]) == 1, (
        faults
    )


def test_asvs_16_2_5_process_prints_no_secret(server: Server, token: str) -> None:
    canary = "canary-4711-password"
    with httpx2.Client(base_url=server.url) as client:
        client.get(f"{API}/users/me?access_token={token}&password={canary}")
        client.get(f"/{token}/{canary}", headers={"Authorization": f"Bearer {canary}"})
        client.post(f"{API}/auth/login", data={"username": canary, "password": canary})
        client.post(f"{API}/auth/login", content=canary)
        client.get("/healthz", headers={"X-Request-ID": "the-last-one"})
        client.get("/nowhere", headers={"X-Request-ID": "the-last-one"})
    server.wait_for(r"the-last-one")
    printed = server.printed
    assert "auth-log_in" in printed
    assert not [secret for secret in (token, canary, PASSWORD) if secret in printed]


def test_asvs_13_4_5_metrics_are_on_their_own_port(server: Server, metrics_port: int) -> None:
    read_problem(httpx2.get(f"{server.url}/metrics"), 404, "not_found")
    page = httpx2.get(f"http://127.0.0.1:{metrics_port}/metrics").text
    assert 'http_requests_total{code="not_found",method="GET",operation="unmatched"' in page
    assert re.search(r"^outbox_due_mails \d", page, re.MULTILINE)
