"""docker-compose.yml: the whole loop of a developer, and what goes wrong on the way."""

import os
import re
import shutil
import socket
from pathlib import Path

from tests.compose.stack import CheckError, Stack, free_ports, step
from tests.documentation import follow, read_blocks

_REVISE = ("run", "--rm", "app", "alembic", "revision", "--autogenerate", "-m")


def check_development(folder: Path, project: str, tests: list[str]) -> None:
    stack = Stack(
        folder, "docker-compose.yml", project, **free_ports("PORT", "MAIL_PORT", "DB_PORT")
    )
    stack.url = f"http://127.0.0.1:{stack.environment['PORT']}"
    try:
        with step("docker compose up --build --wait"):
            stack.up("--build")
        _check_service(stack)
        _check_loop(stack)
        _check_restarts(stack)
        _check_bad_database(stack)
        _check_bad_machine(stack)
        with step(f"docker compose run --rm test pytest {' '.join(tests)}"):
            stack.compose("run", "--rm", "test", *(["sh", "-c", _pytest(tests)] if tests else []))
    finally:
        stack.remove()


def _pytest(tests: list[str]) -> str:
    return f"DATABASE_URL=$(cat /run/database/url) pytest -q -n 2 {' '.join(tests)}; exit $?"


def _check_service(stack: Stack) -> None:
    with step("the README's conversation, up to the mails"):
        page = (stack.folder / "README.md").read_text().replace("http://127.0.0.1:8000", stack.url)
        follow(read_blocks(page, "A conversation")[:1], stack.folder, stack.environment)
    with step("a mail is in the catcher"):
        stack.call("POST", "/api/v1/auth/password-reset", {"email": "ada@example.com"})
        catcher = Stack(stack.folder, "", "")
        catcher.url = f"http://127.0.0.1:{stack.environment['MAIL_PORT']}"
        catcher.wait_for("/email", lambda _, mails: "ada@example.com" in str(mails))


def _check_loop(stack: Stack) -> None:
    with step("a code change is served"):
        _change_code(stack)
    with step("a model change, its revision by the container, upgrade, check"):
        items = stack.folder / "app" / "items"
        color = "    color: Line | None = Field(default=None, max_length=20)\n"
        _put_before(items / "models.py", "    description: Text", color)
        _put_before(items / "schemas.py", "    description: str", "    color: str | None\n")
        stack.compose(*_REVISE, "Add color to Item")
        _check_owner(stack)
        stack.wait_for_status("/readyz", 503)  # until the database has it
        stack.compose("run", "--rm", "app", "alembic", "upgrade", "head")
        stack.wait_for_status("/readyz", 200)
        stack.compose("exec", "-T", "app", "alembic", "check")
        token = stack.sign_up("grace@example.com")
        body = {"title": "a bug", "color": "brown"}
        status, item = stack.call("POST", "/api/v1/items", body, token)
        if (status, item.get("color")) != (201, "brown"):
            raise CheckError(f"the new column is not served: {status} {item}")
    with step("two migrations at once"):
        stack.compose("run", "--rm", "app", "alembic", "downgrade", "-1")
        both = " & ".join(["docker compose run --rm migrate"] * 2)
        stack.run("sh", "-c", f"{both} & wait $! && wait")
        stack.wait_for_status("/readyz", 200)


def _put_before(path: Path, line: str, field: str) -> None:
    path.write_text(path.read_text().replace(line, f"{field}{line}", 1))


def _change_code(stack: Stack) -> None:
    main = stack.folder / "app" / "main.py"
    main.write_text(re.sub(r'version=".*?"', 'version="0.1.9"', main.read_text()))
    stack.wait_for("/openapi.json", lambda _, page: "0.1.9" in str(page)[:200])


def _check_owner(stack: Stack) -> None:
    (revision,) = stack.folder.glob("migration/versions/*_add_color_to_item.py")
    found, wanted = revision.stat(), stack.folder.stat()
    if (found.st_uid, found.st_gid) != (wanted.st_uid, wanted.st_gid):
        raise CheckError(f"{revision.name} belongs to {found.st_uid}:{found.st_gid}")


def _check_restarts(stack: Stack) -> None:
    token = stack.log_in("grace@example.com")
    for service in ("db", "app", "mail"):
        with step(f"{service} is killed, and comes back"):
            stack.compose("kill", service)
            stack.up()
            stack.wait_for_status("/readyz", 200)
    with step("the database is killed under the service, and found again"):
        stack.compose("kill", "db")
        stack.wait_for_status("/readyz", 503)
        stack.compose("start", "db")
        stack.wait_for_status("/readyz", 200)
    stack.compose("down")
    with step("docker compose up --wait, later"):
        stack.up()
    with step("the data is there"):
        _, page = stack.call("GET", "/api/v1/items", token=token)
        if [item["title"] for item in page["data"]] != ["a bug"]:
            raise CheckError(f"the items are {page}")


def _check_bad_database(stack: Stack) -> None:
    start = ("run", "--rm", "--no-deps")
    with step("bad: wrong password"):
        wrong = ("--env", "DATABASE_URL=postgresql://app:wrong@db/app?sslmode=disable")
        because = "password authentication failed"
        stack.refuse(*start, *wrong, "migrate", because=because)
        stack.refuse(*start, *wrong, "app", "app", "run", "--no-migrate", because=because)
    with step("bad: database not up"):
        stack.compose("stop", "db")
        stack.refuse(*start, "migrate", because="FAILED: the database cannot be used")
        stack.refuse(*start, "app", "app", "run", "--no-migrate", because="database cannot be used")
        stack.wait_for_status("/readyz", 503)
        stack.up()
    serve = (*start, "app", "app", "run", "--no-migrate")
    with step("bad: database behind the code"):
        stack.compose("run", "--rm", "app", "alembic", "downgrade", "-1")
        stack.wait_for_status("/readyz", 503)
        stack.refuse(*serve, because="app: The database is at")
        stack.up()  # migrates
        stack.wait_for_status("/readyz", 200)
    with step("bad: database ahead of the code"):
        (head,) = stack.sql("SELECT version_num FROM alembic_version").split()
        stack.sql("UPDATE alembic_version SET version_num = 'newer'")
        stack.refuse(*serve, because="at newer, which this release does not know")
        stack.refuse(*start, "migrate", because="a newer release has migrated it")
        stack.compose("stop", "app")
        stack.refuse("up", "--wait", because="migrate")
        stack.sql(f"UPDATE alembic_version SET version_num = '{head}'")
        stack.up()


def _check_bad_machine(stack: Stack) -> None:
    other = Stack(
        stack.folder, "docker-compose.yml", f"{stack.project}-other", **free_ports("PORT")
    )
    with step("bad: volume of another major version"):
        try:
            write = "echo 17 > /var/lib/postgresql/PG_VERSION"
            other.compose("run", "--rm", "--no-deps", "--entrypoint", "sh", "db", "-c", write)
            other.compose("up", "--wait", "db", expected=1)
            because = "the volume holds data of PostgreSQL 17, this is 18"
            if because not in (log := other.compose("logs", "db")):
                raise CheckError(f"the log does not say that {because}:\n{log}")
        finally:
            other.remove()
    with step("bad: port taken"), socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        stack.refuse("up", "--wait", "app", because=port, PORT=port)
    stack.up()
    with step("bad: work tree not writable"):
        models = stack.folder / "app" / "items" / "models.py"
        models.write_text(models.read_text().replace("max_length=20", "max_length=30"))
        mount = ("--volume", "./migration:/app/migration:ro")
        run, remove, *revise = _REVISE
        because = "FAILED: cannot write to /app/migration/versions"
        stack.refuse(run, remove, *mount, *revise, "Longer colors", because=because)
    with step("a .env that is .env.example"):
        shutil.copy(stack.folder / ".env.example", stack.folder / ".env")
        os.chown(stack.folder / ".env", stack.folder.stat().st_uid, stack.folder.stat().st_gid)
        models.write_text(models.read_text().replace("max_length=30", "max_length=20"))
        stack.up("--force-recreate", "app")
