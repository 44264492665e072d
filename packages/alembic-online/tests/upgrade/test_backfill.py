"""`op.backfill`: each row once, whatever happens on the way."""

import logging
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import render_python_code
from alembic.operations import ops
from alembic.util import CommandError

from alembic_online import find_unfinished
from alembic_online.upgrade.backfill import BackfillOp
from project import DRIVER, Project
from server import running_pair
from upgrade.conftest import ENV, TABLES
from upgrade.processes import psql, run_killed, start_alembic
from upgrade.test_run import log_of, transaction, wait_until

ADD = 'op.add_column("account", sa.Column("size", sa.Integer))'
FILL = 'op.backfill("account", {"size": sa.text("length(email)")}, batch=300, pause=0)'
# What would show a row that is filled twice; OR has to stay in its brackets.
AGE = """op.backfill("pet", {"age": sa.text("age + 1")}, where=sa.text("id > 5 OR id < 3"),
                     batch=1000, pause=0)"""
ADD_AGE = AGE.replace("pet", "account").replace("age", "size")
WRONG_AGE = """SELECT count(*) FROM pet
               WHERE age <> id % 20 + CASE WHEN id > 5 OR id < 3 THEN 1 ELSE 0 END"""
# Names and keys that have to be written with care.
HOSTILE = """
    CREATE TABLE "a ""%% :b" ("K %%s" char(3), ":k" timestamptz, "C%%" text, old text,
                              PRIMARY KEY (":k", "K %%s"));
    INSERT INTO "a ""%% :b" (":k", "K %%s", old)
        SELECT timestamptz '2026-01-01' + i / 40 * interval '1.1 s', mod(i, 40), i || ':x%%'
        FROM generate_series(0, 999) AS i
"""
FILL_HOSTILE = r"""
op.backfill('a "% :b', {"C%": sa.text("old || '\\:x%' || :y").bindparams(y=":z%'")}, batch=170,
            pause=0, where=sa.text("old LIKE '%x\\%'"))
"""
WRONG_HOSTILE = r"""
    SELECT count(*) FROM "a ""% \:b" WHERE "C%" IS DISTINCT FROM old || '\:x%\:z%''' """
WRONG = "SELECT count(*) FROM account WHERE size IS NULL OR size <> length(email)"
OPEN_FOR_LONG = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND state = 'idle in transaction'
                   AND clock_timestamp() - xact_start > interval '0.2 s'"""
CALLERS = """
with create_engine(url).begin() as connection:
    run(context, connection,"""
CONVERT = 'op.backfill("account", {"size": sa.text("CAST(email AS int)")}, batch=300, pause=0)'


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def unfinished(project: Project) -> list[str]:
    with project.connect() as connection:
        return find_unfinished(connection)


def said(project: Project) -> str:
    log = log_of(project)
    return log.read_text() if log.exists() else ""


def test_killed_before_each_statement_fills_each_row_once(project: Project) -> None:
    project.write_revision(AGE)
    statement = 1
    while run_killed(project.ini, statement, "upgrade", "head"):
        project.upgrade()
        assert project.scalar(WRONG_AGE) == 0
        assert unfinished(project) == []
        project.execute("UPDATE pet SET age = id % 20")
        project.execute("UPDATE alembic_version SET version_num = 'hand0000'")
        statement += 1
    assert project.scalar(WRONG_AGE) == 0
    assert statement > 12


def test_second_time_changes_nothing(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    fill = FILL.replace("batch", 'where=sa.text("size IS NULL"), batch')
    project.write_revision(f"{ADD}\n{fill}\n{fill}")
    project.upgrade()
    assert project.scalar("SELECT count(*) FROM account WHERE size = length(email)") == 1000
    first, second = (text for text in caplog.messages if "done in" in text)
    assert first.startswith("back-filling account.size: done in 0 s, 1,000 of 1,000 rows changed")
    assert "0 of 1,000 rows changed" in second


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_any_key_is_walked_along(project: Project, driver: str) -> None:
    project.use(f"postgresql+{driver}")
    with project.connect() as connection:
        connection.exec_driver_sql(HOSTILE)
    project.write_revision(FILL_HOSTILE)
    project.upgrade()
    assert project.scalar(WRONG_HOSTILE) == 0


def test_planner_is_told_of_many_changes(project: Project) -> None:
    project.write_revision(f"{ADD}\n{FILL}")
    project.upgrade()
    known = "SELECT null_frac FROM pg_stats WHERE tablename = 'account' AND attname = 'size'"
    assert project.scalar(known) == 0


# --- rows that cannot be filled, and rows that others have


def test_failing_row_is_named_and_the_next_run_goes_on_there(project: Project) -> None:
    project.execute("UPDATE account SET email = id")
    project.execute("UPDATE account SET email = 'many' WHERE id = 617")
    project.write_revision(
        f"{ADD}\n{CONVERT}\n{AGE.replace('pet', 'account').replace('age', 'size')}"
    )
    with pytest.raises(CommandError) as refusal:
        project.upgrade()
    assert "account cannot be back-filled where id = 617" in str(refusal.value)
    assert 'invalid input syntax for type integer: "many"' in str(refusal.value)
    assert "1 earlier step(s)" in str(refusal.value)
    assert "616 rows of 'Backfill account size'" in str(refusal.value)
    assert project.scalar("SELECT count(*) FROM account WHERE size = id") == 616
    project.execute("UPDATE account SET email = '617' WHERE id = 617")
    project.execute("UPDATE account SET size = -1 WHERE id = 616")
    project.upgrade()
    assert project.scalar("SELECT size FROM account WHERE id = 616") == 0
    assert project.scalar("SELECT count(*) FROM account WHERE size = id + 1") == 996


def test_row_of_another_transaction_is_waited_for(project: Project) -> None:
    project.write_revision(ADD)
    project.upgrade()
    project.write_revision(FILL)
    with transaction(project, "UPDATE account SET name = 'x' WHERE id = 617") as other:
        process = start_alembic(project.ini, "upgrade", "head", output=log_of(project))
        wait_until(lambda: "trying again" in said(project))
        assert project.scalar("SELECT count(*) FROM account WHERE size > 0") == 616
        other.commit()
        process.join()
    assert process.exitcode == 0, said(project)
    assert "account is busy, the lock was not free within 300ms" in said(project)
    assert project.scalar(WRONG) == 0


def test_transaction_that_stays_open_is_waited_for(project: Project) -> None:
    project.write_revision(ADD)
    project.upgrade()
    project.write_revision(FILL.replace("pause=0", "max_transaction=0.2"))
    with transaction(project, "UPDATE pet SET age = 1 WHERE id = 1") as other:
        wait_until(lambda: project.scalar(OPEN_FOR_LONG))
        process = start_alembic(project.ini, "upgrade", "head", output=log_of(project))
        wait_until(lambda: "transactions are open for more than 0.2 s" in said(project))
        assert "UPDATE pet SET age = 1" in said(project)
        assert project.scalar("SELECT count(*) FROM account WHERE size > 0") == 0
        other.commit()
        process.join()
    assert process.exitcode == 0
    assert project.scalar(WRONG) == 0


def seconds_behind(project: Project) -> float:
    """Give the replica something to replay, without which no lag is measured."""
    project.execute("UPDATE pet SET age = age WHERE id = 1")
    lag = "SELECT extract(epoch FROM max(replay_lag)) FROM pg_stat_replication"
    return float(project.scalar(lag) or 0)


def test_replica_that_stands_still_is_waited_for(tmp_path: Path) -> None:
    with running_pair() as (primary, replica):
        project = Project(tmp_path, sa.make_url(primary).set(drivername=DRIVER), env=ENV)
        project.write_revision(TABLES)
        project.upgrade()
        project.write_revision(f"{ADD}\n{FILL.replace('pause=0', 'max_lag=0.2')}")
        url = replica.replace("postgresql:", f"{DRIVER}:")
        # A transaction that stays open would keep the replica from replaying what it could see.
        standby = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with standby.connect() as connection:
            connection.execute(sa.text("SELECT pg_wal_replay_pause()"))
            wait_until(lambda: seconds_behind(project) > 0.2)
            process = start_alembic(project.ini, "upgrade", "head", output=log_of(project))
            wait_until(lambda: "waiting, a replica is" in said(project))
            assert project.scalar("SELECT count(*) FROM account WHERE size IS NULL") > 0
            connection.execute(sa.text("SELECT pg_wal_replay_resume()"))
            process.join()
        standby.dispose()
        assert process.exitcode == 0, said(project)
        assert project.scalar(WRONG) == 0


@pytest.mark.parametrize("kind", ["online", "procedure"])
def test_rows_of_all_partitions_are_filled(project: Project, kind: str) -> None:
    project.execute(
        "CREATE TABLE visit (id int, day int, size int, PRIMARY KEY (day, id)) PARTITION BY"
        " LIST (day); CREATE TABLE visit_1 PARTITION OF visit FOR VALUES IN (1, 3);"
        " CREATE TABLE visit_2 PARTITION OF visit DEFAULT;"
        " INSERT INTO visit SELECT i, i % 5 FROM generate_series(1, 1000) AS i"
    )
    project.write_revision(
        'op.backfill("visit", {"size": sa.text("coalesce(size, 0) + id")}, batch=70, pause=0)'
    )
    if kind == "online":
        project.upgrade()
    else:
        assert psql(project, project.alembic("upgrade", "hand0000:head", "--sql")) == ""
    assert project.scalar("SELECT count(*) FROM visit WHERE size = id") == 1000


# --- what is refused before anything is touched


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ('"account", {"siz": sa.text("1")}', 'column "siz" of relation "account" does not exist'),
        ('"account", {"size": sa.text("lenth(email)")}', "function lenth.* does not exist"),
        ('"account", {"size": sa.text("email")}', "is of type integer but expression is of type"),
        ('"account", {"id": sa.text("id + 1")}', "id is of the primary key"),
        ('"acount", {"size": sa.text("1")}', "it has no primary key|does not exist"),
        ('"bare", {"size": sa.text("1")}', "it has no primary key to walk along"),
        ('"account", {}', "names no column"),
        ('"account", {"size": "length(email)"}', "is no SQL. Write an expression as sa.text"),
        (
            '"account", {"size": sa.text("1")}, where="size IS NULL"',
            "where: 'size IS NULL' is no SQL",
        ),
        ('"account", {"size": sa.text("1")}, batch=-5', "batch=-5"),
        ('"account", {"size": sa.text("1")}, batch=0', "batch=0"),
        ('"account", {"size": sa.text("1")}, pause=-1', "pause=-1"),
        ('"account", {"size": sa.text("1")}, max_lag="5 s"', "max_lag='5 s'"),
    ],
)
def test_mistake_is_refused_before_anything_is_touched(
    project: Project, call: str, reason: str
) -> None:
    project.execute("CREATE TABLE bare (size int)")
    project.write_revision(f"{ADD}\nop.backfill({call})")
    with pytest.raises(CommandError, match=f"op.backfill of (a|b)[a-z]*: .*({reason})"):
        project.upgrade()
    with project.connect() as connection:
        assert "size" not in {c["name"] for c in sa.inspect(connection).get_columns("account")}
    assert unfinished(project) == []


# --- other ways to run


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
