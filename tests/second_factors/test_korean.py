"""The mails about second factors in Korean."""

import re
from typing import Any

import pytest

from app.mail.messages import Composer
from tests.mail.conftest import composer
from tests.mail.test_messages import compose
from tests.second_factors.test_letters import NOTICES
from tests.smtp_server import read_text

__all__ = ["composer"]  # a fixture


@pytest.mark.parametrize(("kind", "values"), [*NOTICES, ("second_factor_reset", {})])
def test_mail_about_factors_is_composed_in_korean(
    composer: Composer, kind: str, values: dict[str, Any]
) -> None:
    message = compose(composer, kind, language="ko", **values)
    assert '<html lang="ko">' in read_text(message, "html")
    for part in ("plain", "html"):
        assert not re.search(r" (?:the|your|was) ", read_text(message, part))
