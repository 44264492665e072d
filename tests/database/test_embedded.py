import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import URL

from app.database.embedded import EmbeddedServerError, running_server
from app.database.url import libpq_uri
from tests.servers import ROOT, copy_repository

# Holds the server until its standard input is closed.
HOLDER = """
import sys
from pathlib import Path
from app.database.embedded import running_server
with running_server(Path(sys.argv[1])):
    print("running", flush=True)
    sys.stdin.read()
"""


def rows(url: URL) -> list[tuple[int]]:
    with psycopg.connect(libpq_uri(url)) as connection:
        return connection.execute("SELECT number FROM kept").fetchall()


def postmaster(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))


def is_stopped(folder: Path) -> bool:
    return not (folder / "data" / "postmaster.pid").exists()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stopped server that has one row."""
    folder = tmp_path_factory.mktemp("template") / "postgres"
    with running_server(folder) as url, psycopg.connect(libpq_uri(url)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
    return folder


def copied(template: Path, folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-Rp", template, folder], check=True)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder of the test's own; a server that it leaves behind is stopped."""
    folder = copied(template, tmp_path / "postgres")
    yield folder
    if not is_stopped(folder):
        with running_server(folder):
            pass


def hold(folder: Path) -> "subprocess.Popen[str]":
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "running\n"
    return holder


def test_running_server_stops_at_the_end_and_keeps_the_data(folder: Path) -> None:
    with running_server(folder) as url:
        assert rows(url) == [(1,)]
    assert is_stopped(folder)


@pytest.mark.parametrize("name", ["in fünf Wörtern", "comma, quote'", "long" * 60])
def test_running_server_takes_any_path(name: str, template: Path, tmp_path: Path) -> None:
    folder = copied(template, tmp_path / name / "postgres")
    with running_server(folder) as url:
        assert rows(url) == [(1,)]
    assert is_stopped(folder)


def test_running_server_is_shared_and_the_last_one_stops_it(folder: Path) -> None:
    holder = hold(folder)
    with running_server(folder) as url:
        holder.communicate(timeout=30)
        assert rows(url) == [(1,)]
    assert is_stopped(folder)


def test_running_server_started_by_many_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with ThreadPoolExecutor(3) as pool:
        holders = list(pool.map(lambda _: hold(folder), range(3)))
        list(pool.map(lambda holder: holder.communicate(timeout=30), holders))
    assert [holder.returncode for holder in holders] == [0] * 3
    assert is_stopped(folder)


def test_running_server_outlives_a_killed_user_and_is_found_again(folder: Path) -> None:
    holder = hold(folder)
    holder.kill()
    holder.communicate(timeout=30)
    pid = postmaster(folder).pid
    with running_server(folder) as url:
        assert postmaster(folder).pid == pid
        assert rows(url) == [(1,)]
    assert is_stopped(folder)


def test_running_server_recovers_from_a_killed_server(folder: Path) -> None:
    holder = hold(folder)
    postmaster(folder).send_signal(signal.SIGKILL)
    holder.kill()
    holder.communicate(timeout=30)
    with running_server(folder) as url:
        assert rows(url) == [(1,)]


def test_running_server_forgets_an_interrupted_initialization(tmp_path: Path) -> None:
    half_made = tmp_path / "postgres" / "data.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    with running_server(tmp_path / "postgres"):
        assert not half_made.exists()


def test_running_server_refuses_another_major_version(folder: Path) -> None:
    version = folder / "data" / "PG_VERSION"
    version.write_text("16\n")
    with (
        pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 16, this is 18: .*pg_dump"),
        running_server(folder),
    ):
        pass
    assert version.read_text() == "16\n"
    assert is_stopped(folder)


def test_running_server_refuses_a_folder_without_data(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(EmbeddedServerError, match="cannot read"), running_server(tmp_path):
        pass
    assert list((tmp_path / "data").iterdir()) == []


def test_running_server_refuses_a_folder_that_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "postgres"
    with pytest.raises(EmbeddedServerError, match="cannot write"), running_server(folder):
        pass


def test_running_server_says_why_it_does_not_start(folder: Path) -> None:
    with (folder / "data" / "postgresql.conf").open("a") as configuration:
        configuration.write("shared_preload_libraries = 'missing'\n")
    with pytest.raises(EmbeddedServerError, match='could not access file "missing"'):
        running_server(folder).__enter__()


def test_alembic_uses_the_embedded_server_and_ends(tmp_path: Path) -> None:
    copy = copy_repository(tmp_path / "a copy")
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "DATABASE_URL": ""},
        capture_output=True,  # a pipe that the server had inherited would never be closed
        text=True,
        timeout=60,
        check=False,
    )
    assert "Running upgrade" in done.stderr
    assert done.returncode == 0
    assert is_stopped(copy / ".postgres")
