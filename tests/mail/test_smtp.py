import ssl
import subprocess
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from app.mail.outlet import Console, MailDeferred, MailRefused, ServerUnusable
from app.mail.smtp import SMTPOutlet, SMTPServer
from tests.smtp_server import Catcher, read_text, running_smtp_server


@pytest.fixture
def message() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Marble shop <no-reply@example.com>"
    message["To"] = "ada@example.com"
    message["Subject"] = "Set a new password"
    message.set_content("Hello\n.\numl_code\n")
    message.add_alternative("<p>Hello</p>", subtype="html")
    return message


@pytest.fixture
def certify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ssl.SSLContext]:
    """Make a certificate for a name, which is trusted unless the test says otherwise."""

    def certify(name: str, *, trusted: bool = True) -> ssl.SSLContext:
        certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        about = ["-nodes", "-days", "1", "-subj", "/CN=tests", "-addext", f"subjectAltName={name}"]
        paths = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*new, *about, *paths], check=True, capture_output=True)
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        return context

    return certify


async def send(server: Catcher, scheme: str, message: EmailMessage, user: str = "") -> None:
    outlet = SMTPOutlet(SMTPServer.parse(f"{scheme}://{user}127.0.0.1:{server.port}"))
    try:
        await outlet.send(message)
    finally:
        await outlet.close()


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_asvs_12_3_1_mail_goes_through_tls(
    certify: Callable[..., ssl.SSLContext], message: EmailMessage, scheme: str
) -> None:
    tls = certify("IP:127.0.0.1")
    async with running_smtp_server(tls=tls, implicit=scheme == "smtps") as server:
        await send(server, scheme, message, user="ada:secret@")
    (received,) = server.messages
    assert read_text(received) == "Hello\n.\numl_code\n"
    login = server.commands.index("STARTTLS") if scheme == "smtp" else 0
    assert any(each.startswith("AUTH ") for each in server.commands[login:])
    assert not any(each.startswith("AUTH ") for each in server.commands[:login])


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize(
    ("name", "trusted"), [("IP:127.0.0.1", False), ("DNS:another.example.com", True)]
)
async def test_asvs_12_3_1_certificate_must_be_trusted_and_the_servers(
    certify: Callable[..., ssl.SSLContext],
    message: EmailMessage,
    scheme: str,
    *,
    name: str,
    trusted: bool,
) -> None:
    tls = certify(name, trusted=trusted)
    async with running_smtp_server(tls=tls, implicit=scheme == "smtps") as server:
        with pytest.raises(ServerUnusable, match="certificate verify failed"):
            await send(server, scheme, message)
    assert server.messages == []


async def test_asvs_12_3_1_server_without_starttls_gets_nothing(message: EmailMessage) -> None:
    async with running_smtp_server() as server:
        with pytest.raises(ServerUnusable, match="STARTTLS"):
            await send(server, "smtp", message, user="ada:secret@")
    assert {command.split()[0] for command in server.commands} <= {"EHLO", "QUIT"}


@pytest.mark.parametrize(
    ("verb", "answer", "error"),
    [
        ("RCPT", "550 unknown", MailRefused),
        ("RCPT", "450 busy", MailDeferred),
        ("DATA", "554 no", MailRefused),
        ("DATA", "451 busy", MailDeferred),
        ("MAIL", "530 sign in first", ServerUnusable),
        ("MAIL", "550 not from you", MailDeferred),  # ours to mend; the mail is not at fault
        ("EHLO", "421 closing", ServerUnusable),
    ],
)
async def test_smtp_outlet_tells_errors_apart(
    message: EmailMessage, verb: str, answer: str, error: type[Exception]
) -> None:
    async with running_smtp_server() as server:
        server.answers |= {verb: answer, "HELO": answer}
        outlet = SMTPOutlet(SMTPServer.parse(server.url))
        with pytest.raises(error, match=f"^{answer}$"):
            await outlet.send(message)
        server.answers.clear()
        await outlet.send(message)
        await outlet.close()
    assert len(server.messages) == 1


async def test_smtp_outlet_says_that_nobody_listens(message: EmailMessage) -> None:
    async with running_smtp_server() as server:
        pass
    outlet = SMTPOutlet(SMTPServer.parse(server.url))
    with pytest.raises(ServerUnusable, match="SMTPConnectError"):
        await outlet.send(message)


async def test_smtp_outlet_waits_for_a_bounded_time(
    message: EmailMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.mail.smtp.SEND_TIMEOUT", 0.1)
    async with running_smtp_server() as server:
        server.may_answer.clear()
        outlet = SMTPOutlet(SMTPServer.parse(server.url))
        with pytest.raises(MailDeferred, match="TimeoutError"):  # the next mail may go through
            await outlet.send(message)
        server.may_answer.set()
        await outlet.send(message)
        await outlet.close()
    assert server.connections == 2


async def test_console_prints_what_is_read(
    message: EmailMessage, capsys: pytest.CaptureFixture[str]
) -> None:
    await Console().send(message)
    printed = capsys.readouterr().out.splitlines()
    assert printed[1:3] == ["  | To: ada@example.com", "  | Subject: Set a new password"]
    assert "  | uml_code" in printed
    assert "<p>" not in "".join(printed)


def test_mail_errors_are_one_line_without_a_token() -> None:
    error = MailRefused(f"550 no\r\n\x1b[31muml_{'x' * 43}")
    assert str(error) == "550 no [31muml_..."
