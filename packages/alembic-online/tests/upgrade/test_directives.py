"""What each directive does to a table in use."""

import pytest
import sqlalchemy as sa

from alembic_online import find_unfinished
from project import Project
from upgrade.directives import (
    CHECK,
    CONSTRAINTS,
    FOREIGN_KEY,
    INDEX,
    NOT_NULL,
    UNIQUE,
    matching,
    upgrade,
)


def test_create_index_is_concurrent(project: Project, statements: list[str]) -> None:
    upgrade(project, INDEX, 'op.drop_index("ix_pet_age", "pet")')
    assert matching(statements, "CREATE INDEX CONCURRENTLY ix_pet_age")
    assert project.scalar("SELECT count(*) FROM pet WHERE age = 3") == 100
    project.downgrade()
    assert matching(statements, "DROP INDEX CONCURRENTLY ix_pet_age")
    assert project.scalar("SELECT to_regclass('ix_pet_age')") is None


@pytest.mark.parametrize("alter", ["", ", use_alter=True"])
def test_column_with_a_key_to_its_own_table(
    project: Project, statements: list[str], alter: str
) -> None:
    key = f'sa.ForeignKey("pet.id", name="fk_pet_mother_id"{alter})'
    column = f'op.add_column("pet", sa.Column("mother_id", sa.Integer, {key}))'
    upgrade(project, column, 'op.drop_column("pet", "mother_id")')
    assert matching(statements, "VALIDATE CONSTRAINT fk_pet_mother_id")
    project.execute("UPDATE pet SET mother_id = 1")
    project.downgrade()
    project.upgrade()


def test_unique_is_made_of_a_concurrent_index(project: Project, statements: list[str]) -> None:
    drop = 'op.drop_constraint("uq_account_email", "account", type_="unique")'
    upgrade(project, UNIQUE, drop)
    assert matching(statements, "CREATE UNIQUE INDEX CONCURRENTLY uq_account_email")
    with pytest.raises(sa.exc.IntegrityError, match="uq_account_email"):
        project.execute("INSERT INTO account VALUES (1001, '1@x.com')")
    project.downgrade()
    project.execute("INSERT INTO account VALUES (1001, '1@x.com')")


def test_unique_keeps_its_options(project: Project) -> None:
    upgrade(
        project,
        'op.create_unique_constraint("uq_a", "account", ["email"], deferrable=True,'
        ' initially="DEFERRED", postgresql_include=["name"])\n'
        'op.create_unique_constraint("uq_b", "pet", ["id", "age"],'
        " postgresql_nulls_not_distinct=True)",
    )
    assert [definition for _, _, definition in project.rows(CONSTRAINTS)] == [
        "UNIQUE (email) INCLUDE (name) DEFERRABLE INITIALLY DEFERRED",
        "UNIQUE NULLS NOT DISTINCT (id, age)",
    ]


@pytest.mark.parametrize(
    ("directive", "definition"),
    [
        (FOREIGN_KEY, "FOREIGN KEY (owner_id) REFERENCES account(id)"),
        (CHECK, "CHECK ((age >= 0))"),
    ],
)
def test_constraint_is_validated_after_it_is_added(
    project: Project, statements: list[str], directive: str, definition: str
) -> None:
    upgrade(project, directive)
    added = matching(statements, "ADD CONSTRAINT", "NOT VALID")
    validated = matching(statements, "VALIDATE CONSTRAINT")
    assert len(added) == len(validated) == 1
    assert [row[1:] for row in project.rows(CONSTRAINTS)] == [(True, definition)]


def test_not_null_is_proven_before_it_is_set(project: Project, statements: list[str]) -> None:
    upgrade(project, NOT_NULL, 'op.alter_column("account", "email", nullable=True)')
    order = [
        next(i for i, sql in enumerate(statements) if part in sql)
        for part in ("IS NOT NULL) NOT VALID", "VALIDATE", "SET NOT NULL", "DROP CONSTRAINT")
    ]
    assert order == sorted(order)
    with pytest.raises(sa.exc.IntegrityError, match="not-null"):
        project.execute("INSERT INTO account VALUES (1001, NULL)")
    assert project.rows(CONSTRAINTS) == []
    project.downgrade()
    project.execute("INSERT INTO account VALUES (1001, NULL)")


def test_what_is_declared_with_a_column_is_added_after_it(
    project: Project, statements: list[str]
) -> None:
    upgrade(
        project,
        'op.add_column("pet", sa.Column("keeper_id", sa.Integer, sa.ForeignKey("account.id"),'
        ' sa.CheckConstraint("keeper_id > 0", name="keeper"), unique=True, comment="Who keeps it"))'
        '\nop.add_column("pet", sa.Column("vet_id", sa.Integer, index=True))',
        'op.drop_column("pet", "vet_id")\nop.drop_column("pet", "keeper_id")',
    )
    assert matching(statements, "ADD COLUMN keeper_id")[0].endswith("ADD COLUMN keeper_id INTEGER")
    assert matching(statements, "CREATE INDEX CONCURRENTLY ix_pet_vet_id")
    assert matching(statements, "CREATE UNIQUE INDEX CONCURRENTLY uq_pet_keeper_id")
    assert len(matching(statements, "NOT VALID")) == 2
    names = [(name, valid) for name, valid, _ in project.rows(CONSTRAINTS)]
    assert names == [
        ("ck_pet_keeper", True),
        ("fk_pet_keeper_id", True),
        ("uq_pet_keeper_id", True),
    ]
    comment = "SELECT col_description('pet'::regclass, 4)".replace(":", "\\:")
    assert project.scalar(comment) == "Who keeps it"
    project.downgrade()
    assert project.rows("SELECT * FROM pet WHERE id = 1") == [(1, 2, 1)]


@pytest.mark.parametrize(
    ("kind", "checks"),
    [
        ('sa.Boolean(create_constraint=True, name="kind")', 0),
        ('sa.Enum("a", name="kind", native_enum=False, create_constraint=True)', 1),
    ],
)
def test_type_brings_its_check_where_it_needs_one(project: Project, kind: str, checks: int) -> None:
    upgrade(project, f'op.add_column("pet", sa.Column("kind", {kind}))')
    assert len(project.rows(CONSTRAINTS)) == checks


def test_constraint_without_name_gets_the_usual_one(project: Project) -> None:
    project.write_models("", convention=None)
    upgrade(
        project,
        'op.create_unique_constraint(None, "account", ["email"])\n'
        'op.create_foreign_key(None, "pet", "account", ["owner_id"], ["id"])\n'
        'op.add_column("pet", sa.Column("vet_id", sa.Integer, sa.ForeignKey("account.id"),'
        ' sa.CheckConstraint("vet_id > 0")))\n',
    )
    assert [name for name, _, _ in project.rows(CONSTRAINTS)] == [
        "account_email_key",
        "pet_owner_id_fkey",
        "pet_vet_id_check",
        "pet_vet_id_fkey",
    ]


def test_directives_quote_any_name_in_any_schema(new_project: Project) -> None:
    """63 bytes, reserved words, capitals, quotes, colons and percent signs."""
    table, column = 'Order: "50%" ' + "ä" * 25, "user"
    new_project.execute('CREATE SCHEMA "My shop"')
    new_project.execute("CREATE TABLE place (id int PRIMARY KEY)")
    new_project.write_revision(
        f"""
        op.create_table({table!r}, sa.Column("id", sa.Integer, primary_key=True),
                        sa.Column({column!r}, sa.Integer), schema="My shop")
        """,
        f'op.drop_table({table!r}, schema="My shop")',
    )
    new_project.upgrade()
    new_project.write_revision(
        f"""
        table, schema = {table!r}, {{"schema": "My shop"}}
        op.create_index("ix: %" + "x" * 58, table, ["user"], **schema)
        op.create_unique_constraint('uq: "%"' + "x" * 55, table, ["user"], **schema)
        op.create_check_constraint(op.f("ck: %" + "ä" * 29), table, '"user" > 0', **schema)
        op.create_foreign_key("fk: %" + "x" * 58, table, "place", ["user"], ["id"],
                              source_schema="My shop", referent_schema="public")
        op.alter_column(table, "user", nullable=False, **schema)
        op.add_column(table, sa.Column("place", sa.Integer, sa.ForeignKey("public.place.id"),
                                       index=True), **schema)
        """,
        f"""
        op.drop_column({table!r}, "place", schema="My shop")
        op.drop_index("ix: %" + "x" * 58, {table!r}, schema="My shop")
        """,
    )
    new_project.upgrade()
    new_project.downgrade("hand0000")
    with new_project.connect() as connection:
        assert find_unfinished(connection) == []
    indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'My shop'"
    assert new_project.scalar(indexes) == 2  # of the primary key and of the unique constraint
