"""The `app` command: run the service, and what its owner does beside it."""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import psycopg
import typer
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from pydantic import Secret, ValidationError
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.authorization import list_access
from app.auth.passwords import PasswordHasher
from app.auth.schemas import SignUp
from app.auth.service import sign_up
from app.database.diagram import draw_schema
from app.database.embedded import EmbeddedServerError
from app.database.tables import ModelError, load_models
from app.database.transactions import Database
from app.database.url import DatabaseURLError, database_url, require_postgresql
from app.greeting import describe_first_steps, describe_service
from app.main import create_app
from app.observability.logging import configure_logging
from app.parts import (
    ACCOUNT_COMMANDS,
    COMMAND_WITNESSES,
    PURGE_COMMANDS,
    AccountCommand,
    PurgeCommand,
    create_database,
    create_gate,
    create_hasher,
    create_mail_worker,
    read_revisions,
)
from app.seed import seed as add_demo_data
from app.settings import PROJECT, Settings, SettingsError, read_settings
from app.web.errors import ServiceError
from app.web.health import check_revision
from app.web.schemas import find_canonical_email
from app.web.server import PortTakenError, check_port, serve

_LOOPBACK = {"127.0.0.1", "localhost"}


class UsageError(Exception):
    """The command cannot do what was asked of it."""


cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run a command; what its user can mend is said in a line, without a traceback."""
    # As the first process of a container, it would not get a signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        cli()
    except (CommandError, DatabaseURLError, EmbeddedServerError) as error:
        sys.exit(f"app: {error}")
    except (ModelError, PortTakenError, ServiceError, SettingsError, UsageError) as error:
        sys.exit(f"app: {error}")
    except (DBAPIError, psycopg.Error) as error:
        sys.exit(f"app: the database cannot be used: {getattr(error, 'orig', error)}")


@cli.command()
def run(
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    reload: Annotated[bool, typer.Option("--reload", help="Restart on a code change.")] = False,
    workers: Annotated[
        int, typer.Option(min=1, envvar="WEB_CONCURRENCY", help="Processes that serve.")
    ] = 1,
    migrate: Annotated[bool, typer.Option(help="Upgrade the database first.")] = True,
) -> None:
    """Serve the API."""
    settings = read_settings()
    check_port(host, port)
    if settings.metrics_port:
        check_port(host, settings.metrics_port)
    configure_logging(as_json=settings.in_production, level=settings.log_level)
    with _database(settings) as url:
        # The server's own processes, and Alembic, shall use this database and start no other.
        os.environ["DATABASE_URL"] = url.render_as_string(hide_password=False)
        if "public_url" not in settings.model_fields_set and host in _LOOPBACK and port:
            os.environ["PUBLIC_URL"] = f"http://{host}:{port}"  # where the links in mail lead
        if migrate:
            config = Config()  # without alembic.ini, which would set up logging anew
            config.set_main_option("script_location", str(PROJECT / "migration").replace("%", "%%"))
            command.upgrade(config, "head")
        _check_revision(url, settings)
        given = "public_url" in settings.model_fields_set
        address = settings.public_url if given else f"http://{host}:{port}"
        typer.echo("\n".join(describe_service(url, address, docs=settings.serves_docs)))
        if not settings.in_production:
            mail_host = settings.smtp_server and settings.smtp_server.host
            typer.echo("\n".join(describe_first_steps(address, mail_host)))
        metrics_port = settings.metrics_port
        serve(host, port, reload=reload, workers=workers, metrics_port=metrics_port)


@cli.command()
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
    with _migrated_database(settings) as url:
        _transact(url, partial(_sign_up_superuser, hasher=create_hasher(settings), data=data))
    typer.echo(f"{data.email} is a superuser")


@cli.command()
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
    with _migrated_database(settings) as url:
        emails = add_demo_data(
            url, users=users, items_per_user=items_per_user, hashed_password=hashed_password
        )
        with typer.progressbar(emails, length=users, label="Users") as stored:
            email = [*stored][-1]
    typer.echo(
        f"{users} users with {items_per_user} items each; sign in as {email} with {password}"
    )


def _add_account_command(name: str, work: AccountCommand) -> None:
    async def administer(session: AsyncSession, *, settings: Settings, address: str) -> None:
        await work(session, create_gate(settings), address)
        await _tell_witnesses(session, name, address)

    def command(email: str) -> None:
        settings = read_settings()
        address = find_canonical_email(email) or email
        with _migrated_database(settings) as url:
            _transact(url, partial(administer, settings=settings, address=address))
        typer.echo(f"{address}: done")

    cli.command(name, help=(work.__doc__ or "").partition("\n")[0])(command)


for each in ACCOUNT_COMMANDS.items():
    _add_account_command(*each)


def _add_purge_command(name: str, purge: PurgeCommand) -> None:
    def command(days: Annotated[int, typer.Argument(min=1, max=36500)]) -> None:
        settings = read_settings()
        with _migrated_database(settings) as url:
            deleted = asyncio.run(_purge(url, settings, lambda database: purge(database, days)))
        typer.echo(f"{deleted} deleted")

    cli.command(name, help=(purge.__doc__ or "").partition("\n")[0])(command)


for each_purge in PURGE_COMMANDS.items():
    _add_purge_command(*each_purge)


@cli.command()
def worker() -> None:
    """Send the mail that is due, until told to stop; for MAIL_WORKER=false."""
    settings = read_settings()
    configure_logging(as_json=settings.in_production, level=settings.log_level)
    with _migrated_database(settings) as url:
        asyncio.run(_work(url, settings))


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    typer.echo(json.dumps(create_app().openapi(), indent=2))


@cli.command()
def routes() -> None:
    """Print who may call which route."""
    for access in list_access(create_app()):
        typer.echo(f"{access.method:7} {access.path:40} {access.audience}")


@cli.command()
def schema() -> None:
    """Print the tables as a Mermaid diagram."""
    typer.echo(draw_schema(load_models()))


@contextmanager
def _database(settings: Settings) -> Iterator[URL]:
    with database_url(settings.given_database_url) as url:
        require_postgresql(url)
        yield url


@contextmanager
def _migrated_database(settings: Settings) -> Iterator[URL]:
    with _database(settings) as url:
        _check_revision(url, settings)
        yield url


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


def _check_revision(url: URL, settings: Settings) -> None:
    newer = settings.newer_database
    _transact(url, partial(check_revision, revisions=read_revisions(), newer=newer))


def _transact(url: URL, work: Callable[[AsyncSession], Awaitable[None]]) -> None:
    async def transact() -> None:
        database = Database(url, pool_size=1)
        try:
            await database.transact(work)
        finally:
            await database.dispose()

    asyncio.run(transact())


async def _purge(url: URL, settings: Settings, purge: Callable[[Database], Awaitable[int]]) -> int:
    database = create_database(url, settings, pool_size=1)
    try:
        return await purge(database)
    finally:
        await database.dispose()


async def _tell_witnesses(session: AsyncSession, command: str, address: str) -> None:
    for tell in COMMAND_WITNESSES:
        await tell(session, command, address)


async def _work(url: URL, settings: Settings) -> None:
    database = create_database(url, settings, pool_size=3)  # two to send, one to tidy up
    worker = create_mail_worker(settings, database)
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, worker.stop)
    typer.echo("Sending mail")
    try:
        await worker.run()
    finally:
        await database.dispose()


async def _sign_up_superuser(
    session: AsyncSession, *, hasher: PasswordHasher, data: SignUp
) -> None:
    user = await sign_up(session, hasher, data)
    user.is_superuser = True
    await _tell_witnesses(session, "create-superuser", data.email)
