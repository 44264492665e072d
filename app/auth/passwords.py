"""Password hashing, off the event loop and bounded."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from pydantic import Secret

from app.auth.password_policy import PasswordPolicy
from app.web.errors import Unavailable

_T = TypeVar("_T")
_WAITING_PER_THREAD = 32  # at 50 ms each, the last one waits 1.6 s
# Of no password, since nobody finds one for 32 zero bytes. To hash one here would take 46 MiB.
_NOBODYS = "$argon2id$v=19$m={memory},t=1,p=1$" + 22 * "A" + "$" + 43 * "A"
_BCRYPT_BYTES = 72  # what bcrypt looks at; its older libraries ignored the rest without a word


class PasswordHasher:
    """Argon2id with t=1, p=1 (OWASP Password Storage Cheat Sheet).

    `memory` is in KiB. At most `threads` passwords are hashed at a time, and some wait; beyond
    that `Unavailable` is raised, so that a flood of logins slows down nothing else.
    """

    def __init__(self, *, memory: int, threads: int, policy: PasswordPolicy) -> None:
        self._policy = policy
        argon2id = Argon2Hasher(time_cost=1, memory_cost=memory, parallelism=1)
        self._hasher = PasswordHash([argon2id, _ImportedBcrypt()])
        self._nobodys = _NOBODYS.format(memory=memory)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._places = self._all_places = threads * (1 + _WAITING_PER_THREAD)

    @property
    def queue_length(self) -> int:
        """How many passwords are being hashed, or wait for it."""
        return self._all_places - self._places

    async def hash_new(
        self, password: Secret[str], *, field: str, about: Iterable[str | None]
    ) -> str:
        """Hash a password that a user has chosen, or raise `PasswordRefused`.

        `field` is its name in the body, `about` what is known of the user: address and full name.
        """
        self._policy.check(password, field=field, about=about)
        return await self._run(lambda: self._hasher.hash(password.get_secret_value()))

    async def verify(self, password: Secret[str], hashed_password: str) -> bool:
        """Check a password. What is no hash, as `NO_PASSWORD`, takes as long, and answers no.

        The equal time keeps a caller from learning which addresses have an account.
        """
        is_right, _ = await self._verify(password, hashed_password, self._verify_only)
        return is_right

    async def verify_and_update(
        self, password: Secret[str], hashed_password: str
    ) -> tuple[bool, str | None]:
        """Do as `verify` does, and return a new hash of the right password if the old is outdated.

        That is one with other parameters, or one of bcrypt's, from wherever users were imported.
        """
        return await self._verify(password, hashed_password, self._hasher.verify_and_update)

    def require_place(self) -> None:
        """Raise `Unavailable` if a password would be refused now, before anything else is done."""
        if self._places == 0:
            raise Unavailable("passwords")

    async def _verify(
        self,
        password: Secret[str],
        hashed_password: str,
        verify: Callable[[str, str], tuple[bool, str | None]],
    ) -> tuple[bool, str | None]:
        is_hash = any(hasher.identify(hashed_password) for hasher in self._hasher.hashers)
        target = hashed_password if is_hash else self._nobodys
        result = await self._run(lambda: verify(password.get_secret_value(), target))
        return result if is_hash else (False, None)

    def _verify_only(self, password: str, hashed_password: str) -> tuple[bool, None]:
        return self._hasher.verify(password, hashed_password), None

    async def _run(self, work: Callable[[], _T]) -> _T:
        self.require_place()
        self._places -= 1
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # A client that hangs up frees no thread: hence no `finally`, and the shield.
        running.add_done_callback(self._free_place)
        return await asyncio.shield(running)

    def _free_place(self, _: object) -> None:
        self._places += 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class _ImportedBcrypt(BcryptHasher):
    def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002  # pwdlib's name for it
        typed = password.encode() if isinstance(password, str) else password
        try:
            return super().verify(typed[:_BCRYPT_BYTES], hash)
        except ValueError:  # it has only the look of a hash
            return False
