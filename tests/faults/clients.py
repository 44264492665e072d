"""Clients that write and read all the time, with a ledger of what was acknowledged."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.factories import PASSWORD, make_account

API = "/api/v1"
_PAUSE = 0.05  # seconds; it bounds the traffic
THREADS = 8  # for each service; half of them write, and read what they have written
_OK = range(200, 300)
_NO_ANSWER = 0


@dataclass(frozen=True)
class Answer:
    """What one request came to; the status 0 is no answer."""

    thread: int
    writes: bool
    status: int
    code: str | None
    started: float
    ended: float

    @property
    def is_good(self) -> bool:
        return self.status in _OK

    @property
    def is_in_doubt(self) -> bool:
        """Tell whether nobody has said if it was done."""
        return self.status == _NO_ANSWER or self.code == "outcome_unknown"


@dataclass
class Ledger:
    """All answers of a time, and what became of the titles that were sent."""

    threads: int
    answers: list[Answer] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    """Acknowledged, and not found right behind that."""
    in_doubt: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Answered so that whoever repeats it does not do it twice."""

    def failures_since(self, instant: float) -> list[Answer]:
        return [each for each in self.answers if each.ended >= instant and not each.is_good]

    def is_calm(self, since: float, now: float) -> bool:
        """Tell whether everybody is served again, and has been for two seconds."""
        served = {each.thread for each in self.answers if each.is_good and each.started >= since}
        return len(served) == self.threads and not self.failures_since(max(since, now - 2))

    def note(self, title: str, answer: Answer) -> None:
        """Note what became of a write."""
        if answer.is_good:
            self.acknowledged.append(title)
        elif answer.is_in_doubt:
            self.in_doubt.append(title)
        else:
            self.refused.append(title)


class Clients:
    """Clients of one service, or of several on one database."""

    def __init__(self, *urls: str, pause: float = _PAUSE) -> None:
        self.url, *_ = self._urls = urls
        self.token = ""
        self._pause = pause

    def sign_up(self, email: str, network: str = "127.0.0.1") -> int:
        headers = {"X-Forwarded-For": network}
        url = f"{self.url}{API}/auth/signup"
        return httpx2.post(url, json=make_account(email), headers=headers, timeout=60).status_code

    def sign_in(self, email: str) -> None:
        form = {"username": email, "password": PASSWORD}
        answer = httpx2.post(f"{self.url}{API}/auth/login", data=form, timeout=60)
        self.token = answer.raise_for_status().json()["access_token"]

    def connect(self) -> socket.socket:
        url = urlsplit(self.url)
        return socket.create_connection((url.hostname, url.port), timeout=10)

    def begin(self, *, write: bool) -> socket.socket:
        """Send a request, and leave its answer alone."""
        head = f"Host: t\r\nAuthorization: Bearer {self.token}\r\n"
        body = '{"title": "left alone"}' if write else ""
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        client = self.connect()
        method = "POST" if write else "GET"
        client.sendall(f"{method} {API}/marbles HTTP/1.1\r\n{head}{body}".encode())
        return client

    @contextmanager
    def running(self, name: str) -> Iterator[Ledger]:
        """Write and read until the block ends."""
        count = THREADS * len(self._urls)
        ledger, stop = Ledger(count), threading.Event()
        threads = [
            threading.Thread(target=self._work, args=(name, number, ledger, stop), daemon=True)
            for number in range(count)
        ]
        for thread in threads:
            thread.start()
        try:
            yield ledger
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _work(self, name: str, thread: int, ledger: Ledger, stop: threading.Event) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = self._urls[thread // THREADS]
        with httpx2.Client(base_url=url, headers=headers, timeout=60) as client:
            count = 0
            while not stop.wait(self._pause):
                if thread % 2:
                    ledger.answers.append(_ask(client, thread, "GET", "?limit=5")[0])
                else:
                    _write(client, thread, f"{name} {thread} {(count := count + 1)}", ledger)


def _write(client: httpx2.Client, thread: int, title: str, ledger: Ledger) -> None:
    """Write, and read it if that was acknowledged."""
    answer, body = _ask(client, thread, "POST", json={"title": title})
    ledger.answers.append(answer)
    ledger.note(title, answer)
    if answer.is_good:
        answer, _ = _ask(client, thread, "GET", f"/{body['id']}")
        ledger.answers.append(answer)
        if answer.status == HTTPStatus.NOT_FOUND:
            ledger.stale.append(title)


def _ask(
    client: httpx2.Client, thread: int, method: str, path: str = "", **content: Any
) -> tuple[Answer, dict[str, Any]]:
    started = time.monotonic()
    status, body = _NO_ANSWER, {}
    with suppress(httpx2.TransportError):
        answer = client.request(method, f"{API}/marbles{path}", **content)
        status, body = answer.status_code, answer.json()
    ended = time.monotonic()
    return Answer(thread, method == "POST", status, body.get("code"), started, ended), body
