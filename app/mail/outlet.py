"""Where mail goes, and why it does not; to the console where there is no server."""

import re
import sys
from email.message import EmailMessage
from typing import Protocol

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_TOKEN = re.compile(r"uml_[\w-]+")


class MailError(Exception):
    """Why a mail was not handed over, in one line without the mail's token."""

    def __init__(self, reason: str) -> None:
        text = reason.encode(errors="replace").decode()  # a server may say what is not UTF-8
        super().__init__(_TOKEN.sub("uml_...", _UNFIT.sub(" ", text)))


class MailRefused(MailError):
    """The server takes this mail neither now nor later."""


class MailDeferred(MailError):
    """The server does not take this mail now."""


class ServerUnusable(MailError):
    """The server takes no mail at all now."""


class Outlet(Protocol):
    """Where mail goes. It may keep connections from one `send` to the next, until `close`."""

    async def send(self, message: EmailMessage) -> None:
        """Hand a mail over, or raise a `MailError`."""

    async def close(self) -> None: ...


class Console:
    """Prints mail, for development."""

    async def send(self, message: EmailMessage) -> None:
        text = message.get_body(("plain",))
        body = text.get_content().strip() if text else ""
        lines = [f"To: {message['To']}", f"Subject: {message['Subject']}", "", *body.split("\n")]
        sys.stdout.write("".join(f"  | {line}".rstrip() + "\n" for line in ["", *lines, ""]))
        sys.stdout.flush()

    async def close(self) -> None:
        pass
