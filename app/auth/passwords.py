"""Password hashing, off the event loop and bounded."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import Secret

from app.errors import Unavailable

_T = TypeVar("_T")
_WAITING_PER_THREAD = 32  # at 50 ms each, the last one waits 1.6 s


class PasswordHasher:
    """Argon2id with t=1, p=1 (OWASP Password Storage Cheat Sheet).

    `memory` is in KiB. At most `threads` passwords are hashed at a time, and some wait; beyond
    that `Unavailable` is raised, so that a flood of logins slows down nothing else.
    """

    def __init__(self, *, memory: int, threads: int) -> None:
        argon2id = Argon2Hasher(time_cost=1, memory_cost=memory, parallelism=1)
        self._hasher = PasswordHash([argon2id])
        self._nobodys = self._hasher.hash("the password of no user")
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._places = self._all_places = threads * (1 + _WAITING_PER_THREAD)

    @property
    def queue_length(self) -> int:
        """How many passwords are being hashed, or wait for it."""
        return self._all_places - self._places

    async def hash(self, password: Secret[str]) -> str:
        return await self._run(lambda: self._hasher.hash(password.get_secret_value()))

    async def verify(self, password: Secret[str], hashed_password: str) -> bool:
        """Check a password. What is no hash, as `NO_PASSWORD`, takes as long, and answers no.

        The equal time keeps a caller from learning which addresses have an account.
        """
        known = Argon2Hasher.identify(hashed_password)
        target = hashed_password if known else self._nobodys
        return (
            await self._run(lambda: self._hasher.verify(password.get_secret_value(), target))
            and known
        )

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._places == 0:
            raise Unavailable
        self._places -= 1
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # A client that hangs up frees no thread: hence no `finally`, and the shield.
        running.add_done_callback(self._free_place)
        return await asyncio.shield(running)

    def _free_place(self, _: object) -> None:
        self._places += 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
