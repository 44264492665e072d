"""All that env.py does: one runner at a time, short lock waits, new tries from where it stopped."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from alembic.runtime.environment import EnvironmentContext
from alembic.util import CommandError
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from migration.online.upgrade.directives import OPTION, register
from migration.online.upgrade.enums import make_rerunnable
from migration.online.upgrade.journal import Journal
from migration.online.upgrade.patience import Patience
from migration.online.upgrade.refusal import RowsRefuseError
from migration.online.upgrade.session import (
    offline_settings,
    settle_search_path,
    settle_session,
)
from migration.online.upgrade.step import Run
from migration.online.upgrade.steps import Steps
from migration.online.upgrade.turn import offline_turn, take_turn

Context = EnvironmentContext | ModuleType  # `alembic.context` is a module that acts as one

register()


def run(context: Context, bind: sa.Engine | sa.Connection, **options: Any) -> None:
    """Run whatever command Alembic was given; `options` go to `context.configure()`.

    With a connection instead of an engine, its owner decides about transactions and locks, and
    Alembic's plain statements are executed.
    """
    if context.is_offline_mode():
        _write_sql(context, bind.engine, options)
    elif isinstance(bind, sa.Connection):
        _run_plainly(context, bind, options)
    else:
        with bind.connect() as connection:
            if connection.dialect.name == "postgresql":
                try:
                    _run_online(context, connection, options)
                finally:  # its settings and its advisory lock must not get into a pool
                    connection.invalidate()
            else:
                _run_plainly(context, connection, options)


def _run_plainly(context: Context, connection: sa.Connection, options: dict[str, Any]) -> None:
    context.configure(connection=connection, transaction_per_migration=True, **options)
    with context.begin_transaction():
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
        "fn": Steps(command.opts["fn"], journal),
        "on_version_apply": (*command.on_version_apply_callbacks, journal.end),
    }
    with _explained(connection, journal):
        take_turn(connection, command)
        context.configure(connection=connection, transaction_per_migration=True, **options)
        _try_until_done(context, connection, options[OPTION])


def _try_until_done(context: Context, connection: sa.Connection, run: Run) -> None:
    patience = Patience()
    while True:
        try:
            with context.begin_transaction():
                context.run_migrations()
        except OperationalError as error:
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
            f"The connection to the database was lost ({error.__cause__ or error}).\n"
            "Run the command again: it goes on from where it stopped."
        ) from error


def _write_sql(context: Context, engine: sa.Engine, options: dict[str, Any]) -> None:
    on_postgresql = engine.dialect.name == "postgresql"
    context.configure(
        url=engine.url,
        dialect_opts={"paramstyle": "named"},  # a percent sign stays one
        literal_binds=True,
        transaction_per_migration=True,
        **(options | ({OPTION: Run()} if on_postgresql else {})),
    )
    with context.begin_transaction():
        if on_postgresql:
            context.static_output("-- Stop at the first error: psql -v ON_ERROR_STOP=1 -f ...")
            for statement in offline_settings():
                context.execute(statement)
            context.execute(offline_turn(context.get_context()))
        context.run_migrations()


@contextmanager
def _unlogged() -> Iterator[None]:
    """Let Alembic announce its context once, though it takes two to learn what was asked of it."""
    log = logging.getLogger("alembic.runtime.migration")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
