import asyncio
import threading

import pytest
from pydantic import Secret

from app.auth.passwords import PasswordHasher
from app.errors import Unavailable
from app.users.service import NO_PASSWORD
from tests.factories import HASHER

PASSWORD = Secret("Zoë and her fifteen cats")


async def test_hash_is_argon2id_with_the_given_memory() -> None:
    hashed = await PasswordHasher(memory=16, threads=1).hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=16,t=1,p=1$")


async def test_hash_is_salted() -> None:
    assert await HASHER.hash(PASSWORD) != await HASHER.hash(PASSWORD)


async def test_verify_tells_right_from_wrong() -> None:
    hashed = await HASHER.hash(Secret("a" * 128))
    assert await HASHER.verify(Secret("a" * 128), hashed)
    assert not await HASHER.verify(Secret("a" * 127 + "b"), hashed)


async def test_verify_never_accepts_for_a_user_without_password() -> None:
    for guess in ("the password of no user", NO_PASSWORD, ""):
        assert not await HASHER.verify(Secret(guess), NO_PASSWORD)


@pytest.mark.parametrize("unknown", ["", "$2b$12$abcdefghijklmnopqrstuuv", "plain text"])
async def test_verify_refuses_what_is_no_hash_of_ours(unknown: str) -> None:
    assert not await HASHER.verify(Secret(unknown), unknown)


async def test_verify_works_as_hard_for_a_user_without_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasher = PasswordHasher(memory=8, threads=1)
    verified: list[str] = []
    verify = hasher._hasher.verify  # noqa: SLF001  # how long it takes is no basis for a test

    def record(password: str, hashed: str) -> bool:
        verified.append(hashed)
        return verify(password, hashed)

    monkeypatch.setattr(hasher._hasher, "verify", record)  # noqa: SLF001
    await hasher.verify(PASSWORD, NO_PASSWORD)
    assert [hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$") for hashed in verified] == [True]


async def test_hasher_refuses_work_beyond_its_queue() -> None:
    hasher = PasswordHasher(memory=8, threads=1)
    flood = await asyncio.gather(
        *(hasher.hash(PASSWORD) for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(answer, Unavailable) for answer in flood) == 50 - 33
    assert sum(isinstance(answer, str) for answer in flood) == 33
    assert await hasher.verify(PASSWORD, await hasher.hash(PASSWORD))  # the places are free again


async def test_hasher_keeps_the_place_of_a_caller_who_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasher = PasswordHasher(memory=8, threads=1)
    gate = threading.Event()
    monkeypatch.setattr(hasher._hasher, "hash", lambda _: str(gate.wait()))  # noqa: SLF001
    callers = [asyncio.ensure_future(hasher.hash(PASSWORD)) for _ in range(33)]
    await asyncio.sleep(0)
    for caller in callers[:-1]:
        caller.cancel()
    await asyncio.wait(callers[:-1])
    try:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(hasher.hash(PASSWORD), 1)
    finally:
        gate.set()
    await callers[-1]
    assert await hasher.hash(PASSWORD)
