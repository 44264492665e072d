"""The mails about second factors."""

from typing import Any

import pytest

from app.mail.messages import Composer
from tests.mail.conftest import composer
from tests.mail.test_messages import compose
from tests.smtp_server import read_text

__all__ = ["composer"]  # a fixture

NOTICES: list[tuple[str, dict[str, Any]]] = [
    ("second_factor_failed", {}),
    *(
        ("second_factor_changed", {"factor": factor, "change": "removed"})
        for factor in ("totp", "recovery_codes", "all")
    ),
    ("second_factor_reset_requested", {}),
]


@pytest.mark.parametrize(("kind", "values"), NOTICES)
def test_notice_says_when_and_what_to_do(
    composer: Composer, kind: str, values: dict[str, Any]
) -> None:
    for part in ("plain", "html"):
        text = read_text(compose(composer, kind, **values), part)
        assert "2026-11-21 at 07:30 UTC" in text
        assert "If it was not you" in text
        assert "{" not in text


def test_mail_of_a_reset_has_its_link(composer: Composer) -> None:
    for part in ("plain", "html"):
        text = read_text(compose(composer, "second_factor_reset"), part)
        assert "https://app.example.com/reset-second-factors#token=uml_x" in text
        assert "24 hours" in text
