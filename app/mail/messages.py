"""Mail as it is sent: headers, a text, and the same as HTML, from `templates/`."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from gettext import NullTranslations
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jinja2 import select_autoescape

from app.mail.letters import Letter
from app.mail.service import EMAIL_CHANGE, EMAIL_VERIFICATION, INVITATION, LIFETIMES, PASSWORD_RESET
from app.web.languages import DEFAULT, Language, find_known, read_catalogs
from app.web.templating import new_environment

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

    def __init__(
        self,
        *,
        public_url: str,
        sender: Address,
        catalogs: Mapping[Language, NullTranslations] | None = None,
    ) -> None:
        self._public_url = public_url
        self._sender = sender
        self._catalogs = catalogs or read_catalogs()
        folders = sorted(_APP.glob("*/templates"))
        options = {"autoescape": select_autoescape(), "keep_trailing_newline": True}
        self._environments = {
            language: new_environment(folders, catalog, **options)
            for language, catalog in self._catalogs.items()
        }
        for environment in self._environments.values():
            environment.globals["public_url"] = public_url
            environment.globals["site"] = urlsplit(public_url).netloc

    def compose(
        self, letter: Letter, *, id_: uuid.UUID, happened_at: datetime, sent_at: datetime
    ) -> EmailMessage:
        """Make the message; `id_` stays the same when it is sent again.

        The first line of the text template is the subject.
        """
        language = find_known(letter.language) or DEFAULT
        catalog, templates = self._catalogs[language], self._environments[language]
        values = {
            **letter.values,
            **self._link(letter, catalog),
            "to": letter.to,
            "at": _say_when(happened_at.astimezone(UTC), catalog),
            "language": language,
        }
        written = templates.get_template(f"{letter.template}.txt").render(values)
        subject, _, text = written.partition("\n")
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        message["To"] = Address(addr_spec=letter.to)
        message["Subject"] = subject
        message["Date"] = sent_at
        message["Message-ID"] = f"<{id_}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: let no machine answer
        message.set_content(text.strip() + "\n")
        values["subject"] = subject
        html = templates.get_template(f"{letter.template}.html").render(values)
        message.add_alternative(html, subtype="html")
        return message

    def _link(self, letter: Letter, catalog: NullTranslations) -> dict[str, str]:
        if letter.template not in _PAGES:
            return {}
        page = f"{self._public_url}/{_PAGES[letter.template]}"
        lifetime = _say_how_long(LIFETIMES[letter.template], catalog)
        return {
            "page": page,
            "link": f"{page}#token={letter.values['token']}",
            "lifetime": lifetime,
        }


def _say_when(instant: datetime, catalog: NullTranslations) -> str:
    parts = {"date": f"{instant:%Y-%m-%d}", "time": f"{instant:%H:%M}"}
    return catalog.gettext("%(date)s at %(time)s UTC") % parts


def _say_how_long(lifetime: timedelta, catalog: NullTranslations) -> str:
    if lifetime > timedelta(days=1):
        number = lifetime.days
        return catalog.ngettext("%(num)s day", "%(num)s days", number) % {"num": number}
    if lifetime > timedelta(hours=1):
        number = lifetime // timedelta(hours=1)
        return catalog.ngettext("%(num)s hour", "%(num)s hours", number) % {"num": number}
    number = lifetime // timedelta(minutes=1)
    return catalog.ngettext("%(num)s minute", "%(num)s minutes", number) % {"num": number}
