"""`make demo`: the service on the development database, with people, events and mail to look at."""

import os
import secrets
import signal
import subprocess
import sys
import time
import uuid
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from httpx2 import Client, HTTPError

from app.auth.schemas import SignUp
from app.database.url import database_url, libpq_uri
from app.settings import read_settings
from app.users.schemas import UserCreate
from tests.values import fill_in

APP = str(Path(sys.executable).parent / "app")
ADMINISTRATOR = f"admin-{secrets.token_hex(2)}@example.com"
_SAID = {"email", "password"}  # the rest that sign-up requires gets some value
_PEOPLE = (
    ("Ada Lovelace", "ada"),
    ("Grace Brewster Murray Hopper", "grace"),
    ("김가나", "gana"),
    ("<b>Robert'); DROP TABLE users;--</b>", "bobby"),
    ("Wolfeschlegelsteinhausenbergerdorffwelchevoralternwarengewissenhaftschaferswessen", "wolfe"),
)
_ROLES = {
    "Support": (["users:read", "roles:read", "audit:read"], "ada"),
    "Administration of people and of everything that belongs to them": (
        ["users:read", "users:write", "roles:read", "roles:write"],
        "grace",
    ),
    "<b>Nobody's role</b>": ([], "gana"),
}
_MAIL = """
    INSERT INTO outbox (id, kind, payload, run_at, attempts, last_error)
    VALUES (%s, %s, jsonb_build_object('email', %s::text), now() + %s::interval, %s, %s)
"""
_UNSENT = (
    ("password_reset", "grace@example.net", "10 minutes", 4, "421 too busy, try again later"),
    ("invitation", "nobody@example.net", "36500 days", 1, "550 5.1.1 no such mailbox here"),
)


def main() -> None:
    """Serve until told to stop, and open a browser as soon as there is something to see."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the service ends with this
    host, port = (*sys.argv[1:], "127.0.0.1", "8000")[:2]
    with database_url(read_settings().given_database_url) as url:
        os.environ["DATABASE_URL"] = url.render_as_string(hide_password=False)
        with _serving(host, port) as service:
            address = f"http://{host}:{port}"
            _wait_until_ready(address, service)
            password = fill(address, libpq_uri(url))
            print(
                f"\nSign in on {address}/sign-in as {ADMINISTRATOR} with {password}\n", flush=True
            )
            webbrowser.open(f"{address}/sign-in")
            service.wait()


@contextmanager
def _serving(host: str, port: str) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([APP, "run", "--host", host, "--port", port]) as service:
        try:
            yield service
        except KeyboardInterrupt:
            pass
        finally:
            service.terminate()


def fill(address: str, database: str) -> str:
    """Let people do what people do; return the password that they all have."""
    password = secrets.token_urlsafe(16)
    create = [APP, "create-superuser", ADMINISTRATOR, "--password-stdin"]
    fields = [
        f"--field={name}={text}" for name, text in fill_in(SignUp).items() if name not in _SAID
    ]
    subprocess.run([*create, *fields], input=f"{password}\n", text=True, check=True)
    subprocess.run([APP, "seed", "--users", "60"], check=True)
    run = secrets.token_hex(2)
    with Client(base_url=f"{address}/api/v1", headers={"User-Agent": _BROWSER}) as api:
        for name, who in _PEOPLE:
            _live(api, f"{who}-{run}@example.com", name, password)
        _administer(api, password)
    with psycopg.connect(database) as connection:
        for kind, email, wait, attempts, said in _UNSENT:
            connection.execute(_MAIL, [uuid.uuid4(), kind, email, wait, attempts, said])
    return password


_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"


def _wait_until_ready(address: str, service: "subprocess.Popen[bytes]") -> None:
    with Client() as client:
        while service.poll() is None:
            try:
                if client.get(f"{address}/readyz").is_success:
                    return
            except HTTPError:
                pass
            time.sleep(0.2)
    raise SystemExit("make demo: the service did not start")


def _live(api: Client, email: str, name: str, password: str) -> None:
    """Sign up, mistype the password, sign in, and change something."""
    account = fill_in(SignUp, email=email, password=password, full_name=name)
    api.post("/auth/signup", json=account).raise_for_status()
    api.post("/auth/login", data={"username": email, "password": "a wrong password"})
    token = _log_in(api, email, password)
    api.patch("/users/me", json={"full_name": name}, headers=token)
    api.post("/auth/password-reset", json={"email": email})


def _administer(api: Client, password: str) -> None:
    """Invite somebody, deactivate somebody else, and give people roles."""
    token = _log_in(api, ADMINISTRATOR, password)
    invited = fill_in(UserCreate, email=f"invited-{secrets.token_hex(2)}@example.com")
    api.post("/users", json=invited, headers=token).raise_for_status()
    users = api.get("/users", params={"search": "bobby"}, headers=token).json()["data"]
    for user in users:
        api.patch(f"/users/{user['id']}", json={"is_active": False}, headers=token)
    _give_roles(api, token)


def _give_roles(api: Client, token: dict[str, str]) -> None:
    """Add roles, unless an earlier demo has, and give them to those who are called so."""
    for name, (permissions, who) in _ROLES.items():
        role = {"name": name, "permissions": permissions}
        added = api.post("/roles", json=role, headers=token)
        if not added.is_success:
            continue
        newest = api.get("/users", params={"search": who, "limit": 1}, headers=token)
        for user in newest.json()["data"]:
            path = f"/users/{user['id']}/roles/{added.json()['id']}"
            api.put(path, headers=token).raise_for_status()


def _log_in(api: Client, email: str, password: str) -> dict[str, str]:
    answer = api.post("/auth/login", data={"username": email, "password": password})
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


if __name__ == "__main__":
    main()
