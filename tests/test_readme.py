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
from tests.databases import alembic_config
from tests.documentation import Block, follow, is_carried_out, read_blocks, read_headings
from tests.servers import ROOT, Server, copy_repository, running_app

README = (ROOT / "README.md").read_text()
RECIPES = (ROOT / "docs" / "recipes.md").read_text()
FILES_OF_A_FIELD = 4  # of Python, at most, tests and the revision included


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


@pytest.mark.long
def test_recipes(copy: Path, empty_database: URL) -> None:
    command.upgrade(alembic_config(empty_database), "head")
    environment = environment_of(copy, empty_database)
    for heading in read_headings(README, "Change it"):
        blocks = read_blocks(README, heading)
        if not is_carried_out(blocks, ROOT):  # by the project, which has grown since
            before = read_files(copy)
            follow(blocks, copy, environment)
            touched = {path for path, text in read_files(copy).items() if before.get(path) != text}
            if "field" in heading:
                assert len(touched) <= FILES_OF_A_FIELD, touched
    add_many_to_many(copy, environment)
    do_what_is_named(copy, environment)
    check_growth(copy)


def read_files(folder: Path) -> dict[Path, str]:
    paths = (path for path in folder.rglob("*.py"))
    return {path: path.read_text("utf-8") for path in paths}


def add_many_to_many(copy: Path, environment: dict[str, str]) -> None:
    """Do what docs/recipes.md says of links with a filter, in the same copy."""
    recipe = read_blocks(RECIPES, "Many-to-many, with an optional filter")
    router = (
        " from app.database.tables import load_models\n"
        "+from app.groups.router import router as groups_router\n"
        "     app.include_router(health_router)\n"
        "+    app.include_router(groups_router, prefix=API)\n"
    )
    commands = (
        "$ touch app/groups/__init__.py\n"
        "$ alembic upgrade head >/dev/null 2>&1\n"
        "$ alembic revision --autogenerate -m 'Add groups' >/dev/null 2>&1\n"
        "$ alembic upgrade head 2>&1 | grep Running | wc -l\n1\n"
    )
    blocks = [*recipe, Block("diff", "app/main.py", router), Block("console", "", commands)]
    follow(blocks, copy, environment)


def do_what_is_named(copy: Path, environment: dict[str, str]) -> None:
    """Say who may call the new routes, and show the new tables, and translate what is shown."""
    matrix = copy / "tests" / "auth" / "test_authorization.py"
    rows = (
        '    "POST /api/v1/notes": (401, 201, 201, 201),\n'
        '    "GET /api/v1/groups": (401, 200, 200, 200),\n'
    )
    text = matrix.read_text()
    matrix.write_text(text.replace("DECISIONS = {\n", f"DECISIONS = {{\n{rows}", 1))
    page = copy / "docs" / "architecture.md"
    schema = subprocess.check_output(["app", "schema"], cwd=copy, env=environment, text=True)
    diagram = re.compile(r"(?<=```mermaid\n)erDiagram\n.*?\n(?=```)", re.DOTALL)
    page.write_text(diagram.sub(lambda _: schema, page.read_text(), count=1))
    translate(copy, environment, Country="국가")


def translate(copy: Path, environment: dict[str, str], **texts: str) -> None:
    """Run `make translations`, fill in what it has added, and run it again."""
    (copy / ".venv").symlink_to(Path(sys.executable).parents[1])
    make = ["make", "--old-file=setup", "translations"]
    subprocess.run(make, cwd=copy, env=environment, check=True)
    for catalog in copy.glob("app/locale/ko/LC_MESSAGES/*.po"):
        page = catalog.read_text("utf-8")
        for text, translation in texts.items():
            empty = f'msgid "{text}"\nmsgstr ""\n'
            assert empty in page
            page = page.replace(empty, f'msgid "{text}"\nmsgstr "{translation}"\n')
        catalog.write_text(page, "utf-8")
    subprocess.run(make, cwd=copy, env=environment, check=True)


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
    assert "GET /api/v1/groups" in done.stdout, done.stdout


GROWING = (
    *("tests/auth/test_authorization.py", "tests/auth/test_sign_up.py"),
    *("tests/database/test_statements.py", "tests/database/test_diagram.py"),
    *("tests/test_requirements.py", "tests/web/test_property_based.py"),
    *("tests/test_cli.py", "tests/users/test_service.py", "tests/audit/test_keeping.py"),
    *("tests/database/test_schema.py", "tests/second_factors/test_commands.py"),
    *("tests/items/test_seed.py", "tests/site/test_flows.py", "tests/site/test_routes.py"),
    *("tests/site/test_account_in_browser.py", "tests/site/test_administration_in_browser.py"),
    *("tests/web/test_catalogs.py", "tests/settings"),
    "tests/test_architecture.py",
)
AFFECTED = (
    "notes or groups or sign_up_creates or every_route or current_tables or asvs_14 or asvs_6_4"
    " or create_superuser or test_service or accounts or owner_of_the_tables or add_demo or catalog"
    " or architecture or setting or newcomer or page_lets or by_keyboard_alone"
)
