"""A back-fill that a hook writes, that somebody else runs as SQL, or that is one UPDATE."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import render_python_code
from alembic.operations import ops

from alembic_online.upgrade.backfill import BackfillOp
from project import Project
from upgrade.backfills import (
    ADD,
    ADD_AGE,
    CONVERT,
    FILL,
    FILL_HOSTILE,
    HOSTILE,
    WRONG,
    WRONG_HOSTILE,
)
from upgrade.conftest import ENV
from upgrade.processes import psql

CALLERS = """
with create_engine(url).begin() as connection:
    run(context, connection,"""


def test_hook_of_a_project_can_write_it_into_a_revision(project: Project) -> None:
    with project.connect() as connection:
        connection.exec_driver_sql(HOSTILE)
    operation = BackfillOp(
        'a "% :b',
        {"C%": sa.text(r"old || '\:x%' || :y").bindparams(y=":z%'")},
        where=sa.text(r"old LIKE '%x\%'"),
        max_lag=9,
    )
    written = render_python_code(ops.UpgradeOps([operation]))
    assert written.count("max_lag=9") == 1
    assert "batch" not in written
    project.write_revision(written)
    project.upgrade()
    assert project.scalar(WRONG_HOSTILE) == 0


def test_procedure_for_somebody_else_goes_on_where_it_stopped(project: Project) -> None:
    project.execute("UPDATE account SET email = id")
    project.execute("UPDATE account SET email = 'many' WHERE id = 617")
    project.write_revision(f"{ADD}\n{CONVERT}\n{ADD_AGE}")
    sql = project.alembic("upgrade", "hand0000:head", "--sql")
    said = psql(project, sql)
    assert "account cannot be back-filled where (id) = (617): invalid input syntax" in said
    assert project.scalar("SELECT count(*) FROM account WHERE size = id") == 616
    project.execute("UPDATE account SET email = '617' WHERE id = 617")
    project.execute("UPDATE account SET size = -1 WHERE id = 616")
    assert psql(project, sql[sql.index("CALL backfill_account") :]) == ""
    assert project.scalar("SELECT size FROM account WHERE id = 616") == 0
    assert project.scalar("SELECT count(*) FROM account WHERE size = id + 1") == 996
    assert project.scalar("SELECT count(*) FROM pg_proc WHERE proname LIKE 'backfill%'") == 0


def test_procedure_takes_any_key(project: Project) -> None:
    with project.connect() as connection:
        connection.exec_driver_sql(HOSTILE)
    fill = FILL_HOSTILE.replace("pause=0", "pause=0, max_lag=5, max_transaction=60")
    project.write_revision(fill)
    assert psql(project, project.alembic("upgrade", "hand0000:head", "--sql")) == ""
    assert project.scalar(WRONG_HOSTILE) == 0


@pytest.mark.parametrize("kind", ["sqlite", "caller's transaction", "new table"])
def test_one_update_where_nobody_is_in_the_way(
    project: Project, tmp_path: Path, statements: list[str], kind: str
) -> None:
    if kind == "sqlite":
        project = Project(tmp_path / "lite", sa.make_url(f"sqlite:///{tmp_path}/app.db"), env=ENV)
        project.write_revision('op.create_table("account", sa.Column("email", sa.String))')
        project.upgrade()
        project.execute("INSERT INTO account VALUES ('a@x')")
    if kind == "new table":
        project.write_revision(
            'op.create_table("fresh", sa.Column("email", sa.String), sa.Column("size", sa.Integer))'
            f"\n{FILL.replace('account', 'fresh')}"
        )
        project.upgrade()
    else:
        project.write_revision(f"{ADD}\n{FILL}")
        env = project.folder / "migration" / "env.py"
        if kind == "caller's transaction":
            env.write_text(ENV.replace("run(context, create_engine(url),", CALLERS))
        project.upgrade()
        assert project.scalar(WRONG) == 0
    assert len([sql for sql in statements if sql.startswith("UPDATE") and "size" in sql]) == 1
