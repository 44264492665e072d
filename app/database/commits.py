"""Whether something was committed since a try began: then it is not run again."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_commits: ContextVar[list[None] | None] = ContextVar("commits", default=None)


def note() -> None:
    """Note that something is kept, by whatever session or connection of the try."""
    if (commits := _commits.get()) is not None:
        commits.append(None)


@contextmanager
def counting() -> Iterator[list[None]]:
    """Count those of the block; whoever counts around it is told of them when it ends."""
    mine: list[None] = []
    token = _commits.set(mine)
    try:
        yield mine
    finally:
        _commits.reset(token)
        for _ in mine:
            note()


@contextmanager
def uncounted() -> Iterator[None]:
    """Let what is committed in the block not count: it has kept nothing, or has failed."""
    token = _commits.set(None)
    try:
        yield
    finally:
        _commits.reset(token)
