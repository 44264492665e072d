"""The revisions that one command has to run, whatever number of tries it takes."""

from collections.abc import Callable, Iterable, Iterator

from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.util import CommandError

from alembic_online.upgrade.interruption import Interrupted
from alembic_online.upgrade.journal import Journal
from alembic_online.upgrade.waiting import log

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
            found = self._journal.read()
            if found:
                log.warning("the %s was interrupted: finishing it first", found)
                if not self._begins_with(found, heads, context):
                    step = _step(found, context, heads)
                    self._journal.begin(step)
                    yield step
                    heads = context.get_current_heads()
            self._left = list(self._command(heads, context))
        while self._left:
            self._journal.begin(self._left[0])
            yield self._left[0]
            self._left.pop(0)  # here once it is committed

    def _begins_with(
        self, found: Interrupted, heads: tuple[str, ...], context: MigrationContext
    ) -> bool:
        """Tell whether the command itself begins with what an earlier run left half done.

        `downgrade -1` after a killed `downgrade -1` completes it, and undoes no second revision.
        After a killed upgrade it does not: that is finished first, and then undone.
        """
        try:
            steps = list(self._command(heads, context))
        except CommandError:  # such as a relative revision that leads nowhere from here
            return False
        return bool(steps) and str(Interrupted.of(steps[0])) == str(found)


def _step(
    interrupted: Interrupted, context: MigrationContext, heads: tuple[str, ...]
) -> RevisionStep:
    script = context.script
    if script is None:
        raise CommandError("a script directory is needed to finish a revision")
    try:
        revision = script.get_revision(interrupted.revision)
    except CommandError as error:
        raise CommandError(_without_file(interrupted, heads)) from error
    return RevisionStep(script.revision_map, revision, interrupted.direction == "upgrade")


def _without_file(interrupted: Interrupted, heads: tuple[str, ...]) -> str:
    """Say both ways out: the file comes back, or its steps are undone by hand."""
    is_upgrade = interrupted.direction == "upgrade"
    before = " ".join(heads) or "base"
    return (
        f"The {interrupted} is half done, and its file is not here: run this command"
        " from the version of the code that has it.\n"
        f"If the file was deleted for good, undo by hand what is done"
        f" ({', '.join(interrupted.done) or 'at most its first step'}), then run"
        f" `alembic stamp --purge {before if is_upgrade else 'REVISION'}`"
        + ("" if is_upgrade else " with the revision that the database is then at")
    )
