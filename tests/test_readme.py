import os
import re
import shutil
import sys
import threading
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.conftest import alembic_config
from tests.documentation import follow, read_blocks
from tests.servers import ROOT, Server, copy_repository, running_app

README = (ROOT / "README.md").read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_conversation(empty_database: URL, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    "sections",
    [("Add a model", "Add a route"), ("Add a setting",), ("Add a revision",)],
    ids="+".join,
)
def test_recipe(sections: tuple[str, ...], copy: Path, empty_database: URL) -> None:
    command.upgrade(alembic_config(empty_database), "head")
    environment = environment_of(copy, empty_database)
    for section in sections:
        blocks = read_blocks(README, section)
        assert blocks
        follow(blocks, copy, environment)
