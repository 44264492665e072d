import asyncio
import threading
from collections.abc import Callable

import bcrypt
import pytest
from argon2 import Type
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import Secret

from app.auth.passwords import PasswordHasher
from app.users.service import NO_PASSWORD
from app.web.errors import Unavailable
from tests.factories import HASHER, POLICY

LONG = "Long is fine: " + "z" * 114
PASSWORD = Secret("Zoë and her fifteen cats")


async def make_hash(password: Secret[str] = PASSWORD, *, hasher: PasswordHasher = HASHER) -> str:
    return await hasher.hash_new(password, field="password", about=())


async def test_hash_is_argon2id_with_the_given_memory() -> None:
    hashed = await make_hash(hasher=PasswordHasher(memory=16, threads=1, policy=POLICY))
    assert hashed.startswith("$argon2id$v=19$m=16,t=1,p=1$")


async def test_hash_is_salted() -> None:
    assert await make_hash() != await make_hash()


async def test_verify_tells_right_from_wrong() -> None:
    hashed = await make_hash(Secret(LONG))
    assert await HASHER.verify(Secret(LONG), hashed)
    assert not await HASHER.verify(Secret(LONG[:-1] + "b"), hashed)


async def test_verify_never_accepts_for_a_user_without_password() -> None:
    for guess in ("the password of no user", NO_PASSWORD, ""):
        assert not await HASHER.verify(Secret(guess), NO_PASSWORD)


@pytest.mark.parametrize("unknown", ["", "$2b$12$abcdefghijklmnopqrstuuv", "plain text"])
async def test_verify_refuses_what_is_no_hash_of_ours(unknown: str) -> None:
    assert not await HASHER.verify(Secret(unknown), unknown)


async def test_verify_works_as_hard_for_a_user_without_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasher = PasswordHasher(memory=8, threads=1, policy=POLICY)
    verified: list[str] = []
    verify = hasher._hasher.verify  # noqa: SLF001  # how long it takes is no basis for a test

    def record(password: str, hashed: str) -> bool:
        verified.append(hashed)
        return verify(password, hashed)

    monkeypatch.setattr(hasher._hasher, "verify", record)  # noqa: SLF001
    await hasher.verify(PASSWORD, NO_PASSWORD)
    assert [hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$") for hashed in verified] == [True]


async def test_hasher_refuses_work_beyond_its_queue() -> None:
    hasher = PasswordHasher(memory=8, threads=1, policy=POLICY)
    flood = await asyncio.gather(
        *(make_hash(hasher=hasher) for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(answer, Unavailable) for answer in flood) == 50 - 33
    assert sum(isinstance(answer, str) for answer in flood) == 33
    assert await hasher.verify(
        PASSWORD, await make_hash(hasher=hasher)
    )  # the places are free again


async def test_hasher_keeps_the_place_of_a_caller_who_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasher = PasswordHasher(memory=8, threads=1, policy=POLICY)
    gate = threading.Event()
    monkeypatch.setattr(hasher._hasher, "hash", lambda _: str(gate.wait()))  # noqa: SLF001
    callers = [asyncio.ensure_future(make_hash(hasher=hasher)) for _ in range(33)]
    await asyncio.sleep(0)
    for caller in callers[:-1]:
        caller.cancel()
    await asyncio.wait(callers[:-1])
    try:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(make_hash(hasher=hasher), 1)
    finally:
        gate.set()
    await callers[-1]
    assert await make_hash(hasher=hasher)


def hash_with_bcrypt(password: str) -> str:
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(rounds=4)).decode()


async def test_verify_and_update_keeps_a_hash_of_today() -> None:
    assert await HASHER.verify_and_update(PASSWORD, await make_hash()) == (True, None)


@pytest.mark.parametrize(
    "outdate",
    [
        hash_with_bcrypt,
        lambda password: hash_with_bcrypt(password).replace("$2b$", "$2y$"),  # as PHP has it
        Argon2Hasher(2, 16, 1).hash,
        Argon2Hasher(1, 8, 1, type=Type.I).hash,
    ],
)
async def test_verify_and_update_gives_a_new_hash_for_an_outdated_one(
    outdate: Callable[[str], str],
) -> None:
    outdated = outdate(PASSWORD.get_secret_value())
    assert await HASHER.verify_and_update(Secret("wrong"), outdated) == (False, None)
    is_right, updated = await HASHER.verify_and_update(PASSWORD, outdated)
    assert is_right
    assert updated is not None
    assert updated.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert await HASHER.verify(PASSWORD, updated)


async def test_bcrypt_password_is_whole_once_its_hash_is_new() -> None:
    """bcrypt sees 72 bytes, here 36 letters, and the libraries that made the hashes let it."""
    typed = "é" * 36 + " and more"
    imported = hash_with_bcrypt(typed)
    is_right, updated = await HASHER.verify_and_update(Secret(typed), imported)
    assert is_right
    assert updated is not None
    assert not await HASHER.verify(Secret("é" * 36), updated)
    assert not await HASHER.verify(Secret("é" * 35 + "e and more"), imported)


async def test_bcrypt_password_does_not_end_at_a_nul() -> None:
    assert not await HASHER.verify(Secret("left\0right"), hash_with_bcrypt("left\0wrong"))


@pytest.mark.parametrize("prefix", ["$2b$99$", "$2b$03$", "$2b$00$", "$2x$04$"])
async def test_verify_refuses_a_bcrypt_hash_that_is_none(prefix: str) -> None:
    assert not await HASHER.verify(PASSWORD, prefix + "a" * 53)
