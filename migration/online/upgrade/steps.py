"""The revisions that one command has to run, whatever number of tries it takes."""

from collections.abc import Callable, Iterable, Iterator

from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.util import CommandError

from migration.online.upgrade.journal import Interrupted, Journal
from migration.online.upgrade.waiting import log

Command = Callable[[tuple[str, ...], MigrationContext], Iterable[RevisionStep]]


class Steps:
    """Called by Alembic at each try. Asks the command once: `upgrade +1` must not go on to +2."""

    def __init__(self, command: Command, journal: Journal) -> None:
        self._command, self._journal = command, journal
        self._left: list[RevisionStep] | None = None

    def __call__(self, heads: tuple[str, ...], context: MigrationContext) -> Iterator[RevisionStep]:
        if isinstance(context.opts.get("destination_rev"), tuple):  # `alembic stamp` alone
            self._journal.forget()
            yield from self._command(heads, context)
            return
        if self._left is None:
            yield from self._interrupted(context)
            self._left = list(self._command(context.get_current_heads(), context))
        while self._left:
            self._journal.begin(self._left[0])
            yield self._left[0]
            self._left.pop(0)  # here once it is committed

    def _interrupted(self, context: MigrationContext) -> Iterator[RevisionStep]:
        """Finish what an earlier run began: `downgrade -1` would undo the revision before it."""
        found = self._journal.read()
        if found is None:
            return
        log.warning("the %s was interrupted: finishing it first", found)
        step = _step(found, context)
        self._journal.begin(step)
        yield step


def _step(interrupted: Interrupted, context: MigrationContext) -> RevisionStep:
    script = context.script
    if script is None:
        raise CommandError("a script directory is needed to finish a revision")
    try:
        revision = script.get_revision(interrupted.revision)
    except CommandError as error:
        raise CommandError(
            f"The {interrupted} is half done, and its file is not here: run this command"
            " from the version of the code that has it."
        ) from error
    return RevisionStep(script.revision_map, revision, interrupted.direction == "upgrade")
