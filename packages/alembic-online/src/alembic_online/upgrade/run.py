"""All that env.py does: one runner at a time, short lock waits, new tries from where it stopped."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from alembic.runtime.environment import EnvironmentContext
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from alembic_online.explaining import explaining_old_database
from alembic_online.phases import in_phase
from alembic_online.postgresql import reason
from alembic_online.upgrade import sqlite
from alembic_online.upgrade.directives import OPTION, register
from alembic_online.upgrade.enums import make_rerunnable
from alembic_online.upgrade.journal import Journal
from alembic_online.upgrade.patience import Patience
from alembic_online.upgrade.refusal import RowsRefuseError, refusal_in
from alembic_online.upgrade.session import offline_settings, settle_search_path, settle_session
from alembic_online.upgrade.step import Run
from alembic_online.upgrade.steps import Steps
from alembic_online.upgrade.turn import offline_turn, take_turn

Context = EnvironmentContext | ModuleType  # `alembic.context` is a module that acts as one

register()


def run(context: Context, bind: sa.Engine | sa.Connection, options: dict[str, Any]) -> None:
    """Run whatever command Alembic was given; `options` go to `context.configure()`.

    With a connection instead of an engine, its owner decides about transactions and locks, and
    Alembic's plain statements are executed.
    """
    if context.is_offline_mode():
        _write_sql(context, bind.engine, options)
    elif isinstance(bind, sa.Connection):
        _run_plainly(context, bind, options)
    elif bind.dialect.is_async:
        asyncio.run(_run_in_loop(context, bind, options))
    else:
        with bind.connect() as connection:
            _run_owned(context, connection, options)


async def _run_in_loop(context: Context, engine: sa.Engine, options: dict[str, Any]) -> None:
    from sqlalchemy.ext.asyncio import AsyncEngine  # noqa: PLC0415  # takes a while, for few

    async with AsyncEngine(engine).connect() as connection:
        await connection.run_sync(lambda own: _run_owned(context, own, options))


def _run_owned(context: Context, connection: sa.Connection, options: dict[str, Any]) -> None:
    if connection.dialect.name == "sqlite":
        with sqlite.whole_transactions(connection):
            _run_plainly(context, connection, sqlite.OPTIONS | options)
        return
    if connection.dialect.name != "postgresql":
        _run_plainly(context, connection, options)
        return
    try:
        _run_online(context, connection, options)
    finally:  # its settings and its advisory lock must not get into a pool
        connection.invalidate()


def _run_plainly(context: Context, connection: sa.Connection, options: dict[str, Any]) -> None:
    _configure(context, connection=connection, **options)
    with explaining_old_database(context.get_context()), context.begin_transaction():
        context.run_migrations()


def _run_online(context: Context, connection: sa.Connection, options: dict[str, Any]) -> None:
    settle_session(connection)
    connection.commit()  # Alembic must find no transaction that it did not begin
    with _unlogged():
        context.configure(connection=connection, **options)
    command = context.get_context()
    settle_search_path(connection, command)
    connection.commit()
    if "destination_rev" not in command.opts:  # revision, check, current: nothing is changed
        _run_plainly(context, connection, options)
        return
    journal = Journal(connection, command.version_table, command.version_table_schema)
    make_rerunnable(connection, journal)
    options |= {
        OPTION: Run(journal),
        "fn": Steps(in_phase(context.get_x_argument(), command.opts["fn"]), journal),
        "on_version_apply": (*command.on_version_apply_callbacks, journal.end),
    }
    with _explained(connection, journal):
        take_turn(connection, command)
        with _unlogged():
            context.configure(connection=connection, transaction_per_migration=True, **options)
        _try_until_done(context, connection, options[OPTION])


def _try_until_done(context: Context, connection: sa.Connection, run: Run) -> None:
    patience = Patience()
    while True:
        try:
            with context.begin_transaction():
                context.run_migrations()
        except DBAPIError as error:
            if connection.invalidated:
                raise
            connection.rollback()
            patience.wait(error, connection, run)
        else:
            return


@contextmanager
def _explained(connection: sa.Connection, journal: Journal) -> Iterator[None]:
    """Say what state a failure leaves, where the error itself does not."""
    try:
        with _in_a_sentence():
            yield
    except RowsRefuseError as error:
        connection.rollback()
        if journal.is_untouched():
            journal.forget()
            raise
        raise CommandError(f"{error}\n{journal.summary()}") from error
    except SQLAlchemyError as error:
        if not connection.invalidated:
            if not journal.is_untouched():
                error.add_note(journal.summary())
            raise
        raise CommandError(
            f"The connection to the database was lost ({_first_said(error)}).\n"
            "Run the command again: it goes on from where it stopped."
        ) from error


def _first_said(error: BaseException) -> str:
    """Return what the database said first: what comes after it is about the lost connection."""
    first: BaseException = error
    found: BaseException | None = error
    while found is not None:
        first = found if isinstance(found, DBAPIError) else first
        found = found.__cause__ or found.__context__
    return reason(first) if isinstance(first, DBAPIError) else str(first)


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    """Say what rows do not allow without a traceback, whichever library has raised it."""
    try:
        yield
    except CommandError:
        raise
    except Exception as error:
        if refused := refusal_in(error):
            raise refused from error
        raise


def _write_sql(context: Context, engine: sa.Engine, options: dict[str, Any]) -> None:
    on_postgresql = engine.dialect.name == "postgresql"
    _configure(
        context,
        url=engine.url,
        dialect_opts={"paramstyle": "named"},  # a percent sign stays one
        literal_binds=True,
        **(options | ({OPTION: Run()} if on_postgresql else {})),
    )
    with context.begin_transaction():
        if on_postgresql:
            context.static_output("-- Stop at the first error: psql -v ON_ERROR_STOP=1 -f ...")
            for statement in offline_settings():
                context.execute(statement)
            context.execute(offline_turn(context.get_context()))
        context.run_migrations()


def _configure(context: Context, **options: Any) -> None:
    """Configure Alembic; a second time, once its command is known, for the phase that is asked."""
    with _unlogged():
        context.configure(transaction_per_migration=True, **options)
        command = in_phase(context.get_x_argument(), context.get_context().opts["fn"])
        context.configure(transaction_per_migration=True, **options | {"fn": command})


@contextmanager
def _unlogged() -> Iterator[None]:
    """Spare the reader the class that Alembic has chosen for the database, each time twice."""
    log = logging.getLogger("alembic.runtime.migration")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
