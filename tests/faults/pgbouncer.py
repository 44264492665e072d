"""A type changes under load behind PgBouncer, with its prepared statements and without."""

import re
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen

from tests.faults.fault import Fault
from tests.faults.scene import Scene, is_root
from tests.servers import find_free_port

_PREPARES_SINCE = (1, 21)
_CONFIGURATION = """
[databases]
app = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 10
max_client_conn = 500
max_prepared_statements = {prepared}
ignore_startup_parameters = options
query_wait_timeout = 3
server_login_retry = 1
"""


def start_pgbouncer(folder: Path, target: str, prepared: int = 0) -> tuple[Popen[bytes], int]:
    """Start PgBouncer in transaction mode; return the process and its port."""
    listen = find_free_port()
    text = _CONFIGURATION.format(target=target, listen=listen, prepared=prepared)
    if not prepared:
        text = re.sub("max_prepared_statements.*\n", "", text)  # older ones do not know it
    path = folder / "pgbouncer.ini"
    path.write_text(f"{text}user = nobody\n" if is_root() else text)
    process = Popen(["pgbouncer", "--quiet", path], stderr=DEVNULL)
    wait_for_port(listen)
    return process, listen


class Bouncer:
    """PgBouncer between the service and the primary."""

    def __init__(self, prepared: int) -> None:
        self._prepared = prepared

    def start(self, scene: Scene) -> None:
        primary = scene.cluster.primary
        target = f"host={primary.host.address} port={primary.host.port} dbname=app user=postgres"
        self._process, listen = start_pgbouncer(primary.folder, target, self._prepared)
        scene.service.restart(
            "--no-migrate",  # its lock belongs to a session
            DATABASE_URL=f"postgresql://postgres@127.0.0.1:{listen}/app",
            DATABASE_PREPARED_STATEMENTS=str(bool(self._prepared)),
        )

    def stop(self, scene: Scene) -> None:
        scene.service.restart()
        self._process.terminate()
        self._process.wait(timeout=30)

    def find_missing(self, _: Scene) -> str | None:
        if not shutil.which("pgbouncer"):
            return "PgBouncer is not installed"
        if self._prepared and _find_version() < _PREPARES_SINCE:
            return "needs PgBouncer 1.21 or newer"
        return None


def _find_version() -> tuple[int, ...]:
    done = subprocess.run(["pgbouncer", "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    return tuple(map(int, found.groups())) if found else (0, 0)


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}")


def _change_type(scene: Scene) -> None:
    for length in (*range(300, 320), 255):
        for place in ("marble ALTER title", '"user" ALTER full_name'):
            scene.cluster.primary.query(f"ALTER TABLE {place} TYPE varchar({length})")
        time.sleep(0.3)


def _make_fault(name: str, prepared: int) -> Fault[Scene]:
    bouncer = Bouncer(prepared)
    return Fault(
        f"type changed behind PgBouncer{name}",
        2,
        _change_type,
        prepare=bouncer.start,
        clean=bouncer.stop,
        find_missing=bouncer.find_missing,
    )


POOLER_FAULTS = (
    _make_fault("", prepared=0),
    _make_fault(" that prepares", prepared=100),
)
