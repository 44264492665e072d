"""The pending revisions, tried on a copy of a database: what they lock, and for how long.

`python -m alembic_online.rehearse URL` runs them up, down and up again. The database itself is only
read.
"""

from collections.abc import Callable, Iterator

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL

from alembic_online.environment import WATCH
from alembic_online.rehearse.statements import Statement
from alembic_online.rehearse.watch import Watch

Run = tuple[str, list[Statement]]  # such as "upgrade 3f2a", and what it has executed


def rehearse(config: Config, copy: URL) -> Iterator[Run]:
    """Run what is pending up, down and up again on a database that nobody else uses."""
    config.attributes[WATCH] = watch = Watch(copy)
    script = ScriptDirectory.from_config(config)
    before, (head,) = _current(config, script, watch), script.get_heads()
    if before == head:
        return
    ways: tuple[tuple[str, Callable[[Config, str], None], str], ...] = (
        ("upgrade", command.upgrade, head),
        ("downgrade", command.downgrade, before or "base"),
        ("upgrade again", command.upgrade, head),
    )
    for way, run, revision in ways:
        try:
            run(config, revision)
        finally:  # what failed has been watched too
            for name, statements in watch.take():
                yield f"{way} {name}", statements


def _current(config: Config, script: ScriptDirectory, watch: Watch) -> str | None:
    """Ask where the copy is, which also shows whether env.py can be led to it."""
    heads: list[str] = []

    def look(_: object, context: MigrationContext) -> list[object]:
        heads.extend(context.get_current_heads())
        watch.version_table = context.version_table
        return []

    with EnvironmentContext(config, script, fn=look):
        script.run_env()
    if not watch.connected:
        raise CommandError(
            "env.py has not called alembic_online.run() with an engine: it cannot be led to a copy"
        )
    if len(heads) > 1 or len(script.get_heads()) != 1:
        raise CommandError("a rehearsal needs revisions in one line, without branches")
    return heads[0] if heads else None
