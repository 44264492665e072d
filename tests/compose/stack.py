"""A Compose stack of the check's own, on free ports, and how to talk to its service."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

# Nothing of the project is imported: only Docker is needed for the check.
_PASSWORD = "correct horse battery staple"
_KEPT = (
    "DATABASE_SCHEMA",
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "DOCKER_",
    "BUILDX_",
    "HTTP",
    "http",
)


class CheckError(Exception):
    """The stack does not do what it should; the message says what it did."""


class Stack:
    """What `docker compose` runs in a folder; nothing of the developer's own is touched."""

    def __init__(self, folder: Path, file: str, project: str, **environment: str) -> None:
        self.folder, self.project = folder, project
        kept = {name: value for name, value in os.environ.items() if name.startswith(_KEPT)}
        own = {"COMPOSE_PROJECT_NAME": project, "COMPOSE_FILE": file, "COMPOSE_PROGRESS": "quiet"}
        self.environment = kept | own | environment
        self.url = ""

    def run(self, *command: str, expected: int | None = 0, **environment: str) -> str:
        """Run a command in the folder; return what it printed, on both streams."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        if expected is not None and done.returncode != expected:
            raise CheckError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}")
        return done.stdout

    def compose(self, *arguments: str, expected: int | None = 0, **environment: str) -> str:
        return self.run("docker", "compose", *arguments, expected=expected, **environment)

    def up(self, *arguments: str, **environment: str) -> None:
        command = ("up", "--wait", "--wait-timeout", "240", *arguments)
        for _ in range(4):  # what was unhealthy when it began is not waited for
            output = self.compose(*command, expected=None, **environment)
            if "is unhealthy" not in output:
                break
            time.sleep(5)
        self.compose(*command, expected=0, **environment)

    def refuse(self, *arguments: str, because: str, **environment: str) -> None:
        """Run a Compose command that fails, and says in one of its last lines why."""
        try:
            output = self.compose(*arguments, expected=0, **environment)
        except CheckError as error:
            last = str(error).splitlines()[-8:]
            if not any(because in line for line in last) or "Traceback" in str(error):
                raise CheckError(f"{error}\n... does not say: {because}") from None
            return
        raise CheckError(f"{' '.join(arguments)} succeeded:\n{output}")

    def sql(self, statement: str, *, user: str = "app") -> str:
        arguments = ("--no-align", "--tuples-only", f"--username={user}", "--dbname=app")
        return self.compose("exec", "-T", "db", "psql", *arguments, f"--command={statement}")

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """Send a request; return the status, and the body read as JSON."""
        request = Request(f"{self.url}{path}", method=method)  # noqa: S310  # our own server
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        return _send(request)

    def sign_up(self, email: str) -> str:
        """Add a user and return an access token."""
        answer = self.call("POST", "/api/v1/auth/signup", {"email": email, "password": _PASSWORD})
        if answer[0] != 201:
            raise CheckError(f"sign-up: {answer}")
        return self.log_in(email)

    def log_in(self, email: str) -> str:
        form = f"username={email}&password={_PASSWORD.replace(' ', '+')}".encode()
        status, answer = _send(Request(f"{self.url}/api/v1/auth/login", form))  # noqa: S310
        if status != 200:
            raise CheckError(f"login: {status} {answer}")
        return str(answer["access_token"])

    def wait_for(self, path: str, accepted: Callable[[int, Any], bool]) -> None:
        """Ask until the answer is as wanted, for a minute at most."""
        deadline = time.monotonic() + 60
        answer: tuple[int, Any] = (0, None)
        while time.monotonic() < deadline:
            try:
                answer = self.call("GET", path)
            except OSError as error:
                answer = (0, str(error))
            if accepted(*answer):
                return
            time.sleep(0.05)
        raise CheckError(f"{path} still answers {answer}")

    def wait_for_status(self, path: str, status: int) -> None:
        self.wait_for(path, lambda found, _: found == status)

    def remove(self) -> None:
        """Stop everything, and remove containers, volumes, networks and images."""
        arguments = ("--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5")
        self.compose("--profile", "*", "down", *arguments)


def _send(request: Request) -> tuple[int, Any]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the certificate was made a minute ago, by us
    try:
        with urlopen(request, timeout=30, context=context) as answer:  # noqa: S310
            status, text = answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def free_ports(*names: str) -> dict[str, str]:
    """Choose a free port for each variable."""
    with _open_sockets(len(names)) as sockets:
        ports = (str(each.getsockname()[1]) for each in sockets)
        return dict(zip(names, ports, strict=True))


@contextmanager
def _open_sockets(count: int) -> Iterator[list[socket.socket]]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print what was checked, and how long it took; a crowded machine takes longer."""
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:7.1f} s  {text}", flush=True)


def find_missing() -> str | None:
    """Say what this machine lacks for the check, if anything."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    for command, lacking in (
        (["docker", "info"], "no Docker engine answers"),
        (["docker", "compose", "version"], "there is no Docker Compose"),
    ):
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        if done.returncode != 0:
            return lacking
    return None
