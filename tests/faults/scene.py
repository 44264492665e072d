"""What a fault befalls: the cluster, the service in front of it, and what was found wrong."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.faults.clients import Clients, Ledger
from tests.faults.cluster import Cluster
from tests.faults.network import Network, make_network
from tests.marbles import create_tables
from tests.servers import Server, copy_repository, find_free_port, running_app

WORKERS = 2
_GRACE = 30  # seconds that it has to end
_SETTINGS = {
    "LOG_LEVEL": "info",
    "MAX_CONNECTIONS": "100",
    "TRUSTED_PROXIES": "127.0.0.1",  # so that the clients are not one network to the limits
}


class Service:
    """`app run` on a port that stays, with settings that change."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        self._folder = folder
        self._options = options
        self._settings = _SETTINGS | settings
        self._port = str(find_free_port())
        self._running = ExitStack()
        self.server: Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self, *options: str, **settings: str) -> None:
        options = ("--port", self._port, *self._options, *options)
        environment = self._settings | settings
        app = running_app(*options, folder=self._folder, **environment)
        self.server = self._running.enter_context(app)

    def stop(self) -> int:
        """Tell it to end, and return its exit code; one that does not end is killed."""
        process = self.server.process
        process.terminate()
        try:
            process.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            for worker in self.find_workers():
                worker.kill()
            process.kill()
        self._running.close()
        return int(process.wait())

    def restart(self, *options: str, **settings: str) -> None:
        self.stop()
        self.start(*options, **settings)

    def find_workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.server.process.pid).children()
        return [each for each in children if _is_worker(each)]


def _is_worker(process: psutil.Process) -> bool:
    """Tell it from multiprocessing's own helper, and from one that has ended."""
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:
        return False


class Scene:
    """`complaints` are what a fault has found wrong beside what its ledger shows."""

    def __init__(
        self, network: Network, cluster: Cluster, service: Service, mail_port: int
    ) -> None:
        self.network = network
        self.cluster = cluster
        self.service = service
        self.clients = Clients(service.url)
        self.mail_port = mail_port
        self.complaints: list[str] = []
        self.ledger = Ledger(0)

    def query(self, statement: str, *values: Any) -> list[Any]:
        return self.cluster.primary.query(statement, *values)

    def restart(self) -> None:
        self.service.restart()

    def require(self, condition: object, complaint: str) -> None:
        if not condition:
            self.complaints.append(complaint)


def copy_with_marbles(folder: Path) -> Path:
    """Copy the service, and give the copy the routes of `tests.marbles`."""
    main = copy_repository(folder) / "app" / "main.py"
    more = "from tests.marbles import with_marbles\n\ncreate_app = with_marbles(create_app)\n"
    main.write_text(f"{main.read_text()}\n\n{more}")
    return folder


@contextmanager
def running_scene(folder: Path) -> Iterator[Scene]:
    """Start it all, with a user; end it all."""
    with ExitStack() as stack:
        network = make_network()
        cluster = stack.enter_context(Cluster(network, folder).running())
        mail_port = find_free_port()
        smtp = f"smtp://127.0.0.1:{mail_port}?tls=off"
        copy = copy_with_marbles(folder / "service")
        workers = ("--workers", str(WORKERS))
        service = Service(copy, *workers, DATABASE_URL=cluster.url, SMTP_URL=smtp)
        service.start()
        stack.callback(service.stop)
        create_tables(cluster.primary.url)
        scene = Scene(network, cluster, service, mail_port)
        scene.clients.sign_up("ada@example.com")
        scene.clients.sign_in("ada@example.com")
        yield scene


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder for PostgreSQL, whose sockets need a short path."""
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir="/tmp")).resolve()
    folder.chmod(0o755)  # PostgreSQL runs as another user than root
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_root() -> bool:
    return os.geteuid() == 0
