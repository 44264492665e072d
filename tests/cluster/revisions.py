"""A failover in the middle of a revision, which is run again then."""

import time
from collections.abc import Callable

from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.cluster.events import kill_leader, settle, switch_over
from tests.cluster.stage import Stage
from tests.faults.fault import Fault

_ROWS = 1_000_000
_INDEX = "ix_item_of_the_check"
_REVISION = f'''"""Index a million rows"""

from alembic import op

revision = "c1c1c1c1c1c1"
down_revision = "{{head}}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("{_INDEX}", "item", ["title", "description", "created_at"])


def downgrade() -> None:
    op.drop_index("{_INDEX}", table_name="item")
'''
_ITEMS = f"""
    INSERT INTO item (id, owner_id, title, description)
    SELECT gen_random_uuid(), "user".id, md5(n::text), md5((-n)::text)
    FROM generate_series(1, {_ROWS}) AS n, "user"
"""
_IS_BUILT = f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{_INDEX}')"


def _prepare(stage: Stage) -> None:
    """Write the rows and the revision, once."""
    versions = stage.folder / "migration" / "versions"
    path = versions / "index_of_the_check.py"
    if path.exists():
        return
    config = Config()
    config.set_main_option("script_location", str(versions.parent).replace("%", "%%"))
    head = ScriptDirectory.from_config(config).get_current_head()
    path.write_text(_REVISION.format(head=head))
    stage.query(_ITEMS)
    stage.query("ANALYZE item")
    stage.cluster.wait_until_whole()


def _interrupt(act: Callable[[Stage], float]) -> Callable[[Stage], float]:
    def inflict(stage: Stage) -> float:
        process = stage.alembic("upgrade", "head")
        leader = stage.cluster.leader
        while process.poll() is None and not leader.query(_IS_BEING_BUILT):
            time.sleep(0.02)
        instant = act(stage)
        said, _ = process.communicate(timeout=120)
        stage.require(process.returncode, f"the revision was not interrupted: {said}")
        stage.migrate("upgrade", "head")
        stage.require(stage.query(_IS_BUILT) == [(True,)], "the index is not there")
        return instant

    return inflict


_IS_BEING_BUILT = "SELECT pid FROM pg_stat_progress_create_index WHERE phase LIKE 'building%'"


def _take_back(stage: Stage) -> None:
    settle(stage)
    stage.migrate("downgrade", "-1")


REVISION_EVENTS = (
    Fault("switchover in an index build", 5, _interrupt(switch_over), _prepare, _take_back),
    Fault("kill -9 in an index build", 5, _interrupt(kill_leader), _prepare, _take_back),
)
