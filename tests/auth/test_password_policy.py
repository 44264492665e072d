import time

import pytest
from pydantic import Secret

from app.auth.password_policy import PasswordPolicy, PasswordRefused
from tests.factories import POLICY

ABOUT = ("ada.lovelace@engines.example.com", "Ada King, Countess of Lovelace")


def find_refusal(password: str, policy: PasswordPolicy = POLICY) -> str | None:
    try:
        policy.check(Secret(password), field="new_password", about=ABOUT)
    except PasswordRefused as refused:
        return refused.error.type
    return None


@pytest.mark.parametrize(
    "password",
    [
        "fifteen letters",
        "correct horse battery staple",
        "UPPER CASE ALONE",
        "kdjwhqpznvmxbty",
        "  spaces  around  ",
        "🔑🚲🌲🎈🧲🎻🪁🦔🐙🌋🍋🥁🧭🪐🎲",
        "мой дядя самых честных правил",
        "ada lovelace drew nine purple engines",
    ],
)
def test_policy_takes_what_is_long_and_not_easily_guessed(password: str) -> None:
    assert find_refusal(password) is None


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "p@ssw0rdp@ssw0rd",
        "123456789012345",
        "aaaaaaaaaaaaaaa",
        "qwertyuiopasdfghjkl",
        "abcdefghijklmnopqrstuvwxyz",
        "iloveyouiloveyou",
    ],
)
def test_policy_refuses_what_is_easily_guessed(password: str) -> None:
    assert find_refusal(password) == "password_too_guessable"


@pytest.mark.parametrize(
    "password",
    [
        "ada.lovelace@engines.example.com",
        "Ada.Lovelace@Engines.Example.Com",
        "ada.lovelace123",
        "engines.example.com",
        "xx-lovelace-ada-xx",
        "COUNTESS of LOVELACE!",
        "marble shop 1234",
        "MarbleShopMarbleShop",
        "shop-of-marble-ada",
    ],
)
def test_policy_refuses_what_is_made_of_known_words(password: str) -> None:
    assert find_refusal(password) == "password_from_own_words"


def test_policy_knows_own_words_in_disguise() -> None:
    assert find_refusal("l0ve1ace!l0ve1ace!") == "password_too_guessable"


def test_policy_ignores_words_too_short_to_mean_anything() -> None:
    policy = PasswordPolicy(min_length=15, application="A b")
    policy.check(Secret("a barbarian abacus"), field="password", about=("a@b.c", "Al E B"))


@pytest.mark.parametrize(
    ("min_length", "password"), [(10, "x7#kQ2!zV"), (20, "kdjwhqpznvmxbtyrlfc")]
)
def test_policy_counts_code_points(min_length: int, password: str) -> None:
    policy = PasswordPolicy(min_length=min_length, application="Marble shop")
    assert find_refusal(password, policy) == "string_too_short"
    assert find_refusal(password + "é", policy) is None


def test_policy_tells_the_reason() -> None:
    with pytest.raises(PasswordRefused) as refused:
        POLICY.check(Secret("aaaaaaaaaaaaaaaaaa"), field="password", about=())
    assert refused.value.error.msg == 'Too easy to guess. Repeats like "aaa" are easy to guess.'


def test_policy_is_bounded_in_time() -> None:
    """The estimate of this password as a whole takes more than half a second."""
    hostile = ("4@8({[<369&#!1/|0$5+7%2" * 6)[:128]
    about = ("a" * 64 + "@" + ".".join("bcdefgh" * 6 for _ in range(4)), "word " * 51)
    started = time.process_time()
    POLICY.check(Secret(hostile), field="password", about=about)
    assert time.process_time() - started < 0.2
