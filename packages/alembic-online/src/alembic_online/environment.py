"""What env.py calls: the two halves put together, with the options that the project has itself."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Union

import sqlalchemy as sa

from alembic_online import upgrade
from alembic_online.configured import configured_engine
from alembic_online.explaining import explaining_missing_files
from alembic_online.revise import autogenerate_options
from alembic_online.upgrade import Context

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

Options = dict[str, Any]
Bind = Union[sa.Engine, sa.Connection, "AsyncEngine"]
Metadata = sa.MetaData | Sequence[sa.MetaData]

WATCH = "alembic_online.watch"  # of Config.attributes: who looks on, as a rehearsal does


def run(
    context: Context,
    bind: Bind | None = None,
    *,
    target_metadata: Metadata | None = None,
    **options: Any,
) -> None:
    """Run whatever command Alembic was given; further `options` go to `context.configure()`.

    Without an engine, the database is that of `sqlalchemy.url` in alembic.ini. With a connection in
    place of an engine, its owner decides about transactions and locks, and Alembic's plain
    statements are executed.
    """
    bind = configured_engine(context.config) if bind is None else bind
    sync: Any = getattr(bind, "sync_engine", bind)  # of an AsyncEngine
    ours = autogenerate_options(target_metadata, sync.dialect) if target_metadata else {}
    watch = context.config.attributes.get(WATCH)
    if watch is not None:
        ours["on_version_apply"] = watch.on_version_apply
    looked_on = nullcontext() if watch is None else watch.watching(sync)
    with explaining_missing_files(context.script), looked_on:
        upgrade.run(context, sync, ours | options | _joined(ours, options))


def _joined(ours: Options, given: Options) -> Options:
    """Join what both have an opinion on; all else is the project's to decide."""
    both = [name for name in _JOINS if ours.get(name) and given.get(name)]
    return {name: _JOINS[name](ours[name], given[name]) for name in both}


def _both(ours: Callable[..., bool], given: Callable[..., bool]) -> Callable[..., bool]:
    return lambda *arguments: ours(*arguments) and given(*arguments)


def _theirs_or_ours(ours: Callable[..., Any], given: Callable[..., Any]) -> Callable[..., Any]:
    """Render an item; False leaves it to the next."""

    def render(*arguments: Any) -> Any:
        rendered = given(*arguments)
        return ours(*arguments) if rendered is False else rendered

    return render


def _in_turn(ours: Callable[..., None], given: Callable[..., None]) -> Callable[..., None]:
    """Give the project's hook what is left of a revision once it was reviewed."""

    def process(context: Any, revision: Any, directives: list[Any]) -> None:
        ours(context, revision, directives)
        if directives:
            given(context, revision, directives)

    return process


def _one_after_the_other(ours: Callable[..., None], given: Any) -> tuple[Callable[..., None], ...]:
    return (*(given if isinstance(given, Iterable) else (given,)), ours)


def _all(ours: Iterable[str], given: Iterable[str]) -> list[str]:
    return [*dict.fromkeys([*given, *ours])]


_JOINS: dict[str, Callable[[Any, Any], Any]] = {
    "autogenerate_plugins": _all,
    "include_name": _both,
    "on_version_apply": _one_after_the_other,
    "process_revision_directives": _in_turn,
    "render_item": _theirs_or_ours,
}
