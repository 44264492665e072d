"""Whatever rows or other objects do not allow is a sentence with the table and the column."""

import pytest
from alembic.util import CommandError

from project import Project

SETUP = """
    CREATE TABLE "Entry" (id int PRIMARY KEY, amount bigint, code text, born text, "by" int);
    INSERT INTO "Entry" VALUES (1, 5000000000, 'too long', 'soon', 1), (2, 7, NULL, NULL, NULL);
    CREATE TYPE plan AS ENUM ('free', 'pro');
    CREATE TABLE note (id int PRIMARY KEY, plan plan DEFAULT 'free', plans plan[]);
    INSERT INTO note VALUES (1, 'pro', '{pro}');
    CREATE VIEW notes AS SELECT plan FROM note;
"""
RETYPE = 'op.alter_column("Entry", "{}", type_={}, postgresql_using=\'"{}"::{}\')'
SYNC = (
    "import alembic_postgresql_enum as ape\n"
    "op.sync_enum_values('public', 'plan', ['free'], [ape.TableReference('note', 'plans',"
    " column_type=ape.ColumnType.ARRAY, table_schema='public')])"
)
REFUSED = [
    (RETYPE.format("amount", "sa.Integer()", "amount", "int"), "Entry.amount", "out of range"),
    (RETYPE.format("amount", "sa.Numeric(3)", "amount", "numeric(3)"), "Entry.amount", "overflow"),
    (RETYPE.format("code", "sa.Integer()", "code", "int"), "Entry.code", "invalid input syntax"),
    (RETYPE.format("born", "sa.Date()", "born", "date"), "Entry.born", "invalid input syntax"),
    ('op.alter_column("Entry", "code", type_=sa.String(3))', "Entry.code", "too long"),
    ('op.alter_column("Entry", "code", nullable=False)', "Entry", "Entry.code has rows with NULL"),
    (
        'op.alter_column("Entry", "code", nullable=False, postgresql_not_valid=False)',
        "Entry.code",
        "contains null values",
    ),
    ('op.create_foreign_key("fk", "Entry", "note", ["id"], ["id"])', "Entry", "Key (id)=(2)"),
    ("op.execute('UPDATE \"Entry\" SET amount = 1 / (id - 1)')", "Entry", "division by zero"),
    ("op.execute('INSERT INTO note (id) VALUES (1)')", "note", "Key (id)=(1) already exists"),
    (SYNC, "note.plans", 'invalid input value for enum plan: "pro"'),
]
DEPENDENT = [
    ('op.drop_column("note", "plan")', "note.plan", "view notes depends on column plan"),
    ('op.drop_table("note")', "note", "view notes depends on table note"),
    ("op.execute('DROP TYPE plan')", "", "depends on type plan"),
]


@pytest.fixture
def filled(new_project: Project) -> Project:
    new_project.write_revision("pass")
    new_project.upgrade()
    new_project.execute(SETUP)
    return new_project


def refusal(project: Project, body: str) -> str:
    revision = project.write_revision(body)
    with pytest.raises(CommandError) as refused:
        project.upgrade()
    (project.versions / f"{revision}.py").unlink()
    return str(refused.value)


def test_rows_that_do_not_allow_a_change_are_named(filled: Project) -> None:
    before = filled.rows('SELECT * FROM "Entry"')
    for body, subject, reason in REFUSED:
        message = refusal(filled, body)
        assert message.startswith(f"Existing rows of {subject} do not allow this change: ")
        assert reason in message.partition("\n")[0]
        assert "[SQL:" not in message
        assert filled.rows('SELECT * FROM "Entry"') == before


def test_dependent_objects_are_named(filled: Project) -> None:
    for body, subject, reason in DEPENDENT:
        message = refusal(filled, body)
        of = f" of {subject}" if subject else ""
        assert message.startswith(f"Other objects need what this change drops{of}")
        assert reason in message
    assert filled.scalar("SELECT count(*) FROM note") == 1


def test_error_that_is_no_matter_of_rows_stays_what_it_is(filled: Project) -> None:
    filled.write_revision('op.add_column("nowhere", sa.Column("x", sa.Integer))')
    with pytest.raises(Exception, match="UndefinedTable"):
        filled.upgrade()
