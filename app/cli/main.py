"""The `app` command: run the service, and what its owner does beside it."""

import asyncio
import json
import os
import signal
import sys
from functools import partial
from typing import Annotated

import psycopg
import typer
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from app.auth.authorization import list_access
from app.cli.commands import commands
from app.cli.greeting import describe_first_steps, describe_service
from app.cli.opening import (
    UsageError,
    any_database,
    migrated_database,
    require_revision,
    run_with_database,
)
from app.database.diagram import draw_schema
from app.database.embedded import EmbeddedServerError
from app.database.tables import ModelError, load_models
from app.database.transactions import Database
from app.database.url import DatabaseURLError
from app.mail.outlet import MailError
from app.main import create_app
from app.observability.logging import configure_logging
from app.parts import create_mail_worker
from app.settings import PROJECT, Settings, SettingsError, read_settings
from app.web.errors import ServiceError
from app.web.server import PortTakenError, check_port, serve

_LOOPBACK = {"127.0.0.1", "localhost"}


cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
cli.add_typer(commands)


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
    except MailError as error:
        sys.exit(f"app: the mail was not taken: {error}")
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
    with any_database(settings) as url:
        # The server's own processes, and Alembic, shall use this database and start no other.
        os.environ["DATABASE_URL"] = url.render_as_string(hide_password=False)
        if "public_url" not in settings.model_fields_set and host in _LOOPBACK and port:
            os.environ["PUBLIC_URL"] = f"http://{host}:{port}"  # where the links in mail lead
        if migrate:
            config = Config()  # without alembic.ini, which would set up logging anew
            config.set_main_option("script_location", str(PROJECT / "migration").replace("%", "%%"))
            command.upgrade(config, "head")
        require_revision(url, settings)
        given = "public_url" in settings.model_fields_set
        address = settings.public_url if given else f"http://{host}:{port}"
        typer.echo("\n".join(describe_service(url, address, docs=settings.serves_docs)))
        if not settings.in_production:
            mail_host = settings.smtp_server and settings.smtp_server.host
            typer.echo("\n".join(describe_first_steps(address, mail_host)))
        metrics_port = settings.metrics_port
        serve(host, port, reload=reload, workers=workers, metrics_port=metrics_port)


@cli.command()
def worker() -> None:
    """Send the mail that is due, until told to stop; for MAIL_WORKER=false."""
    settings = read_settings()
    configure_logging(as_json=settings.in_production, level=settings.log_level)
    with migrated_database(settings) as url:
        # Two connections to send, one to tidy up.
        run_with_database(url, settings, partial(_work, settings=settings), pool_size=3)


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


async def _work(database: Database, settings: Settings) -> None:
    worker = create_mail_worker(settings, database)
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, worker.stop)
    typer.echo("Sending mail")
    await worker.run()
