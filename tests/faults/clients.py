"""Clients that write and read all the time, with a ledger of what was acknowledged."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2

from tests.factories import PASSWORD, make_account

API = "/api/v1"
_PAUSE = 0.05  # seconds; it bounds the traffic
_THREADS = 8  # of which half write
_OK = range(200, 300)


@dataclass(frozen=True)
class Answer:
    """What one request came to; the status 0 is no answer."""

    thread: int
    writes: bool
    status: int
    started: float
    ended: float

    @property
    def is_good(self) -> bool:
        return self.status in _OK


@dataclass
class Ledger:
    """All answers of a time, and the titles whose creation was acknowledged."""

    answers: list[Answer] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)

    def failures_since(self, instant: float) -> list[Answer]:
        return [each for each in self.answers if each.ended >= instant and not each.is_good]

    def is_calm(self, since: float, now: float) -> bool:
        """Tell whether everybody is served again, and has been for two seconds."""
        served = {each.thread for each in self.answers if each.is_good and each.started >= since}
        return len(served) == _THREADS and not self.failures_since(max(since, now - 2))


class Clients:
    def __init__(self, url: str) -> None:
        self.url = url
        self.token = ""

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
        ledger, stop = Ledger(), threading.Event()
        threads = [
            threading.Thread(target=self._work, args=(name, number, ledger, stop), daemon=True)
            for number in range(_THREADS)
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
        writes = thread % 2 == 0
        with httpx2.Client(base_url=self.url, headers=headers, timeout=60) as client:
            count = 0
            while not stop.wait(_PAUSE):
                title = f"{name} {thread} {(count := count + 1)}" if writes else None
                started = time.monotonic()
                status = _ask(client, title)
                ledger.answers.append(Answer(thread, writes, status, started, time.monotonic()))
                if title and status in _OK:
                    ledger.acknowledged.append(title)


def _ask(client: httpx2.Client, title: str | None) -> int:
    try:
        if title is None:
            return client.get(f"{API}/marbles?limit=5").status_code
        return client.post(f"{API}/marbles", json={"title": title}).status_code
    except httpx2.TransportError:
        return 0
