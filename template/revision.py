"""The one initial revision, written anew by the loop itself on an empty database."""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from app.database.embedded import EmbeddedServerError, running_server
from template.errors import TemplateError
from template.shape import tidy_code

_MESSAGE = "Create the tables"


def write_initial_revision(folder: Path) -> None:
    """Replace all revisions of the project in `folder` by one that makes its tables."""
    versions = folder / "migration" / "versions"
    shutil.rmtree(versions)
    versions.mkdir()
    with tempfile.TemporaryDirectory(prefix="mine-") as data:
        try:
            with running_server(Path(data), "fsync=off") as url:
                _revise(folder, url.render_as_string(hide_password=False))
        except EmbeddedServerError as error:
            raise TemplateError(f"the embedded PostgreSQL, for a first revision: {error}") from None


def guard_postgresql(text: str) -> str:
    """Let other databases pass by the indexes that only PostgreSQL has, as the models do.

    Models say so with `ddl_if`, of which a revision that is written knows nothing.
    """
    lines = text.splitlines(keepends=True)
    for node in reversed([*ast.walk(ast.parse(text))]):
        if isinstance(node, ast.Expr) and _is_postgresqls(node.value):
            indent = " " * node.col_offset
            inner = lines[node.lineno - 1 : node.end_lineno]
            guard = f'{indent}if op.get_context().dialect.name == "postgresql":\n'
            lines[node.lineno - 1 : node.end_lineno] = [guard, *(f"    {each}" for each in inner)]
    return "".join(lines)


def _is_postgresqls(call: ast.expr) -> bool:
    return (
        isinstance(call, ast.Call)
        and ast.unparse(call.func) in {"op.create_index", "op.drop_index"}
        and any(keyword.arg == "postgresql_using" for keyword in call.keywords)
    )


def _revise(folder: Path, url: str) -> None:
    command = [sys.executable, "-m", "alembic", "revision", "--autogenerate", "-m", _MESSAGE]
    own = {"DATABASE_URL": url, "PYTHONPATH": str(folder), "ENVIRONMENT": "development"}
    own |= {"PYTHONDONTWRITEBYTECODE": "1", "RUFF_NO_CACHE": "true"}
    done = subprocess.run(  # noqa: S603  # Alembic, of this project
        command, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TemplateError(f"no revision could be written: {done.stderr.strip()[-400:]}")
    (path,) = (folder / "migration" / "versions").glob("*.py")
    path.write_text(guard_postgresql(path.read_text("utf-8")), "utf-8")
    tidy_code(folder)
