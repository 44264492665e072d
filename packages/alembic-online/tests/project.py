"""A scratch Alembic project in a temporary folder, run in process or on a terminal."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
from alembic.config import CommandLine, Config
from alembic.script import ScriptDirectory

ROOT = Path(__file__).parent
DRIVER = os.environ.get("TEST_DRIVER", "postgresql+psycopg")

INI = """\
[alembic]
script_location = %(here)s/migration
prepend_sys_path = {root}
path_separator = os
file_template = %%(rev)s
sqlalchemy.url = {url}
"""

TEMPLATE = '''\
"""${message}"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''

# Each run has models and metadata of its own, so that a process can run many in turn.
MODELS = """\
import datetime as dt, decimal, enum, uuid
from decimal import Decimal
import sqlalchemy as sa
import sqlmodel
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import registry
from sqlmodel import Field, Relationship

metadata = sa.MetaData(naming_convention={convention!r})

class SQLModel(sqlmodel.SQLModel, registry=registry(metadata=metadata)):
    pass

"""

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_ENV = """\
from pathlib import Path
from runpy import run_path

from alembic import context
from project import create_engine

models = run_path(str(Path(__file__).parents[1] / "models.py"), run_name="models")
url = context.config.get_main_option("sqlalchemy.url")
engine = create_engine(url)
"""

# As the service has it.
ONLINE_ENV = f"""{_ENV}
import alembic_online

alembic_online.run(context, engine, target_metadata=models["metadata"])
"""

# What `alembic init` gives: to see what it does without us.
STOCK_ENV = f"""{_ENV}
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=models["metadata"])
    with context.begin_transaction():
        context.run_migrations()
"""


@cache
def create_engine(url: str) -> sa.Engine:
    """Share the engine, as its cache of compiled statements is half of a command's time."""
    return sa.create_engine(url, poolclass=sa.NullPool)


class Project:
    """`folder` gets alembic.ini, models.py and migration/; `url` is the database."""

    def __init__(self, folder: Path, url: sa.URL, *, env: str = ONLINE_ENV) -> None:
        self.folder, self.url = folder, url
        self.ini, self.versions = folder / "alembic.ini", folder / "migration" / "versions"
        self.versions.mkdir(parents=True)
        self.shown_url = url.render_as_string(hide_password=False)
        self.use(DRIVER if url.get_backend_name() == "postgresql" else url.drivername)
        (folder / "migration" / "env.py").write_text(env)
        (folder / "migration" / "script.py.mako").write_text(TEMPLATE)
        self.write_models("")

    # --- what the project says

    def use(self, driver: str) -> None:
        """Have Alembic reach the database by another driver."""
        url = self.url.set(drivername=driver).render_as_string(hide_password=False)
        self.ini.write_text(INI.format(root=ROOT, url=url.replace("%", "%%")))

    def write_models(self, source: str, *, convention: dict[str, str] | None = CONVENTION) -> None:
        """Replace the models; imports, `SQLModel` and `metadata` are there already."""
        models = MODELS.format(convention=convention or {}) + dedent(source)
        (self.folder / "models.py").write_text(models)

    def write_revision(self, upgrade: str, downgrade: str = "pass") -> str:
        """Add a hand-written revision on top of the newest one and return its identifier."""
        name = f"hand{len(self.revisions()):04}"
        script = ScriptDirectory(str(self.folder / "migration"))
        bodies = [
            f"def {function}() -> None:\n{_indent(body)}\n"
            for function, body in (("upgrade", upgrade), ("downgrade", downgrade))
        ]
        (self.versions / f"{name}.py").write_text(
            f"import sqlalchemy as sa\nfrom alembic import op\n\nrevision = {name!r}\n"
            f"down_revision = {script.get_current_head()!r}\n\n\n" + "\n\n".join(bodies)
        )
        return name

    def revisions(self) -> list[Path]:
        """Return the revision files, oldest first."""
        script = ScriptDirectory(str(self.folder / "migration"))
        return [Path(found.path) for found in script.walk_revisions()][::-1]

    # --- the commands

    def alembic(self, *arguments: str, answers: Sequence[str] | None = None) -> str:
        """Run Alembic in this process and return what it printed; a refusal is a `CommandError`.

        With `answers`, standard input is a terminal on which these lines are typed.
        """
        output = io.StringIO()
        line = CommandLine()
        options = line.parser.parse_args(["--raiseerr", *arguments])
        config = Config(str(self.ini), cmd_opts=options, stdout=output, output_buffer=output)
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(output))
            if answers is not None:
                stack.enter_context(_typed(answers))
            try:
                line.run_cmd(config, options)
            except Exception as error:
                error.add_note(output.getvalue())
                raise
        return output.getvalue()

    def revise(
        self, *extras: str, message: str = "change", answers: Sequence[str] | None = None
    ) -> str | None:
        """Autogenerate with `-x` extras and return the text of the new file, if there is one."""
        before = set(self.versions.glob("*.py"))
        given = [part for extra in extras for part in ("-x", extra)]
        arguments = (*given, "revision", "--autogenerate", "-m", message)
        self.output = self.alembic(*arguments, answers=answers)
        new = set(self.versions.glob("*.py")) - before
        return new.pop().read_text() if new else None

    def upgrade(self, revision: str = "head") -> str:
        return self.alembic("upgrade", revision)

    def downgrade(self, revision: str = "-1") -> str:
        return self.alembic("downgrade", revision)

    def check(self) -> str:
        """Raise `CommandError` unless the database matches the models."""
        return self.alembic("check")

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `alembic` as a process of its own, its output in one pipe."""
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE} | options
        return subprocess.Popen(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            stderr=subprocess.STDOUT,
            text=True,
            **settings,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `alembic` as a process and wait for it; its whole output is in `stdout`."""
        with self.start(*arguments) as process:
            output, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def run_on_terminal(
        self, *arguments: str, answers: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run `alembic` on a terminal; each prompt that ends in "] " gets the next answer."""
        ours, theirs = pty.openpty()
        process = self.start(*arguments, stdin=theirs, stdout=theirs)
        os.close(theirs)
        output, left = "", list(answers)
        with suppress(OSError), os.fdopen(ours, "r+b", buffering=0) as terminal:
            while received := terminal.read(1024):
                output += received.decode()
                if output.endswith("] "):
                    terminal.write((left.pop(0) + "\n").encode() if left else b"\x04")
        return subprocess.CompletedProcess(process.args, process.wait(), output)

    # --- the database

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end."""
        with create_engine(self.shown_url).begin() as connection:
            yield connection

    def execute(self, statement: str, **values: Any) -> None:
        with self.connect() as connection:
            connection.execute(sa.text(statement), values)

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query), values)]

    def scalar(self, query: str, **values: Any) -> Any:
        with self.connect() as connection:
            return connection.scalar(sa.text(query), values)


@contextmanager
def _typed(answers: Sequence[str]) -> Iterator[None]:
    """Make standard input a terminal; when the answers are used up, it ends."""
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode() + b"\x04")
    with closing(os.fdopen(theirs)) as terminal, patch.object(sys, "stdin", terminal):
        yield
    os.close(ours)


def _indent(body: str) -> str:
    return "\n".join(f"    {line}" for line in dedent(body).strip().splitlines())
