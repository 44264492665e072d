import subprocess
import sys

from alembic import command
from sqlalchemy import URL

from tests.databases import alembic_config
from tests.servers import ROOT

BEFORE = "1ddaa8554cad"


def test_pending_revisions_are_rehearsed_on_a_copy(empty_database: URL) -> None:
    command.upgrade(alembic_config(empty_database), BEFORE)
    url = empty_database.render_as_string(hide_password=False)
    arguments = [sys.executable, str(ROOT / "migration" / "rehearse.py"), url, ""]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "upgrade 1eef6ac131f2\n" in done.stdout
    assert "No client would have waited" in done.stdout
