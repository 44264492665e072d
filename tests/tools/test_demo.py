"""`make demo` ends as a whole."""

import os
import socket
import subprocess
import sys

import pytest
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.servers import ROOT, Process, find_free_port


@pytest.mark.long
def test_end_takes_the_service_along(empty_database: URL) -> None:
    port = find_free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "tools.demo", "127.0.0.1", str(port)],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": libpq_uri(empty_database), "BROWSER": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        Process(process).wait_for("Sign in on")
        process.terminate()
        process.wait(timeout=30)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
