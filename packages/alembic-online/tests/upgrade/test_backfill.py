"""`op.backfill`: each row once, whatever happens on the way."""

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from alembic_online import find_unfinished
from project import Project
from upgrade.backfills import ADD, ADD_AGE, AGE, CONVERT, FILL, FILL_HOSTILE, HOSTILE, WRONG_HOSTILE
from upgrade.processes import psql, run_killed

WRONG_AGE = """SELECT count(*) FROM pet
               WHERE age <> id % 20 + CASE WHEN id > 5 OR id < 3 THEN 1 ELSE 0 END"""


def unfinished(project: Project) -> list[str]:
    with project.connect() as connection:
        return find_unfinished(connection)


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


def test_failing_row_is_named_and_the_next_run_goes_on_there(project: Project) -> None:
    project.execute("UPDATE account SET email = id")
    project.execute("UPDATE account SET email = 'many' WHERE id = 617")
    project.write_revision(f"{ADD}\n{CONVERT}\n{ADD_AGE}")
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
