"""Handing mail over to an SMTP server."""

import asyncio
import ssl
from contextlib import suppress
from email.message import EmailMessage
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPStatus,
)

from app.mail.outlet import MailDeferred, MailError, MailRefused, ServerUnusable

_COMMAND_TIMEOUT = 10  # seconds for each answer of the server
SEND_TIMEOUT = 30  # seconds for all that one mail needs
_PORTS = {"STARTTLS": 587, "TLS": 465, "off": 25}  # RFC 6409, RFC 8314, RFC 5321
_SIGN_IN_FIRST = 530  # RFC 4954, section 6


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
    """An SMTP server, whose certificate is verified; a connection serves many mails in turn.

    What goes wrong before there is a connection concerns all mail, and whatever comes later the
    one mail alone, even if it breaks the connection: else one that a stranger has asked for could
    keep all others waiting. If the server is really away, the next mail finds no connection.
    """

    def __init__(self, server: SMTPServer) -> None:
        self._server = server
        self._idle: list[SMTP] = []

    async def send(self, message: EmailMessage) -> None:
        until = asyncio.get_running_loop().time() + SEND_TIMEOUT
        client = await self._take(until)
        try:
            async with asyncio.timeout_at(until):
                await client.send_message(message)
        except (SMTPResponseException, SMTPRecipientsRefused, SMTPNotSupported) as error:
            if getattr(error, "code", None) == SMTPStatus.invalid_response:
                client.close()  # nobody knows what its next line would answer
            self._keep(client)
            raise _judge(error) from error
        except (SMTPException, OSError) as error:  # TimeoutError is one
            client.close()
            raise MailDeferred(_describe(error)) from error
        except BaseException:  # nobody waits for what the server would still say
            client.close()
            raise
        self._keep(client)

    async def _take(self, until: float) -> SMTP:
        while self._idle:
            client = self._idle.pop()
            if client.is_connected:
                return client
        client = _create_client(self._server)
        try:
            async with asyncio.timeout_at(until):
                await client.connect()
                await client.noop()  # behind EHLO, which it sends if nothing else has
        except (SMTPException, OSError) as error:  # SSLError is one, too
            client.close()
            raise ServerUnusable(_describe(error)) from error
        except BaseException:
            client.close()
            raise
        return client

    def _keep(self, client: SMTP) -> None:
        if client.is_connected:
            self._idle.append(client)

    async def close(self) -> None:
        while self._idle:
            client = self._idle.pop()
            with suppress(SMTPException, OSError):
                await client.quit()
            client.close()


def _create_client(server: SMTPServer) -> SMTP:
    # A new context each time, since a certificate may have been renewed.
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


def _judge(
    error: SMTPResponseException | SMTPRecipientsRefused | SMTPNotSupported,
) -> MailError:
    """Tell whether trying again can help (RFC 5321, section 4.2.1: 4yz and 5yz).

    A sender that is refused is ours to mend, so the mail is not given up for it.
    """
    if isinstance(error, SMTPNotSupported):
        return MailRefused(_describe(error))
    answer = error.recipients[0] if isinstance(error, SMTPRecipientsRefused) else error
    if answer.code == _SIGN_IN_FIRST:
        return ServerUnusable(_describe(answer))
    is_final = answer.code >= 500 and not isinstance(answer, SMTPSenderRefused)  # noqa: PLR2004  # RFC 5321's
    return (MailRefused if is_final else MailDeferred)(_describe(answer))


def _describe(error: Exception) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {error.message}"
    return f"{type(error).__name__}: {error}".removesuffix(": ")
