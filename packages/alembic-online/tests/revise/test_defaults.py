"""Scalar defaults of models become database defaults: the exact value, or a refusal."""

import datetime as dt
import re
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from alembic.util import CommandError

from project import STOCK_ENV, Project
from revise.conftest import USER, migrate

EXACT: list[tuple[str, Any]] = [
    ("bool = True", True),
    ("bool = False", False),
    ("int = -3", -3),
    ("float = 0.1", 0.1),
    ("str = ''", ""),
    (r"""str = "it's 100% :b:c %s \\ \"q\" 'x'" """, """it's 100% :b:c %s \\ "q" 'x'"""),
    ("""str = "'quoted'" """, "'quoted'"),
    ("str = 'Zürich 東京 🙂\\n'", "Zürich 東京 🙂\n"),
    ("str = 'now()'", "now()"),
    ("Decimal = Field(Decimal('1.50'), max_digits=10, decimal_places=2)", Decimal("1.50")),
    ("Decimal = Decimal('1E+3')", Decimal(1000)),
    ("dt.date = dt.date(2024, 2, 29)", dt.date(2024, 2, 29)),
    ("dt.time = dt.time(23, 59, 59, 1)", dt.time(23, 59, 59, 1)),
    (
        "dt.datetime = dt.datetime(2024, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))",
        dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC),
    ),
    ("dt.timedelta = dt.timedelta(days=-1, microseconds=5)", dt.timedelta(-1, 0, 5)),
    ("uuid.UUID = uuid.UUID(int=5)", UUID(int=5)),
    ("bytes = b'\\x00\\xff'", b"\x00\xff"),
    ("""dict = Field({"a": "it's :x 5%", "b": [None, 1.5]}, sa_type=sa.JSON)""", None),
    ("""dict = Field({"a": "it's :x 5%"}, sa_type=postgresql.JSONB)""", None),
    ("""list[str] = Field([], sa_type=postgresql.ARRAY(sa.String))""", []),
    ("""list[str] = Field(['a,"b', '\\\\', ' '], sa_type=postgresql.ARRAY(sa.String))""", None),
    ("Color = Color.RED", "RED"),
    ("str | None = 'x'", "x"),
]

COLOR = """
class Color(str, enum.Enum):
    RED = "r'd"
    BLUE = "blue"
"""


def test_defaults_give_existing_rows_the_exact_value(project: Project) -> None:
    columns = [f"    column_{n}: {source}\n" for n, (source, _) in enumerate(EXACT)]
    migrate(project, COLOR + USER + "".join(columns))
    row = project.rows('SELECT * FROM "user" WHERE id = 1')[0][3:]
    for (source, expected), found in zip(EXACT, row, strict=True):
        if expected is not None:
            assert found == expected, source
    assert row[17:21] == (
        {"a": "it's :x 5%", "b": [None, 1.5]},
        {"a": "it's :x 5%"},
        [],
        ['a,"b', "\\", " "],
    )
    project.downgrade()
    assert project.rows('SELECT * FROM "user" WHERE id = 1') == [(1, "a@x", "Ann")]


def test_running_old_version_can_still_insert(project: Project) -> None:
    migrate(project, USER + "    is_active: bool = True\n")
    project.execute("""INSERT INTO "user" (id, email) VALUES (3, 'c@x')""")
    assert project.rows('SELECT is_active FROM "user"') == [(True,)] * 3


def test_stock_alembic_fails_where_this_does_not(project: Project) -> None:
    (project.folder / "migration" / "env.py").write_text(STOCK_ENV)
    project.write_models(USER + "    is_active: bool = True\n")
    project.revise()
    with pytest.raises(Exception, match="NotNullViolation"):
        project.upgrade()


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (
            'Decimal = Field(Decimal("0.125"), max_digits=10, decimal_places=2)',
            "would be Decimal('0.13') in the database",
        ),
        ('str = Field("too long", sa_type=sa.String(3))', "value too long for type character"),
        ('str = "a\\0b"', "cannot store its default"),
        (
            "dt.datetime = Field(dt.datetime(2024, 1, 1), sa_type=sa.DateTime(timezone=True))",
            "would be datetime.datetime(2024, 1, 1, 0, 0, tzinfo=",
        ),
        ("dict = Field({1: 2}, sa_type=sa.JSON)", "would be {'1': 2} in the database"),
        ("set = Field({1}, sa_type=sa.PickleType)", "its default {1} cannot be written in SQL"),
    ],
)
def test_default_that_would_change_is_refused(project: Project, column: str, reason: str) -> None:
    project.write_models(f"{USER}    column: {column}\n")
    with pytest.raises(CommandError, match=re.escape(reason)):
        project.revise()
    assert len(project.revisions()) == 1


@pytest.mark.parametrize("column", ["str", "int = Field(default_factory=int)"])
def test_required_column_without_default_is_refused_with_the_ways_out(
    project: Project, column: str
) -> None:
    project.write_models(f"{USER}    points: {column}\n")
    with pytest.raises(CommandError) as refusal:
        project.revise()
    message = str(refusal.value)
    assert "user.points is required and has no default, but the table may have rows" in message
    for way in ("Field(default=", "server_default", "| None = None", "-x fill=user.points:VALUE"):
        assert way in message
    assert "op.backfill('user', {'points': sa.text(...)})" in message
    assert len(project.revisions()) == 1


def test_fill_gives_existing_rows_a_value(project: Project) -> None:
    models = f"{USER}    nickname: str\n"
    migrate(project, models, "fill=user.nickname:it's: 5%")
    assert project.rows('SELECT nickname FROM "user"') == [("it's: 5%",)] * 2


def test_fill_with_a_wrong_value_is_refused(project: Project) -> None:
    project.write_models(f"{USER}    points: int\n")
    with pytest.raises(CommandError, match=r"user\.points: the database cannot store"):
        project.revise("fill=user.points:many")


def test_server_default_of_the_model_is_accepted(project: Project) -> None:
    column = "Field(sa_column_kwargs={'server_default': sa.func.now()})"
    revision = migrate(project, f"{USER}    created_at: dt.datetime = {column}\n")
    assert "server_default=sa.func.now()" in revision
    assert project.scalar('SELECT count(created_at) FROM "user"') == 2


def test_default_written_for_the_database_wins_over_the_model(project: Project) -> None:
    models = USER.replace(
        "class User(SQLModel, table=True):",
        "class User(SQLModel, table=True):\n    __table_args__ = {'schema': 'public'}",
    )
    column = "str = Field('in Python', sa_column_kwargs={{'server_default': '{}'}})"
    migrate(project, f"{models}    about: {column.format('in SQL')}\n")
    assert project.rows('SELECT about FROM "user"') == [("in SQL",)] * 2
    migrate(project, f"{models}    about: {column.format('other')}\n")
    migrate(project, f"{models}    about: str = 'in Python'\n")


def test_changed_default_is_written_and_undone(project: Project) -> None:
    migrate(project, f"{USER}    points: int = 5\n    plan: str = 'free'\n")
    migrate(project, f"{USER}    points: int = 7\n    plan: str = 'it''s'\n")
    project.execute("""INSERT INTO "user" (id, email) VALUES (3, 'c@x')""")
    project.downgrade()
    project.execute("""INSERT INTO "user" (id, email) VALUES (4, 'd@x')""")
    assert project.rows('SELECT points FROM "user" ORDER BY id') == [(5,), (5,), (7,), (5,)]


def test_default_that_left_the_model_stays_in_the_database(project: Project) -> None:
    migrate(project, f"{USER}    points: int = 5\n")
    project.write_models(f"{USER}    points: int\n")
    assert project.revise() is None
    project.check()


def test_fill_is_refused_where_nothing_asks(project: Project) -> None:
    project.write_models(f"{USER}    is_active: bool = True\n")
    with pytest.raises(CommandError, match="fill"):
        project.revise("fill=user.is_active:false")
