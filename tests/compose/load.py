"""Requests that never end, while something is done to the stack."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.compose.stack import CheckError, Stack


@contextmanager
def requests_all_the_time(stack: Stack, token: str) -> Iterator[list[tuple[int, Any]]]:
    """Write and read on several connections until the block ends; yield the answers so far."""
    answers: list[tuple[int, Any]] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            for method, body in (("POST", {"title": "under way"}), ("GET", None)):
                try:
                    answers.append(stack.call(method, "/api/v1/items", body, token))
                except OSError as error:
                    answers.append((0, repr(error)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def without_failure(stack: Stack, token: str) -> Iterator[None]:
    with requests_all_the_time(stack, token) as answers:
        yield
    failed = [answer for answer in answers if answer[0] not in {200, 201}]
    if failed or not answers:
        log = stack.compose("logs", "--timestamps", "--tail", "40", "proxy")
        raise CheckError(f"{len(failed)} of {len(answers)} requests failed: {failed[:3]}\n{log}")
    print(f"{len(answers):9}  requests, none failed")
