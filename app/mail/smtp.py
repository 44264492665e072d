"""Handing mail over: to an SMTP server, or to the console where there is none."""

import asyncio
import re
import ssl
import sys
from contextlib import suppress
from email.message import EmailMessage
from typing import Literal, NamedTuple, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

_COMMAND_TIMEOUT = 10  # seconds for each answer of the server
SEND_TIMEOUT = 30  # seconds for all that one mail needs
_PORTS = {"STARTTLS": 587, "TLS": 465, "off": 25}  # RFC 6409, RFC 8314, RFC 5321
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_TOKEN = re.compile(r"uml_[\w-]+")


class MailError(Exception):
    """Why a mail was not handed over, in one line without the mail's token."""

    def __init__(self, reason: str) -> None:
        super().__init__(_TOKEN.sub("uml_...", _UNFIT.sub(" ", reason)))


class MailRefused(MailError):
    """The server takes this mail neither now nor later."""


class MailDeferred(MailError):
    """The server does not take this mail now."""


class ServerUnusable(MailError):
    """The server takes no mail at all now."""


class Outlet(Protocol):
    """Where mail goes. It may keep a connection from one `send` to the next, until `close`."""

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


class SMTPServer(NamedTuple):
    """What SMTP_URL says."""

    host: str
    port: int
    username: str | None
    password: str | None
    security: Literal["STARTTLS", "TLS", "off"]

    @classmethod
    def parse(cls, url: str) -> "SMTPServer":
        """Read `smtp://` (STARTTLS) or `smtps://` (TLS); raise ValueError, without the value.

        Without TLS only if it says so, `smtp://host?tls=off`, and then without a password.
        """
        malformed = ValueError("it looks like smtp://user:password@host:587 or smtps://...")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:  # it quotes what stands in place of the port: perhaps a password
            raise malformed from None
        options = parse_qs(parts.query, keep_blank_values=True)
        tls = options.pop("tls", ["on"])
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or options:
            raise malformed
        if tls not in (["on"], ["off"]) or (tls == ["off"] and parts.scheme == "smtps"):
            raise ValueError("tls=off, with smtp://, is all that can be said of TLS")
        if tls == ["off"] and parts.password is not None:
            raise ValueError("a password is not sent without TLS")
        security = _find_security(parts.scheme, tls=tls == ["on"])
        user, password = (part and unquote(part) for part in (parts.username, parts.password))
        return cls(
            parts.hostname, port or _PORTS[security], user or None, password or None, security
        )


def _find_security(scheme: str, *, tls: bool) -> Literal["STARTTLS", "TLS", "off"]:
    if not tls:
        return "off"
    return "TLS" if scheme == "smtps" else "STARTTLS"


class SMTPOutlet:
    """An SMTP server, whose certificate is verified; one connection serves many mails."""

    def __init__(self, server: SMTPServer) -> None:
        self._server = server
        self._client: SMTP | None = None

    async def send(self, message: EmailMessage) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await (await self._connect()).send_message(message)
        except SMTPRecipientsRefused as error:
            raise _judge(error.recipients[0]) from error
        except SMTPDataError as error:
            raise _judge(error) from error
        except asyncio.CancelledError:
            self._abandon()  # nobody waits for what the server would still say
            raise
        except (SMTPException, OSError) as error:  # TimeoutError and SSLError are OSErrors
            self._abandon()
            raise ServerUnusable(_describe(error)) from error

    async def _connect(self) -> SMTP:
        if self._client is None or not self._client.is_connected:
            # A new one each time, since a certificate may have been renewed.
            self._client = _create_client(self._server)
            await self._client.connect()
        return self._client

    def _abandon(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    async def close(self) -> None:
        if self._client is not None and self._client.is_connected:
            with suppress(SMTPException, OSError):
                await self._client.quit()
        self._abandon()


def _create_client(server: SMTPServer) -> SMTP:
    return SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username,
        password=server.password,
        timeout=_COMMAND_TIMEOUT,
        use_tls=server.security == "TLS",
        start_tls=server.security == "STARTTLS",
        tls_context=None if server.security == "off" else ssl.create_default_context(),
    )


def _judge(error: SMTPRecipientRefused | SMTPDataError) -> MailError:
    """Tell whether trying again can help (RFC 5321, section 4.2.1: 4yz and 5yz)."""
    kind = MailRefused if error.code >= 500 else MailDeferred  # noqa: PLR2004  # RFC 5321's
    return kind(_describe(error))


def _describe(error: Exception) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {error.message}"
    return f"{type(error).__name__}: {error}".removesuffix(": ")
