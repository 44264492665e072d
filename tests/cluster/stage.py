"""The cluster, three ways to it with a service on each, and their clients."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

from sqlalchemy import make_url

from tests.cluster.patroni import CONFIGURATION, PASSWORD, Cluster
from tests.faults.clients import Clients, Ledger
from tests.faults.network import Network
from tests.faults.pgbouncer import start_pgbouncer, wait_for_port
from tests.faults.scene import Service, copy_with_marbles
from tests.marbles import create_tables
from tests.servers import ROOT, find_free_port

FORMS = ("HAProxy", "PgBouncer behind it", "hosts in the URL")
_PAUSE = 0.15  # seconds between requests of one of the 24 clients


class Stage:
    """See `tests.faults.fault.Stage`."""

    def __init__(self, network: Network, cluster: Cluster, proxy: int, folder: Path) -> None:
        self.network = network
        self.cluster = cluster
        self.folder = folder
        self.owner_url = _make_url("app_owner", f"127.0.0.1:{proxy}")
        self.services: list[Service] = []
        self.complaints: list[str] = []
        self.ledger = Ledger(0)
        self.clients: Clients

    def query(self, statement: str, *values: Any) -> list[Any]:
        return self.cluster.leader.query(statement, *values)

    def restart(self) -> None:
        for each in self.services:
            each.restart()

    def require(self, condition: object, complaint: str) -> None:
        if not condition:
            self.complaints.append(complaint)

    def alembic(self, *arguments: str) -> "Popen[str]":
        """Run Alembic through the proxy, as the owner of the tables."""
        command = [str(Path(sys.executable).with_name("alembic")), *arguments]
        environment = {"DATABASE_URL": self.owner_url, "PYTHONPATH": str(self.folder)}
        return Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def migrate(self, *arguments: str) -> None:
        process = self.alembic(*arguments)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said


@contextmanager
def running_stage(network: Network, folder: Path, python: Path) -> Iterator[Stage]:
    """Start it all, with a user; end it all."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(network, folder, python).running())
        proxy = _start_proxy(stack, cluster)
        target = f"host=127.0.0.1 port={proxy} dbname=app user=app_service password={PASSWORD}"
        process, bouncer = start_pgbouncer(folder, target)
        stack.callback(process.terminate)
        stage = Stage(network, cluster, proxy, copy_with_marbles(folder / "service"))
        _make_database(stage)
        hosts = ",".join(f"{each.host.address}:5432" for each in cluster.members)
        for place in (f"127.0.0.1:{proxy}", f"127.0.0.1:{bouncer}", hosts):
            service = Service(
                stage.folder,
                "--no-migrate",
                DATABASE_URL=_make_url("app_service", place),
                DATABASE_PREPARED_STATEMENTS=str(place != f"127.0.0.1:{bouncer}"),
            )
            service.start()
            stack.callback(service.stop)
            stage.services.append(service)
        stage.clients = Clients(*(each.url for each in stage.services), pause=_PAUSE)
        stage.clients.sign_up("ada@example.com")
        stage.clients.sign_in("ada@example.com")
        yield stage


def _start_proxy(stack: ExitStack, cluster: Cluster) -> int:
    """Start HAProxy as containers/cluster sets it; return its port."""
    port = find_free_port()
    addresses = {f"DB{n}": each.host.address for n, each in enumerate(cluster.members, 1)}
    process = Popen(
        ["haproxy", "-db", "-f", str(CONFIGURATION / "haproxy.cfg")],
        env={"PATH": os.environ["PATH"], "BIND": f"127.0.0.1:{port}", **addresses},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(process.kill)
    wait_for_port(port)
    return port


def _make_database(stage: Stage) -> None:
    leader = stage.cluster.leader
    leader.query("CREATE DATABASE app", database="postgres")
    leader.query((ROOT / "migration" / "roles.sql").read_text())
    for role in ("app_owner", "app_service"):
        leader.query(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
    stage.migrate("upgrade", "head")
    create_tables(make_url(stage.owner_url).set(drivername="postgresql+psycopg"))


def _make_url(role: str, place: str) -> str:
    return f"postgresql://{role}:{PASSWORD}@{place}/app?sslmode=disable"
