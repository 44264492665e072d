"""Three nodes with etcd, Patroni and PostgreSQL, as containers/cluster sets them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen
from typing import Any

import httpx2
import psycopg

from app.database.embedded.programs import as_ordinary_user, find_binaries
from tests.faults.cluster import find_processes, kill_processes
from tests.faults.network import Host, Network
from tests.servers import ROOT

PASSWORD = "known-to-this-cluster-alone"
CONFIGURATION = ROOT / "containers" / "cluster"
_PATIENCE = 120  # seconds
_NO_ANSWER = (httpx2.TransportError, psycopg.OperationalError)


class Member:
    """A node. Its etcd goes on when its Patroni and PostgreSQL are killed."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host, self.folder = host, folder
        self.data = folder / "data"
        self.etcd, self.patroni = folder / "etcd", folder / "patroni"
        for each in (folder, self.etcd, self.patroni):
            each.mkdir()

    def ask(
        self, path: str, method: str = "GET", timeout: float = 2, **body: Any
    ) -> httpx2.Response:
        """Ask Patroni."""
        url = f"http://{self.host.address}:8008/{path}"
        return httpx2.request(method, url, json=body if method != "GET" else None, timeout=timeout)

    def is_running(self) -> bool:
        return bool(find_processes(self.patroni))

    def is_leader(self) -> bool:
        with suppress(*_NO_ANSWER):
            return bool(self.ask("primary").status_code == 200)
        return False

    def query(self, statement: str, *values: Any, database: str = "app") -> list[Any]:
        place = f"host={self.host.address} dbname={database} connect_timeout=2"
        conninfo = f"{place} user=postgres password={PASSWORD}"
        with psycopg.connect(conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def start_etcd(self, members: list["Member"]) -> None:
        address = self.host.address
        places = ",".join(f"{each.host.name}=http://{each.host.address}:2380" for each in members)
        self._start(
            self.etcd,
            *("etcd", "--name", self.host.name, "--data-dir", str(self.etcd / "data")),
            *("--listen-peer-urls", f"http://{address}:2380"),
            *("--initial-advertise-peer-urls", f"http://{address}:2380"),
            *("--listen-client-urls", f"http://{address}:2379"),
            *("--advertise-client-urls", f"http://{address}:2379"),
            *("--initial-cluster", places),
        )

    def start_patroni(self, python: Path, members: list["Member"]) -> None:
        for stale in self.data.glob("postmaster.pid"):
            stale.unlink()  # of a server that was killed; the number may be another's by now
        address = self.host.address
        environment = {
            "NAME": self.host.name,
            "ETCD3_HOSTS": ",".join(f"{each.host.address}:2379" for each in members),
            "RESTAPI_LISTEN": f"{address}:8008",
            "RESTAPI_CONNECT_ADDRESS": f"{address}:8008",
            "POSTGRESQL_LISTEN": f"{address}:5432",
            "POSTGRESQL_CONNECT_ADDRESS": f"{address}:5432",
            "POSTGRESQL_DATA_DIR": str(self.data),
            "POSTGRESQL_BIN_DIR": str(find_binaries()),
            "POSTGRESQL_PGPASS": str(self.patroni / "pgpass"),
            "SUPERUSER_USERNAME": "postgres",
            "SUPERUSER_PASSWORD": PASSWORD,
            "REPLICATION_USERNAME": "replicator",
            "REPLICATION_PASSWORD": PASSWORD,
        }
        given = {f"PATRONI_{name}": value for name, value in environment.items()}
        command = [*as_ordinary_user(), str(python), "-m", "patroni"]
        self._start(self.patroni, *command, str(CONFIGURATION / "patroni.yml"), **given)

    def _start(self, folder: Path, *command: str, **environment: str) -> None:
        with (folder / "log").open("ab") as log:
            Popen(
                [*self.host.within, *command],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"} | environment,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
            )

    def kill(self) -> None:
        """Kill Patroni, which would start PostgreSQL again, and PostgreSQL."""
        kill_processes(self.patroni)
        kill_processes(self.data)

    def kill_etcd(self) -> None:
        kill_processes(self.etcd)

    def send(self, number: signal.Signals) -> None:
        for folder in (self.patroni, self.data):
            for process in find_processes(folder):
                process.send_signal(number)


class Cluster:
    def __init__(self, network: Network, folder: Path, python: Path) -> None:
        self.members = [Member(each, folder / each.name) for each in network.hosts]
        self._python = python

    @contextmanager
    def running(self) -> Iterator["Cluster"]:
        try:
            for each in self.members:
                each.start_etcd(self.members)
            for each in self.members:
                self.start(each)
            self.wait_until_whole()
            yield self
        finally:
            for each in self.members:
                each.send(signal.SIGCONT)
                each.kill()
                each.kill_etcd()

    def start(self, member: Member) -> None:
        member.start_patroni(self._python, self.members)

    @property
    def leader(self) -> Member:
        """Wait for a member to be the leader, and return it."""
        wait_for("a leader", lambda: any(each.is_leader() for each in self.members))
        leaders = [each for each in self.members if each.is_leader()]
        return leaders[0] if leaders else self.leader

    def wait_for_leader(self, *, other_than: Member) -> float:
        """Wait for another leader; return when it was there."""
        others = [each for each in self.members if each is not other_than]
        wait_for("another leader", lambda: any(each.is_leader() for each in others))
        return time.monotonic()

    def find_standbys(self) -> dict[str, Member]:
        """Return the synchronous standby and the other one, by `sync` and `async`."""
        rows = self.leader.query("SELECT application_name, sync_state FROM pg_stat_replication")
        by_name = {each.host.name: each for each in self.members}
        return {state: by_name[name] for name, state in rows if name in by_name}

    def wait_until_whole(self) -> None:
        """Wait for a leader, a synchronous standby and another one, which are up to date."""
        wait_for("a whole cluster", self._is_whole)

    def _is_whole(self) -> bool:
        with suppress(*_NO_ANSWER):
            found = self.leader.ask("cluster").json()["members"]
            states = sorted((each["role"], each["state"], each.get("lag", 0)) for each in found)
            return states == [
                ("leader", "running", 0),
                ("replica", "streaming", 0),
                ("sync_standby", "streaming", 0),
            ]
        return False

    def configure(self, **settings: Any) -> None:
        self.leader.ask("config", "PATCH", **settings).raise_for_status()


def wait_for(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"there is not {what} after {_PATIENCE} s")
        time.sleep(0.1)
