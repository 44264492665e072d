"""What the owner of the service does beside it: accounts, demo data, old rows, a mail to try."""

import asyncio
import secrets
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import partial
from typing import Annotated

import typer
from pydantic import Secret, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.passwords import PasswordHasher
from app.auth.schemas import SignUp
from app.auth.service import sign_up
from app.cli.opening import UsageError, migrated_database, run_with_database, transact
from app.cli.seed import seed as add_demo_data
from app.mail.letters import Letter
from app.mail.outlet import Outlet
from app.parts import (
    ACCOUNT_COMMANDS,
    COMMAND_WITNESSES,
    PURGE_COMMANDS,
    AccountCommand,
    PurgeCommand,
    create_composer,
    create_gate,
    create_hasher,
    create_outlet,
)
from app.settings import Settings, read_settings
from app.web.schemas import find_canonical_email

commands = typer.Typer()


@commands.command()
def create_superuser(
    email: str,
    field: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A field of sign-up.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Add a superuser; asks for the password, and for whatever else sign-up requires."""
    given = {"email": email} | dict(map(_split, field or ()))
    if password_stdin:
        given["password"] = sys.stdin.readline().rstrip("\n")
    data = _read_account(given if password_stdin else given | dict(_ask_for_missing(given)))
    settings = read_settings()
    with migrated_database(settings) as url:
        hasher = create_hasher(settings)
        transact(url, settings, partial(_sign_up_superuser, hasher=hasher, data=data))
    typer.echo(f"{data.email} is a superuser")


def _split(field: str) -> tuple[str, str]:
    name, equals, value = field.partition("=")
    if not equals:
        raise UsageError(f"--field {field}: it looks like --field full_name=Ada")
    return name, value


def _ask_for_missing(given: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Ask for what sign-up requires; a password twice, and unseen."""
    for name, field in SignUp.model_fields.items():
        if field.is_required() and name not in given:
            secret = name == "password"
            label = name.replace("_", " ").capitalize()
            yield name, typer.prompt(label, hide_input=secret, confirmation_prompt=secret)


def _read_account(given: dict[str, str]) -> SignUp:
    try:
        return SignUp.model_validate_strings(given)
    except ValidationError as error:
        wrong = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
        raise UsageError(wrong) from None


async def _sign_up_superuser(
    session: AsyncSession, *, hasher: PasswordHasher, data: SignUp
) -> None:
    user = await sign_up(session, hasher, data)
    user.is_superuser = True
    await _tell_witnesses(session, "create-superuser", data.email)


async def _tell_witnesses(session: AsyncSession, command: str, address: str) -> None:
    for tell in COMMAND_WITNESSES:
        await tell(session, command, address)


@commands.command()
def seed(
    users: Annotated[int, typer.Option(min=1)] = 100,
    items_per_user: Annotated[int, typer.Option(min=0)] = 20,
) -> None:
    """Add demo users with items, and print how to sign in as one of them."""
    settings = read_settings()
    if settings.environment == "production":
        raise UsageError("demo data is not for production")
    password = secrets.token_urlsafe(16)
    hashing = create_hasher(settings).hash_new(Secret(password), field="password", about=())
    hashed_password = asyncio.run(hashing)
    with migrated_database(settings) as url:
        emails = add_demo_data(
            url, users=users, items_per_user=items_per_user, hashed_password=hashed_password
        )
        with typer.progressbar(emails, length=users, label="Users") as stored:
            email = [*stored][-1]
    typer.echo(
        f"{users} users with {items_per_user} items each; sign in as {email} with {password}"
    )


@commands.command()
def send_test_mail(email: str) -> None:
    """Hand a mail to the mail server now, past the outbox, and say what it answers."""
    settings = read_settings()
    to = find_canonical_email(email)
    if to is None:
        raise UsageError(f"{email} is no address")
    now = datetime.now(UTC)
    message = create_composer(settings).compose(
        Letter("test", to, {}), id_=uuid.uuid4(), happened_at=now, sent_at=now
    )
    outlet = create_outlet(settings)
    asyncio.run(_hand_over(outlet, message))
    server = settings.smtp_server
    typer.echo(f"{server.host} has taken it" if server else "printed, since SMTP_URL is not set")


async def _hand_over(outlet: Outlet, message: EmailMessage) -> None:
    try:
        await outlet.send(message)
    finally:
        await outlet.close()


def _add_account_command(name: str, work: AccountCommand) -> None:
    async def administer(session: AsyncSession, *, settings: Settings, address: str) -> None:
        await work(session, create_gate(settings), address)
        await _tell_witnesses(session, name, address)

    def command(email: str) -> None:
        settings = read_settings()
        address = find_canonical_email(email) or email
        with migrated_database(settings) as url:
            transact(url, settings, partial(administer, settings=settings, address=address))
        typer.echo(f"{address}: done")

    commands.command(name, help=_first_line(work.__doc__))(command)


def _add_purge_command(name: str, purge: PurgeCommand) -> None:
    def command(days: Annotated[int, typer.Argument(min=1, max=36500)]) -> None:
        settings = read_settings()
        with migrated_database(settings) as url:
            deleted = run_with_database(url, settings, lambda database: purge(database, days))
        typer.echo(f"{deleted} deleted")

    commands.command(name, help=_first_line(purge.__doc__))(command)


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]


for each in ACCOUNT_COMMANDS.items():
    _add_account_command(*each)
for each_purge in PURGE_COMMANDS.items():
    _add_purge_command(*each_purge)
