import pytest

from app.users.tokens import hash_token, new_token


def test_asvs_7_2_3_tokens_are_long_and_never_the_same() -> None:
    tokens = [new_token("ust") for _ in range(100_000)]
    assert len({*tokens}) == len(tokens)
    assert {(token[:4], len(token[4:])) for token in tokens} == {("ust_", 43)}  # 256 bits
    # At each place, each of the 64 characters: a source of fewer bits would show.
    places = {*zip(*(token[4:46] for token in tokens), strict=True)}
    assert [len({*place}) for place in places] == [64] * 42


def test_asvs_6_5_3_tokens_are_the_operating_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_bytes", lambda size: b"\xff" * size)
    assert new_token("uml") == f"uml_{'_' * 42}8"


def test_hash_token_is_sha256() -> None:
    # FIPS 180-4's own example.
    assert hash_token("abc").hex().startswith("ba7816bf8f01cfea414140de5dae2223")
