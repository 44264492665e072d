"""A primary with a synchronous standby, as the embedded PostgreSQL brings the programs."""

import shlex
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from sqlalchemy import URL

from app.database.embedded.programs import call, run
from tests.faults.network import Host, Network

_SETTINGS = (
    *("fsync=off", "max_connections=150", "max_wal_size=32MB", "min_wal_size=2MB"),
    *("log_min_messages=fatal", "wal_retrieve_retry_interval=500ms"),
)


class Node:
    """One server; its own folder has its socket, so that it is reached without the network too."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self.data = folder / "data"
        self.conninfo = f"host={self.data} port={host.port} user=postgres connect_timeout=5"

    @property
    def url(self) -> URL:
        options = {"host": str(self.data), "port": str(self.host.port)}
        return URL.create("postgresql+psycopg", "postgres", database="app", query=options)

    def query(self, statement: str, *values: Any, database: str = "app") -> list[Any]:
        with psycopg.connect(f"{self.conninfo} dbname={database}", autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def initialize(self) -> None:
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
        run(
            "initdb", *options, "--no-sync", "--no-instructions", "--wal-segsize=1", "-D", self.data
        )
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write("host all all all trust\nhost replication all all trust\n")

    def start(self) -> None:
        for stale in ("postmaster.pid", f".s.PGSQL.{self.host.port}.lock"):
            (self.data / stale).unlink(missing_ok=True)  # of a server that was killed
        options = [
            f"-k{self.data}",
            f"-p{self.host.port}",
            f"-clisten_addresses={self.host.address}",
        ]
        options += [f"-c{setting}" for setting in _SETTINGS]
        log = self.folder / "log"
        start = ("start", "-w", "-D", self.data, "-l", log, "-o", shlex.join(options))
        run("pg_ctl", *start, within=self.host.within)

    def stop(self, mode: str) -> None:
        run("pg_ctl", "stop", "-w", "-m", mode, "-D", self.data)

    def is_running(self) -> bool:
        probe = ("-q", "-h", self.data, "-p", str(self.host.port))
        return call("pg_isready", *probe).returncode == 0

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the server."""
        for process in find_processes(self.data):
            process.send_signal(number)

    def kill(self) -> None:
        kill_processes(self.data)


def kill_processes(folder: Path) -> None:
    while processes := find_processes(folder):
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # the first one's end ends the others
                process.kill()
        psutil.wait_procs(processes, timeout=5)


def find_processes(folder: Path) -> Sequence[psutil.Process]:
    """Return those that work in a folder, as all of a PostgreSQL server do in its data."""
    found = psutil.process_iter(["cwd", "status"])
    return [
        each
        for each in found
        if each.info["cwd"] == str(folder) and each.info["status"] != psutil.STATUS_ZOMBIE
    ]


class Cluster:
    """Two nodes. What is acknowledged is on both, as long as there are two."""

    def __init__(self, network: Network, folder: Path) -> None:
        for name in ("a", "b"):
            network.mount(folder / name)
        self.primary, self.standby = (Node(each, folder / each.name) for each in network.hosts)
        nodes = (self.primary, self.standby)
        self._places = ",".join(f"{each.host.address}:{each.host.port}" for each in nodes)

    @property
    def url(self) -> str:
        options = "target_session_attrs=read-write&sslmode=disable"
        return f"postgresql://postgres@{self._places}/app?{options}"

    @contextmanager
    def running(self) -> Iterator["Cluster"]:
        try:
            self.primary.initialize()
            self.primary.start()
            self.primary.query("CREATE DATABASE app", database="postgres")
            self.attach()
            yield self
        finally:
            self.primary.kill()
            self.standby.kill()

    def attach(self) -> None:
        """Make the other node a synchronous standby, from nothing."""
        primary, standby = self.primary, self.standby
        standby.kill()
        shutil.rmtree(standby.data, ignore_errors=True)
        place = f"host={primary.host.address} port={primary.host.port} user=postgres"
        copy = ("-d", place, "-D", standby.data, "-c", "fast", "--no-sync")
        run("pg_basebackup", *copy, within=standby.host.within)
        # Without what the primary is told below: promoted, it has no standby to wait for.
        (standby.data / "postgresql.auto.conf").write_text(f"primary_conninfo = '{place}'\n")
        (standby.data / "standby.signal").touch()
        standby.start()
        primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.query("SELECT pg_reload_conf()")
        self.wait_for_standby()

    def wait_for_standby(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.primary.query("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"):
                return
            time.sleep(0.1)
        raise AssertionError("the standby does not follow")

    def promote(self) -> None:
        """Make the standby the primary; the other one is gone, or will be."""
        self.standby.query("SELECT pg_promote(true, 30)")
        self.primary, self.standby = self.standby, self.primary
