"""The one initial revision, written anew by the loop itself on an empty database."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from app.database.embedded import EmbeddedServerError, running_server
from template.errors import TemplateError

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


def _revise(folder: Path, url: str) -> None:
    command = [sys.executable, "-m", "alembic", "revision", "--autogenerate", "-m", _MESSAGE]
    own = {"DATABASE_URL": url, "PYTHONPATH": str(folder), "ENVIRONMENT": "development"}
    own |= {"PYTHONDONTWRITEBYTECODE": "1", "RUFF_NO_CACHE": "true"}
    done = subprocess.run(  # noqa: S603  # Alembic, of this project
        command, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TemplateError(f"no revision could be written: {done.stderr.strip()[-400:]}")
