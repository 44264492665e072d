"""The mails about second factors."""

import re
from typing import Any

import pytest

from app.mail.messages import Composer
from app.web.languages import NAMES
from tests.mail.conftest import PUBLIC_URL, SENDER, composer
from tests.mail.test_messages import compose
from tests.smtp_server import read_text
from tests.speech import Marking, find_unmarked

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


@pytest.mark.parametrize(("kind", "values"), [*NOTICES, ("second_factor_reset", {})])
def test_no_text_of_a_mail_about_factors_stays_untranslated(
    kind: str, values: dict[str, Any]
) -> None:
    marked = Composer(
        public_url=PUBLIC_URL, sender=SENDER, catalogs=dict.fromkeys(NAMES, Marking())
    )
    message = compose(marked, kind, **values)
    for part in ("plain", "html"):
        text = re.sub(r"https://[\w./#=-]+", "", read_text(message, part))
        assert find_unmarked(text) - {"ada", "app", "example", "com", "tests", "uml"} == set()
