"""An SMTP server that keeps what it receives, and fails as it is told to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP


@dataclass
class Catcher:
    """`answers` are given in place of 250: `{"RCPT": "550 no such user"}`."""

    port: int = 0
    tls: ssl.SSLContext | None = None
    messages: list[EmailMessage] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    first_answers: dict[str, str | None] = field(default_factory=dict)
    """The same, once; nothing is said if it is empty, and with None the connection is closed."""
    held: set[str] = field(default_factory=set)
    """For whom nothing is taken until `may_answer` is set; the others need not wait for it then."""
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared, mail is received, and its sender is not told so."""

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=off"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 tests\r\n")
        while line := (await reader.readline()).decode().strip():
            self.commands.append(line)
            verb = line.split()[0].upper()
            if verb == "RCPT" and self._is_held(line):
                await self.may_answer.wait()
            answers = [*self._answer(verb)]
            for answer in filter(None, answers):
                writer.write(f"{answer}\r\n".encode(errors="surrogateescape"))
            if verb == "QUIT" or None in answers:
                return
            if verb == "STARTTLS" and self.tls:
                await writer.start_tls(self.tls)
            if answers == ["354 go on"]:
                data = await reader.readuntil(b"\r\n.\r\n")
                self.messages.append(parse(data))
                if not self.held:
                    await self.may_answer.wait()
                writer.write(b"250 taken\r\n")
            await writer.drain()

    def _is_held(self, line: str) -> bool:
        return any(f"<{each}>" in line for each in self.held)

    def _answer(self, verb: str) -> Iterator[str | None]:
        if verb in self.first_answers:
            yield self.first_answers.pop(verb)
        elif verb in self.answers:
            yield self.answers[verb]
        elif verb == "EHLO":
            yield "250-tests"
            if self.tls:
                yield "250-STARTTLS"
            yield "250 AUTH PLAIN"
        else:
            usual = {"STARTTLS": "220 go on", "DATA": "354 go on", "QUIT": "221 bye"}
            yield usual.get(verb, "235 welcome" if verb == "AUTH" else "250 fine")


def parse(data: bytes) -> EmailMessage:
    lines = data.removesuffix(b".\r\n").split(b"\r\n")
    unstuffed = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
    message = message_from_bytes(unstuffed, policy=SMTP)
    assert isinstance(message, EmailMessage)
    return message


def read_text(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    text: str = part.get_content()
    return text.replace("\r\n", "\n")


@asynccontextmanager
async def running_smtp_server(
    port: int = 0, tls: ssl.SSLContext | None = None, *, implicit: bool = False
) -> AsyncIterator[Catcher]:
    """Listen until the block ends; with `tls` behind STARTTLS, or from the start."""
    server = Catcher(tls=tls)
    server.may_answer.set()
    listening = await asyncio.start_server(
        server.serve, "127.0.0.1", port, ssl=tls if implicit else None
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.may_answer.set()
        listening.close()
