"""docs/production.md: certificates, restores, updates, rotated secrets and metrics."""

import ssl
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.compose.load import requests_all_the_time, without_failure
from tests.compose.stack import CheckError, Stack, step
from tests.documentation import read_blocks

_SELF_SIGNED = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 60 -keyout - -out - -subj /CN={0}"
    " -addext subjectAltName=DNS:{0} 2>/dev/null"
)


def make_certificate(stack: Stack, name: str) -> str:
    proxy = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "proxy", "-c")
    return stack.compose(*proxy, _SELF_SIGNED.format(name))


def check_certificates(stack: Stack, token: str) -> None:
    with step("a certificate is obtained by ACME, without a restart of the proxy"):
        issuer = ("openssl", "x509", "-noout", "-issuer", "-in", "/certificates/certificate.pem")
        _wait_until(lambda: "Pebble" in stack.compose("exec", "certificates", *issuer))
        first = _read_served(stack)
    with step("it is renewed under load"), without_failure(stack, token):
        stack.compose("exec", "-T", "certificates", "renew", "--force-renewal")
        _wait_until(lambda: _read_served(stack) != first)
    own = stack.folder / "secrets" / "certificate.pem"
    with step("one of our own takes its place"), without_failure(stack, token):
        own.write_text(make_certificate(stack, "accounts.test"))
        stack.compose("restart", "certificates")
        _wait_until(lambda: _read_served(stack) in own.read_text())
    with step("bad: a file that is no certificate is refused"):
        served = _read_served(stack)
        own.write_text("no certificate\n")
        output = stack.compose("exec", "-T", "certificates", "renew", "--quiet", expected=1)
        if "the proxy does not take it" not in output or _read_served(stack) != served:
            raise CheckError(output)
        own.write_text("")


def _read_served(stack: Stack) -> str:
    host, _, port = stack.url.removeprefix("https://").partition(":")
    return ssl.get_server_certificate((host, int(port)))


def _wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise CheckError("it does not come to that")
        time.sleep(0.2)


def check_restore_to_a_moment(stack: Stack, token: str) -> None:
    def add(title: str) -> None:
        stack.call("POST", "/api/v1/items", {"title": title}, token)

    def titles() -> list[str]:
        page = stack.call("GET", "/api/v1/items?limit=2", token=token)[1]
        return [item["title"] for item in page["data"]]

    add("kept")
    moment = stack.sql("SELECT clock_timestamp()", user="postgres").strip()
    add("lost")
    with step("restored to a moment between two writes, as docs/production.md has it"):
        stack.run("sh", "-euc", _read_commands(stack, "Restore to a moment"), MOMENT=moment)
        _wait_until(lambda: stack.call("GET", "/api/v1/items")[0] == 401)
    if "lost" in titles() or titles()[0] != "kept":
        raise CheckError(f"the newest items are {titles()}")
    with step("the drill of docs/production.md, beside it"):
        volume = ("docker", "volume", "inspect", "-f", "{{.Mountpoint}}")
        backups = stack.run(*volume, f"{stack.project}_backups").strip()
        drill = _read_commands(stack, "A drill").replace("=drill", f"={stack.project}-drill")
        output = stack.run("sh", "-euc", drill.replace("time ", ""), BACKUPS=backups)
        if "(1 row)" not in output:
            raise CheckError(output)


def check_upkeep(stack: Stack, token: str) -> None:
    for parts, allowed in (
        ("pgbouncer", {200, 201}),
        ("db backup", {200, 201, 503}),
        ("proxy certificates", {200, 201, 503, 0}),  # 0: connections are refused for a moment
    ):
        with step(f"containers/update {parts}, under load"):
            _update(stack, token, parts.split(), allowed)
    with step("a password is rotated, as docs/production.md has it"):
        stack.run("sh", "-euc", _read_commands(stack, "Secrets"))
        stack.wait_for_status("/api/v1/items", 401)
        stack.call("POST", "/api/v1/items", {"title": "by another password"}, token)


def _update(stack: Stack, token: str, parts: list[str], allowed: set[int]) -> None:
    with requests_all_the_time(stack, token) as answers:
        # As if there were something new, and no registry to ask.
        stack.run("containers/update", *parts, BUILD="--no-cache")
        stack.wait_for_status("/api/v1/items", 401)
    print(f"           {dict(Counter(status for status, _ in answers))}")
    if failed := [each for each in answers if each[0] not in allowed]:
        raise CheckError(f"{len(failed)} requests failed: {failed[:3]}")


def check_metrics(stack: Stack) -> None:
    with step("Prometheus finds both processes, and its alerts are well formed"):
        stack.compose("--profile", "metrics", "up", "--detach", "--build", "prometheus")
        rules = "/etc/prometheus/alerts.yml"
        stack.compose("exec", "-T", "prometheus", "promtool", "check", "rules", rules)
        prometheus = Stack(stack.folder, "", "")
        prometheus.url = f"http://127.0.0.1:{stack.environment['PROMETHEUS_PORT']}"
        query = (
            "/api/v1/query?query=count(http_requests_total%7Bjob=%22app%22%7D)%20by%20(instance)"
        )
        prometheus.wait_for(query, lambda _, page: str(page).count("instance") == 2)


def _read_commands(stack: Stack, section: str) -> str:
    page = (Path(stack.folder) / "docs" / "production.md").read_text()
    blocks = [each for each in read_blocks(page, section) if each.kind == "console"]
    return "".join(block.text.replace("$ ", "") for block in blocks)
