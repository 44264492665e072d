import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.conftest import alembic_config
from tests.documentation import follow, is_carried_out, read_blocks, read_headings
from tests.servers import ROOT, Server, copy_repository, running_app

README = (ROOT / "README.md").read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_conversation(empty_database: URL, tmp_path: Path) -> None:
    if not read_blocks(README, "A conversation"):
        pytest.skip("the page has none")
    os.mkfifo(codes := tmp_path / "codes")
    with running_app(DATABASE_URL=libpq_uri(empty_database)) as server:
        page = README.replace("http://127.0.0.1:8000", server.url)
        page, mails = re.subn("CODE=uml_.*", f"CODE=$(cat '{codes}')", page)
        threading.Thread(target=hand_over_codes, args=(server, codes, mails), daemon=True).start()
        follow(read_blocks(page, "A conversation"), tmp_path, dict(os.environ))


def hand_over_codes(server: Server, pipe: Path, mails: int) -> None:
    """Give the codes of the mails that the server prints to whoever reads the pipe, each once."""
    for _ in range(mails):
        pipe.write_text(server.wait_for(r"\| (uml_\S+)$")[0])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copy_repository(tmp_path)


def environment_of(copy: Path, url: URL) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"DATABASE_URL": libpq_uri(url), "PATH": path, "PYTHONPATH": str(copy)}


def test_recipes(copy: Path, empty_database: URL) -> None:
    command.upgrade(alembic_config(empty_database), "head")
    environment = environment_of(copy, empty_database)
    for heading in read_headings(README, "Change it"):
        blocks = read_blocks(README, heading)
        if not is_carried_out(blocks, ROOT):  # by the project, which has grown since
            follow(blocks, copy, environment)
    do_what_is_named(copy, environment)
    check_growth(copy)


def do_what_is_named(copy: Path, environment: dict[str, str]) -> None:
    """Say who may call the new route, and show the new table: the page names no other edit."""
    matrix = copy / "tests" / "auth" / "test_authorization.py"
    row = 'DECISIONS = {\n    "POST /api/v1/notes": (401, 201, 201, 201),\n'
    matrix.write_text(matrix.read_text().replace("DECISIONS = {\n", row, 1))
    page = copy / "docs" / "architecture.md"
    schema = subprocess.check_output(["app", "schema"], cwd=copy, env=environment, text=True)
    diagram = re.compile(r"(?<=```mermaid\n)erDiagram\n.*?\n(?=```)", re.DOTALL)
    page.write_text(diagram.sub(lambda _: schema, page.read_text(), count=1))


def check_growth(copy: Path) -> None:
    """Run the tests that know what routes, tables and fields there are."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-x", "-p", "no:xdist", "-k", AFFECTED, *GROWING],
        cwd=copy,
        env={name: each for name, each in os.environ.items() if "XDIST" not in name}
        | {"PYTHONPATH": str(copy), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "POST /api/v1/notes" in done.stdout, done.stdout


GROWING = (
    *("tests/auth/test_authorization.py", "tests/auth/test_router.py"),
    *("tests/database/test_statements.py", "tests/database/test_diagram.py"),
    *("tests/test_requirements.py", "tests/web/test_property_based.py"),
)
AFFECTED = "notes or sign_up_creates or every_route or current_tables or asvs_14 or asvs_6_4"
