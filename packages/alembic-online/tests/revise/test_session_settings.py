"""What values mean does not depend on the session that revises or upgrades."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from project import Project
from revise.conftest import USER, migrate, start, with_users
from revise.test_risks import refusal

COLUMN = {
    "clock": "dt.datetime{optional} = Field({default}sa_type=sa.DateTime)",
    "instant": "dt.datetime{optional} = Field({default}sa_type=sa.DateTime(timezone=True))",
    "date": "dt.date{optional} = Field({default})",
}
# The value in the database, and after the upgrade and downgrade; clocks are Europe/Berlin's.
CONVERSIONS = [
    ("clock", "instant", "2024-07-01T12:00:00", "2024-07-01T19:00:00+09:00", None),
    ("instant", "clock", "2024-07-01T19:00:00+09:00", "2024-07-01T12:00:00", None),
    ("date", "instant", "2024-07-01", "2024-07-01T07:00:00+09:00", None),
    ("instant", "date", "2024-07-02T02:00:00+09:00", "2024-07-01", "2024-07-01T07:00:00+09:00"),
]
AT = """SELECT to_jsonb(at) #>> '{}' FROM "user" WHERE id = 1"""


@pytest.fixture(scope="module")
def distant_database(create_database: Callable[[], sa.URL]) -> sa.URL:
    """A database whose sessions start with settings that nobody expects."""
    url = create_database()
    settings = {
        "TimeZone": "Asia/Seoul",
        "DateStyle": "SQL, DMY",
        "IntervalStyle": "sql_standard",
        "bytea_output": "escape",
        "extra_float_digits": "-5",
    }
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for name, value in settings.items():
            connection.exec_driver_sql(
                f"ALTER DATABASE {url.database} SET {name} = '{value}'",
            )
    return url


@pytest.fixture
def distant_project(tmp_path: Path, distant_database: sa.URL) -> Project:
    project = Project(tmp_path, distant_database)
    project.execute("DROP SCHEMA public CASCADE")
    project.execute("CREATE SCHEMA public")
    return with_users(project)


def model(kind: str, default: str = "None", *, optional: bool = True) -> str:
    suffix = " | None" if optional else ""
    given = f"{default}, " if default else ""
    column = COLUMN[kind].format(optional=suffix, default=given)
    return f"{USER}    at: {column}\n"


@pytest.mark.parametrize(("old", "new", "before", "after", "back"), CONVERSIONS)
def test_zone_of_the_values_is_asked(  # noqa: PLR0913, PLR0917  # a row of the table
    distant_project: Project, old: str, new: str, before: str, after: str, back: str | None
) -> None:
    project = distant_project
    migrate(project, model(old))
    project.execute(
        'UPDATE "user" SET at = CAST(:at AS timestamptz)'.replace("tz", "tz" * (old == "instant")),
        at=before,
    )
    message = refusal(project, model(new))
    assert "rewrites the whole table, which nobody can read or write meanwhile (2 rows)" in message
    assert "    -x zone=user.at:UTC" in message
    assert "is no time zone" in refusal(project, model(new), "zone=user.at:+09:00")
    revision = migrate(project, model(new), "zone=user.at:Europe/Berlin")
    assert "# BLOCKING: user.at: from " in revision
    assert revision.count("AT TIME ZONE 'Europe/Berlin'") == 2
    assert project.scalar(AT) == after
    project.downgrade()
    assert project.scalar(AT) == (back or before)


@pytest.mark.parametrize("told", [True, False], ids=["by the model", "by the database"])
def test_constant_default_is_converted_too(distant_project: Project, *, told: bool) -> None:
    project = distant_project
    default = "dt.datetime(2024, 7, 1, 12{})"
    migrate(project, model("clock", default.format(""), optional=False))
    zoned = default.format(", tzinfo=dt.UTC") if told else ""
    revision = migrate(
        project, model("instant", zoned, optional=False), "zone=user.at:UTC", "rewrite=user.at"
    )
    assert revision.count("alter_column") == 6
    insert = """INSERT INTO "user" (id, email) VALUES (:id, 'c@x')
                RETURNING to_jsonb(at) #>> '{}'"""
    assert project.scalar(insert, id=3) == "2024-07-01T21:00:00+09:00"
    project.execute('DELETE FROM "user" WHERE id = 3')
    project.downgrade()
    assert project.rows("""SELECT DISTINCT to_jsonb(at) #>> '{}' FROM "user" """) == [
        ("2024-07-01T12:00:00",)
    ]
    assert project.scalar(insert, id=3) == "2024-07-01T12:00:00"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("dt.datetime = Field(sa_type=sa.DateTime(timezone=True))", "dt.time"),
        ("dt.time", "dt.time = Field(sa_type=sa.Time(timezone=True))"),
        ("Decimal", "Decimal = Field(sa_type=postgresql.MONEY)"),
        (
            "list[dt.date] = Field(sa_type=sa.ARRAY(sa.Date))",
            "list[dt.datetime] = Field(sa_type=sa.ARRAY(sa.DateTime(timezone=True)))",
        ),
    ],
)
def test_conversion_that_depends_on_the_session_is_refused(
    empty_project: Project, before: str, after: str
) -> None:
    start(empty_project, f"{USER}    at: {before}\n")
    message = refusal(empty_project, f"{USER}    at: {after}\n")
    assert "the values would depend on settings of the session" in message


def test_hand_written_revision_reads_and_writes_values_by_fixed_settings(
    distant_project: Project,
) -> None:
    project = distant_project
    project.write_revision(
        """
        op.execute('''ALTER TABLE "user" ADD shown text, ADD at timestamptz''')
        op.execute('''UPDATE "user" SET at = '04.05.2024 12\\\\:00', shown = concat_ws(' ',
                      current_setting('lc_monetary'), current_setting('lc_numeric'),
                      current_setting('lc_time'), CAST(DATE '2024-05-04' AS text),
                      INTERVAL '1 day 2 hours', 1.1\\\\:\\\\:float8, '\\x41'\\\\:\\\\:bytea)''')
        """
    )
    project.upgrade()
    assert project.scalar(AT) == "2024-04-05T21:00:00+09:00"
    shown = project.scalar('SELECT shown FROM "user" WHERE id = 1')
    assert shown == "C C C 2024-05-04 1 day 02:00:00 1.1 \\x41"
    assert "SET TimeZone = 'UTC';" in project.alembic("upgrade", "head", "--sql")


def test_schema_named_as_the_role_does_not_move_the_tables(empty_project: Project) -> None:
    role = empty_project.scalar("SELECT current_user")
    models = f"""
class Account(SQLModel, table=True):
    __table_args__ = {{"schema": {role!r}}}
    id: int | None = Field(default=None, primary_key=True)
"""
    start(empty_project, USER)
    migrate(empty_project, USER + models)
    more = "class Zoo(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"
    migrate(empty_project, USER + models + more)
    where = "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'zoo'"
    assert empty_project.scalar(where.replace("::", r"\:\:")) == "public"
    empty_project.downgrade("base")
