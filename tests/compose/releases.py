"""docs/operations.md: upgrades under load, the way back, and a release that does not start."""

from tests.compose.load import without_failure
from tests.compose.stack import CheckError, Stack, step

_REVISION = '''"""{doc}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{parent}"
branch_labels = None
depends_on = None
phase = "{phase}"


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
'''
_ADD, _DROP = (
    'op.add_column("item", sa.Column("{}", sa.String(20), nullable=True))',
    'op.drop_column("item", "{}")',
)


def check_releases(stack: Stack, token: str) -> None:
    head = _check_upgrade(stack, token)
    _check_broken_release(stack, token)
    _check_way_back(stack, token, head)


def _check_upgrade(stack: Stack, token: str) -> str:
    with step("a release with a migration is built"):
        head = _write_revisions(stack)
        stack.compose("build", "--quiet", "app", RELEASE="2")
    with step("rolled out under load, the contraction last"), without_failure(stack, token):
        output = stack.run("containers/deploy", RELEASE="2")
    if "stopped before c0ffee000003" not in output or _read_revision(stack) != "c0ffee000003":
        raise CheckError(output)
    _require_release(stack, "2")
    with step("bad: the release before does not start on the newer database"):
        because = "which this release does not know"
        stack.refuse("run", "--rm", "--no-deps", "app", RELEASE="1", because=because)
    return head


def _write_revisions(stack: Stack) -> str:
    """Add two columns, and drop one of them once the release before is gone."""
    parent = head = _read_revision(stack)
    for number, (phase, does, column) in enumerate(
        [("expand", _ADD, "color"), ("expand", _ADD, "shade"), ("contract", _DROP, "shade")], 1
    ):
        revision = f"c0ffee{number:06}"
        undoes = _DROP if does is _ADD else _ADD
        text = _REVISION.format(
            doc=f"{phase} {column}",
            revision=revision,
            parent=parent,
            phase=phase,
            upgrade=does.format(column),
            downgrade=undoes.format(column),
        )
        path = stack.folder / "migration" / "versions" / f"2099-01-01_{revision}.py"
        path.write_text(text)
        parent = revision
    return head


def _read_revision(stack: Stack) -> str:
    return stack.sql("SELECT version_num FROM alembic_version", user="postgres").strip()


def _check_broken_release(stack: Stack, token: str) -> None:
    with step("bad: a release that does not start is removed, the one before goes on"):
        main = stack.folder / "app" / "main.py"
        source = main.read_text()
        main.write_text(source + '\nraise SystemExit("this release is broken")\n')
        stack.compose("build", "--quiet", "app", RELEASE="3")
        main.write_text(source)
        with without_failure(stack, token):
            output = stack.run("containers/deploy", RELEASE="3", expected=1)
        if "deploy: " not in output:
            raise CheckError(output)
    _require_release(stack, "2")


def _check_way_back(stack: Stack, token: str, head: str) -> None:
    with step("rolled back under load"), without_failure(stack, token):
        stack.run("containers/deploy", RELEASE="1", NEWER_DATABASE="true")
    _require_release(stack, "1")
    with step("the newer release takes its revisions back"):
        stack.compose("run", "--rm", "migrate", "alembic", "downgrade", head, RELEASE="2")
        stack.wait_for_status("/healthz", 200)
    with step("processes end by themselves when told to"):
        stack.compose("stop", "app")
        codes = stack.compose("ps", "--all", "--format", "{{.ExitCode}}", "app").split()
        if {*codes} != {"0"}:  # 137 had to be killed
            raise CheckError(f"the processes ended with {codes}")
    with step("the release before serves"):
        stack.compose("stop", "proxy")  # or it is found unhealthy before it sees them again
        stack.up()


def _require_release(stack: Stack, release: str) -> None:
    format_ = ("--format", "{{.Image}} {{.State}}")
    found = sorted(stack.compose("ps", *format_, "app").splitlines())
    if found != [f"{stack.project}:{release} running"] * 2:
        raise CheckError(f"there run: {found}")
