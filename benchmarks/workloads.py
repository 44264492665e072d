"""What clients ask for: each workload is a list of requests of many users, over many rows."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from benchmarks import data
from benchmarks.data import Size

_DISTINCT = 20_000  # requests of a workload, before they come again


@dataclass(frozen=True)
class Workload:
    """`make` writes one request for a random user, given the random numbers and the rows."""

    name: str
    budget: float
    """How many times the bare application's CPU it may cost."""
    make: Callable[[random.Random, Size], bytes]
    clients: int = 32

    def requests(self, size: Size) -> Iterator[bytes]:
        chance = random.Random(self.name)  # noqa: S311  # the same requests in each run
        return (self.make(chance, size) for _ in range(_DISTINCT))


def _request(method: str, path: str, user: int | None, body: bytes = b"", **headers: str) -> bytes:
    """Write one HTTP request; `user` is the number of the one who calls."""
    if user is not None:
        headers["Authorization"] = f"Bearer {data.token(user)}"
    if body:
        headers["Content-Length"] = str(len(body))
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    head = f"{method} /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{''.join(lines)}\r\n"
    return head.encode() + body


def _json(method: str, path: str, user: int, **fields: str) -> bytes:
    body = json.dumps(fields).encode()
    return _request(method, path, user, body, Content_Type="application/json")


def _get_me(chance: random.Random, size: Size) -> bytes:
    return _request("GET", "users/me", chance.randrange(size.users))


def _list_items(chance: random.Random, size: Size) -> bytes:
    return _request("GET", "items?limit=20", chance.randrange(size.users))


def _get_item(chance: random.Random, size: Size) -> bytes:
    user = chance.randrange(size.users)
    return _request("GET", f"items/{_own_item(chance, user, size)}", user)


def _create_item(chance: random.Random, size: Size) -> bytes:
    return _json("POST", "items", chance.randrange(size.users), title="New", description="An item")


def _update_item(chance: random.Random, size: Size) -> bytes:
    user = chance.randrange(size.users)
    title = f"Title {chance.random()}"
    return _json("PATCH", f"items/{_own_item(chance, user, size)}", user, title=title)


def _log_in(chance: random.Random, size: Size) -> bytes:
    """Write a login from where the user has signed in before, so that no mail tells of it."""
    user = chance.randrange(size.users)
    form = {"username": data.email(user), "password": data.PASSWORD}
    return _request(
        "POST",
        "auth/login",
        None,
        urlencode(form).encode(),
        Content_Type="application/x-www-form-urlencoded",
        X_Forwarded_For=data.address(user),
    )


def _list_users(_: random.Random, __: Size) -> bytes:
    return _request("GET", "users?limit=20", 0)


def _search_users(chance: random.Random, size: Size) -> bytes:
    """Look for an address, for the beginning of one, and for somebody who is not there."""
    user = chance.randrange(size.users)
    words = chance.choice([data.email(user), f"bench{user}", f"nobody{user}"])
    return _request("GET", f"users?limit=20&search={words}", 0)


def _search_common_name(_: random.Random, __: Size) -> bytes:
    return _request("GET", "users?limit=20&search=user", 0)


def _mix(chance: random.Random, size: Size) -> bytes:
    makers = [_get_me, _list_items, _get_item, _create_item, _update_item, _log_in]
    (make,) = chance.choices(makers, [70, 15, 5, 5, 4, 1])
    return make(chance, size)


def _own_item(chance: random.Random, user: int, size: Size) -> str:
    return str(data.item_id(user + size.users * chance.randrange(size.items_per_user)))


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("me", 0.9, _get_me),
        Workload("item", 1.15, _get_item),
        Workload("items", 1.15, _list_items),
        Workload("create item", 1.15, _create_item),
        Workload("update item", 1.15, _update_item),
        Workload("admin's users", 1.15, _list_users),
        Workload("search users", 1.15, _search_users, clients=2),
        Workload("search a common name", 1.15, _search_common_name, clients=2),
        Workload("mix", 1.15, _mix),
        Workload("login", 1.1, _log_in, clients=8),
    )
}
