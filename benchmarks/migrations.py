"""How long others wait while a revision runs: stock Alembic and ours, under the same load.

Each case upgrades a table of a million rows while four threads read and write single rows of it,
once undisturbed and once behind a transaction that stays open for eight seconds.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread, Timer

import psycopg
from sqlalchemy import URL, make_url

from app.database.embedded import running_server

ROOT = Path(__file__).parents[1]
CLIENTS = 4

CASES = {
    "add is_active": (
        """op.add_column("user", sa.Column("is_active", sa.Boolean, nullable=False,
                                           server_default=sa.true()))""",
        'op.drop_column("user", "is_active")',
    ),
    "add index": (
        'op.create_index("ix_user_full_name", "user", ["full_name"])',
        'op.drop_index("ix_user_full_name", "user")',
    ),
    "add unique": (
        'op.create_unique_constraint("uq_user_email", "user", ["email"])',
        'op.drop_constraint("uq_user_email", "user")',
    ),
    "set not null": (
        'op.alter_column("user", "full_name", nullable=False)',
        'op.alter_column("user", "full_name", nullable=True)',
    ),
    "add foreign key": (
        'op.create_foreign_key("fk_item_owner_id", "item", "user", ["owner_id"], ["id"])',
        'op.drop_constraint("fk_item_owner_id", "item")',
    ),
    "add check": (
        """op.create_check_constraint("ck_user_email", "user", "email LIKE '%@%'")""",
        'op.drop_constraint("ck_user_email", "user")',
    ),
}
TABLES = """
    CREATE TABLE "user" (id int PRIMARY KEY, email varchar(255), full_name varchar(255));
    CREATE TABLE item (id int PRIMARY KEY, owner_id int);
    INSERT INTO "user" SELECT i, 'user' || i || '@example.com', 'User ' || i
        FROM generate_series(1, {rows}) AS i;
    INSERT INTO item SELECT i, i FROM generate_series(1, {rows} / 5) AS i;
    ANALYZE
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "case", None

def upgrade() -> None:
    {upgrade}

def downgrade() -> None:
    {downgrade}
"""
INI = "[alembic]\nscript_location = %(here)s\npath_separator = os\nprepend_sys_path = {root}\n"
STOCK = """
loaded.touch()
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
OURS = """
import alembic_online
loaded.touch()
alembic_online.run(context, engine)
"""
ENV = """
from pathlib import Path
import sqlalchemy as sa
from alembic import context
engine = sa.create_engine({url!r}, poolclass=sa.NullPool)
loaded = Path(__file__).with_name("loaded")
"""


@dataclass
class Load:
    """Clients that read and write single rows; `longest` is the slowest statement in seconds."""

    conninfo: str
    rows: int
    longest: float = 0.0
    failed: int = 0
    _over: Event = field(default_factory=Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [Thread(target=self._work) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(0.5)  # until all are connected and have warmed up
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _work(self) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            while not self._over.is_set():
                row = (random.randint(1, self.rows),)  # noqa: S311  # any row will do
                self._execute(connection, 'SELECT id, email FROM "user" WHERE id = %s', row)
                self._execute(connection, 'UPDATE "user" SET email = email WHERE id = %s', row)
                item = (1 + row[0] % (self.rows // 5),)
                self._execute(connection, "UPDATE item SET owner_id = owner_id WHERE id = %s", item)
                time.sleep(0.002)  # a client also thinks: the stalls are to be seen, not the CPU

    def _execute(self, connection: psycopg.Connection, query: str, row: tuple[int]) -> None:
        start = time.monotonic()
        try:
            connection.execute(query, row)
        except psycopg.Error:
            self.failed += 1
        self.note(time.monotonic() - start)

    def note(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)


@dataclass
class Result:
    seconds: float
    stall: float
    failed: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s | {self.stall * 1000:,.0f} ms | {self.failed}"


@contextmanager
def open_transaction(conninfo: str, seconds: float) -> Iterator[None]:
    """Hold a transaction that has written to both tables, rows that no one else wants."""
    connection = psycopg.connect(conninfo)
    connection.execute("""INSERT INTO "user" VALUES (0, 'new@example.com', 'New')""")
    connection.execute("INSERT INTO item VALUES (0, 1)")
    end = Timer(seconds, connection.rollback)
    end.start()
    try:
        yield
    finally:
        end.join()
        connection.close()


def write_project(folder: Path, url: URL, env: str, upgrade: str, downgrade: str) -> None:
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    (folder / "alembic.ini").write_text(INI.format(root=ROOT))
    shown = url.render_as_string(hide_password=False)
    (folder / "env.py").write_text(ENV.format(url=shown) + env)
    revision = REVISION.format(upgrade=upgrade, downgrade=downgrade)
    (folder / "versions" / "case.py").write_text(revision)


def alembic(folder: Path, *arguments: str, load: Load | None = None) -> float:
    """Run a command as a process and return its seconds; `load` counts once Python has started.

    Elsewhere it would run on a machine of its own, and take no time from the clients.
    """
    (folder / "loaded").unlink(missing_ok=True)
    start = time.monotonic()
    command = ["nice", sys.executable, "-m", "alembic", *arguments]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:  # noqa: S603  # ours
        while not (folder / "loaded").exists() and process.poll() is None:
            time.sleep(0.001)
        if load:
            load.longest = 0.0
    if process.returncode != 0:
        raise RuntimeError(f"{command} failed")
    return time.monotonic() - start


def measure(url: URL, env: str, case: str, rows: int, behind: float) -> Result:
    """Upgrade under load, then go back without."""
    conninfo = conninfo_of(url)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_project(folder, url, env, *CASES[case])
        load = Load(conninfo, rows)
        with load.running(), open_transaction(conninfo, behind) if behind else nullcontext():
            seconds = alembic(folder, "upgrade", "head", load=load)
        alembic(folder, "downgrade", "base")
    return Result(seconds, load.longest, load.failed)


def look(url: URL, rows: int) -> Load:
    """Run a command that changes nothing, to see what clients wait for without a migration."""
    load = Load(conninfo_of(url), rows)
    with tempfile.TemporaryDirectory() as folder:
        write_project(Path(folder), url, STOCK, "pass", "pass")
        with load.running():
            alembic(Path(folder), "current", load=load)
    return load


def conninfo_of(url: URL) -> str:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return plain.replace("+", "%20")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--behind", type=float, default=8.0, help="seconds; 0 leaves it out")
    parser.add_argument("--database", help="URL of an empty database; else one is started")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = running_server(Path(folder), "max_wal_size=4GB")
        with nullcontext(make_url(options.database)) if options.database else server as url:
            compare(url.set(drivername="postgresql+psycopg"), options)


def compare(url: URL, options: argparse.Namespace) -> None:
    with psycopg.connect(conninfo_of(url), autocommit=True) as connection:
        connection.execute(TABLES.format(rows=options.rows))
        connection.execute("VACUUM")
    floor = [look(url, options.rows).longest * 1000 for _ in range(5)]
    say(
        f"{options.rows:,} rows, {CLIENTS} clients. `alembic current`, which changes nothing, makes"
    )
    say(f"them wait {min(floor):,.0f} to {max(floor):,.0f} ms: only what exceeds that counts.\n")
    say("| case | stock: took | longest stall | failed | ours: took | longest stall | failed |")
    say("|---|---|---|---|---|---|---|")
    for behind in (0.0, options.behind) if options.behind else (0.0,):
        for case in options.cases:
            title = f"{case}, behind {behind:.0f} s" if behind else case
            results = (measure(url, env, case, options.rows, behind) for env in (STOCK, OURS))
            say(f"| {title} | {' | '.join(map(str, results))} |")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
