import uuid
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from app.mail.letters import Letter
from app.mail.messages import Composer
from tests.mail.conftest import PUBLIC_URL
from tests.smtp_server import read_text

KINDS = [
    "password_reset",
    "invitation",
    "email_verification",
    "email_change",
    "email_taken",
    "password_changed",
    "email_changed",
    "new_login",
    "test",
    "account_deletion",
]
NOW = datetime(2026, 11, 21, 8, 30, tzinfo=timezone(timedelta(hours=1)))


def compose(
    composer: Composer,
    kind: str,
    to: str = "ada@example.com",
    language: str | None = None,
    **values: str,
) -> EmailMessage:
    values = {
        "token": "uml_x",
        "address": "192.0.2.1",
        "user_agent": "tests",
        "days": "30",
    } | values
    letter = Letter(kind, to, values, language=language)
    return composer.compose(letter, id_=uuid.UUID(int=1), happened_at=NOW, sent_at=NOW)


def test_templates_are_those_of_the_kinds() -> None:
    names = {path.name for path in (files("app.mail") / "templates").iterdir()}
    parts = {"base.txt", "base.html", "link.txt", "link.html"}
    assert names == parts | {f"{kind}.{part}" for kind in KINDS for part in ("txt", "html")}


@pytest.mark.parametrize("kind", KINDS)
def test_compose_writes_text_and_html(composer: Composer, kind: str) -> None:
    message = compose(composer, kind)
    assert message["From"] == "Marble shop <no-reply@example.com>"
    assert message["To"] == "ada@example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == "<00000000-0000-0000-0000-000000000001@example.com>"
    assert parsedate_to_datetime(message["Date"]) == NOW
    for part in ("plain", "html"):
        text = read_text(message, part)
        assert "app.example.com" in text
        assert "{" not in text
    assert max(map(len, read_text(message).splitlines())) < 200


@pytest.mark.parametrize("kind", KINDS)
def test_html_loads_nothing_and_leads_nowhere_else(composer: Composer, kind: str) -> None:
    tags: list[str] = []
    links: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            links.extend(value or "" for name, value in attributes if name in {"href", "src"})

    Reader().feed(read_text(compose(composer, kind), "html"))
    assert not {"img", "script", "link", "iframe"} & {*tags}
    assert tags.count("h1") == tags.count("title") == 1
    assert all(link.startswith(f"{PUBLIC_URL}/") and "?" not in link for link in links)


@pytest.mark.parametrize("kind", ["password_changed", "email_changed", "new_login"])
def test_asvs_6_3_7_notices_say_when_and_what_to_do(composer: Composer, kind: str) -> None:
    message = compose(composer, kind)
    for part in ("plain", "html"):
        text = read_text(message, part)
        assert "2026-11-21 at 07:30 UTC" in text
        assert "If it was not you" in text


def test_html_escapes_what_clients_have_sent(composer: Composer) -> None:
    message = compose(composer, "new_login", user_agent="<script>alert(1)</script>")
    assert "<script>" not in read_text(message, "html")
    assert "&lt;script&gt;" in read_text(message, "html")


def test_new_login_may_come_from_nowhere_known(composer: Composer) -> None:
    text = read_text(compose(composer, "new_login", address="", user_agent=""))
    assert "Address: unknown\nDevice: unknown\n" in text


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_asvs_1_3_11_headers_cannot_be_injected(composer: Composer, end: str) -> None:
    with pytest.raises(ValueError, match="CR or LF"):
        compose(composer, "password_reset", to=f"ada@example.com{end}Bcc: eve@example.com")
    message = compose(composer, "new_login", user_agent=f"x{end}{end}Bcc: eve@example.com")
    assert message["Bcc"] is None


def test_date_is_the_databases(composer: Composer) -> None:
    letter = Letter("password_changed", "ada@example.com", {})
    message = composer.compose(
        letter, id_=uuid.uuid4(), happened_at=NOW, sent_at=datetime(2027, 1, 1, tzinfo=UTC)
    )
    assert message["Date"] == "Fri, 01 Jan 2027 00:00:00 +0000"
