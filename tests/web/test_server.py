import socket
import time
from pathlib import Path

import httpx2
import psutil
import pytest
from sqlalchemy import URL

from app.database.url import libpq_uri
from app.web.server import PortTakenError, check_port
from tests.factories import make_account
from tests.servers import copy_repository, find_free_port, running_app


def test_check_port_says_what_to_do_about_a_taken_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"127\.0\.0\.1:{port} .*: make run PORT="):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_check_port_refuses_an_address_that_is_not_here() -> None:
    with pytest.raises(PortTakenError, match="cannot listen on"):
        check_port("192.0.2.1", 8000)


def test_serve_reloads_and_ends_with_its_parent(empty_database: URL, tmp_path: Path) -> None:
    copy = copy_repository(tmp_path)
    models = copy / "app" / "users" / "models.py"
    field = "    color: str | None = Field(default=None, max_length=20)\n"
    with running_app("--reload", folder=copy, DATABASE_URL=libpq_uri(empty_database)) as server:
        models.write_text(models.read_text().replace("    full_name: ", f"{field}    full_name: "))
        server.wait_for(r"models are ahead of the database \(add column user\.color\)")
        children = psutil.Process(server.process.pid).children(recursive=True)
        server.process.kill()
        assert not psutil.wait_procs(children, timeout=30)[1]


def test_serve_is_unready_before_it_stops(empty_database: URL) -> None:
    url = libpq_uri(empty_database)
    with running_app(DATABASE_URL=url, SHUTDOWN_DELAY="3") as server:
        assert get_status(f"{server.url}/readyz") == 200
        server.process.terminate()
        while (status := get_status(f"{server.url}/readyz")) == 200:
            time.sleep(0.05)
        assert status == 503
        assert get_status(f"{server.url}/healthz") == 200
        assert server.process.wait(timeout=25) == 0


def get_status(url: str) -> int:
    return httpx2.get(url, timeout=10).status_code


def test_links_in_mail_lead_to_the_port_that_is_served(empty_database: URL) -> None:
    port = find_free_port()
    options = ("--port", str(port))
    with running_app(*options, DATABASE_URL=libpq_uri(empty_database)) as server:
        url = f"{server.url}/api/v1/auth/signup"
        httpx2.post(url, json=make_account()).raise_for_status()
        server.wait_for(rf"http://127\.0\.0\.1:{port}/confirm-email#token=uml_")
