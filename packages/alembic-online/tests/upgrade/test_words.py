"""Sessions of which we may not know more than that they are there."""

import sqlalchemy as sa

from alembic_online.upgrade.waiting import lock_holders
from project import Project


def test_session_of_another_role_is_named_as_far_as_we_may_know(project: Project) -> None:
    project.execute("DROP ROLE IF EXISTS onlooker")
    project.execute("CREATE ROLE onlooker")
    engine = sa.create_engine(project.url, poolclass=sa.NullPool)
    with engine.connect() as other, engine.connect() as ours:
        other.execute(sa.text("SELECT count(*) FROM account"))
        pid = other.scalar(sa.text("SELECT pg_backend_pid()"))
        ours.execute(sa.text("SET ROLE onlooker"))
        (line,) = lock_holders(ours, ["account"])
        assert line == f"pid {pid}, of role postgres: pg_read_all_stats may see more"
        ours.execute(sa.text("RESET ROLE"))
        assert "in a transaction for 0 s: SELECT pg_backend_pid()" in lock_holders(ours, [])[0]
    project.execute("DROP ROLE onlooker")
