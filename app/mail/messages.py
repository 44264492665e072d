"""Mail as it is sent: headers, a text, and the same as HTML, from `templates/`."""

import uuid
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.mail.letters import Letter
from app.mail.service import EMAIL_CHANGE, EMAIL_VERIFICATION, INVITATION, LIFETIMES, PASSWORD_RESET

_APP: Final = Path(__file__).parents[1]  # whose features bring templates of their own
# Where a link leads; the token stands behind `#`, which browsers do not send and no log keeps.
_PAGES = {
    PASSWORD_RESET: "set-password",
    INVITATION: "set-password",
    EMAIL_VERIFICATION: "confirm-email",
    EMAIL_CHANGE: "confirm-email",
}


class Composer:
    """Writes mail that comes from `sender`, with links to `public_url` and nowhere else."""

    def __init__(self, *, public_url: str, sender: Address) -> None:
        self._public_url = public_url
        self._sender = sender
        self._templates = Environment(
            loader=FileSystemLoader(sorted(_APP.glob("*/templates"))),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["public_url"] = public_url
        self._templates.globals["site"] = urlsplit(public_url).netloc

    def compose(
        self, letter: Letter, *, id_: uuid.UUID, happened_at: datetime, sent_at: datetime
    ) -> EmailMessage:
        """Make the message; `id_` stays the same when it is sent again.

        The first line of the text template is the subject.
        """
        at = f"{happened_at.astimezone(UTC):%Y-%m-%d at %H:%M} UTC"
        values = {**letter.values, **self._link(letter), "to": letter.to, "at": at}
        subject, _, text = self._render(f"{letter.template}.txt", values).partition("\n")
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        message["To"] = Address(addr_spec=letter.to)
        message["Subject"] = subject
        message["Date"] = sent_at
        message["Message-ID"] = f"<{id_}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: let no machine answer
        message.set_content(text.strip() + "\n")
        html = self._render(f"{letter.template}.html", {**values, "subject": subject})
        message.add_alternative(html, subtype="html")
        return message

    def _render(self, template: str, values: dict[str, object]) -> str:
        return self._templates.get_template(template).render(values)

    def _link(self, letter: Letter) -> dict[str, str]:
        if letter.template not in _PAGES:
            return {}
        page = f"{self._public_url}/{_PAGES[letter.template]}"
        lifetime = _say(LIFETIMES[letter.template])
        return {
            "page": page,
            "link": f"{page}#token={letter.values['token']}",
            "lifetime": lifetime,
        }


def _say(lifetime: timedelta) -> str:
    if lifetime > timedelta(days=1):
        return f"{lifetime.days} days"
    if lifetime > timedelta(hours=1):
        return f"{lifetime // timedelta(hours=1)} hours"
    return f"{lifetime // timedelta(minutes=1)} minutes"
