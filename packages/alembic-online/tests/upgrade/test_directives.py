from threading import Timer

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from alembic_online import find_unfinished
from project import Project
from upgrade.processes import run_killed

FOREIGN_KEY = 'op.create_foreign_key("fk_pet_owner_id", "pet", "account", ["owner_id"], ["id"])'
UNIQUE = 'op.create_unique_constraint("uq_account_email", "account", ["email"])'
CHECK = 'op.create_check_constraint("age", "pet", "age >= 0")'
NOT_NULL = 'op.alter_column("account", "email", nullable=False)'
INDEX = 'op.create_index("ix_pet_age", "pet", ["age"])'

CONSTRAINTS = """
    SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid::regclass::text IN ('pet', 'account') AND contype NOT IN ('p', 'n') ORDER BY 1
""".replace(":", "\\:")


def upgrade(project: Project, revision: str, downgrade: str = "pass") -> None:
    project.write_revision(revision, downgrade)
    project.upgrade()
    with project.connect() as connection:
        assert find_unfinished(connection) == []


def assert_refused(project: Project, revision: str, match: str) -> CommandError:
    """Upgrade to a revision that the rows do not allow; all but the rows is as it was."""
    before = project.rows(CONSTRAINTS)
    project.write_revision(revision)
    with pytest.raises(CommandError, match=match) as caught:
        project.upgrade()
    with project.connect() as connection:
        assert find_unfinished(connection) == []
    assert project.rows(CONSTRAINTS) == before
    assert project.scalar("SELECT count(*) FROM pg_class WHERE relname LIKE 'uq_%'") == 0
    assert project.scalar("SELECT version_num FROM alembic_version") == "hand0000"
    return caught.value


def matching(statements: list[str], *parts: str) -> list[str]:
    return [found for found in statements if all(part in found for part in parts)]


# --- what each directive does


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


# --- rows that do not allow it


def test_duplicates_are_refused_with_an_example(project: Project) -> None:
    project.execute("UPDATE account SET email = 'a@x.com' WHERE id IN (7, 8)")
    assert_refused(project, UNIQUE, r"Key \(email\)=\(a@x.com\) is duplicated")
    project.execute("UPDATE account SET email = 'b@x.com' WHERE id = 8")
    project.upgrade()
    assert len(project.rows(CONSTRAINTS)) == 1


def test_nulls_are_refused(project: Project) -> None:
    project.execute("UPDATE account SET email = NULL WHERE id = 7")
    assert_refused(project, NOT_NULL, r"account.email has rows with NULL")
    project.execute("INSERT INTO account VALUES (1001, NULL)")  # as before
    project.execute("UPDATE account SET email = id WHERE email IS NULL")
    project.upgrade()


def test_orphans_are_refused_with_an_example(project: Project) -> None:
    project.execute("UPDATE pet SET owner_id = 4711 WHERE id = 3")
    assert_refused(project, FOREIGN_KEY, r"Key \(owner_id\)=\(4711\) is not present")
    project.execute("UPDATE pet SET owner_id = 4712 WHERE id = 3")  # as before


def test_rows_that_break_a_check_are_refused(project: Project) -> None:
    project.execute("UPDATE pet SET age = -1 WHERE id = 3")
    assert_refused(project, CHECK, '"ck_pet_age" of relation "pet" is violated')
    project.execute("UPDATE pet SET age = -2 WHERE id = 3")  # as before


def test_refusal_says_which_steps_are_in_place(project: Project) -> None:
    project.execute("UPDATE account SET email = NULL WHERE id = 7")
    project.write_revision(f'op.add_column("pet", sa.Column("size", sa.Integer))\n{NOT_NULL}')
    with pytest.raises(CommandError, match=r"1 earlier step.*AddColumn pet size"):
        project.upgrade()
    with project.connect() as connection:
        assert find_unfinished(connection) == ["upgrade of revision hand0001 is half done"]
    project.execute("UPDATE account SET email = id WHERE email IS NULL")
    project.upgrade()
    assert project.scalar("SELECT count(size) FROM pet") == 0


# --- where Alembic's plain statements are wanted


def test_table_of_the_same_run_gets_plain_statements(
    new_project: Project, statements: list[str]
) -> None:
    new_project.write_revision(
        """
        op.create_table("note", sa.Column("id", sa.Integer, primary_key=True),
                        sa.Column("text", sa.String(10)))
        """
    )
    new_project.write_revision(
        """
        op.rename_table("note", "memo")
        op.create_index("ix_memo_text", "memo", ["text"])
        op.create_unique_constraint("uq_memo_text", "memo", ["text"])
        op.alter_column("memo", "text", nullable=False)
        op.add_column("memo", sa.Column("next_id", sa.Integer, sa.ForeignKey("memo.id")))
        op.drop_index("ix_memo_text", "memo")
        """
    )
    new_project.upgrade()
    assert matching(statements, "ADD CONSTRAINT uq_memo_text UNIQUE (text)")
    assert not matching(statements, "CONCURRENTLY")
    assert not matching(statements, "NOT VALID")


def test_directive_can_be_opted_out(project: Project, statements: list[str]) -> None:
    upgrade(
        project,
        """
        op.create_index("ix_pet_age", "pet", ["age"], postgresql_concurrently=False)
        op.drop_index("ix_pet_age", "pet", postgresql_concurrently=False)
        op.create_unique_constraint("uq_account_email", "account", ["email"],
                                    postgresql_concurrently=False)
        op.create_foreign_key("fk_pet_owner_id", "pet", "account", ["owner_id"], ["id"],
                              postgresql_not_valid=False)
        op.create_check_constraint("age", "pet", "age >= 0", postgresql_not_valid=False)
        op.alter_column("account", "email", nullable=False, postgresql_not_valid=False)
        op.add_column("pet", sa.Column("vet_id", sa.ForeignKey("account.id",
                                       postgresql_not_valid=False), type_=sa.Integer))
        """,
    )
    assert not matching(statements, "CONCURRENTLY")
    assert not matching(statements, "VALID")
    assert len(project.rows(CONSTRAINTS)) == 4


def test_batch_is_as_safe_as_its_directives(project: Project, statements: list[str]) -> None:
    upgrade(
        project,
        """
        with op.batch_alter_table("account") as batch:
            batch.add_column(sa.Column("size", sa.Integer, server_default="3", nullable=False))
            batch.create_unique_constraint("uq_account_email", ["email"])
            batch.create_index("ix_account_size", ["size"])
        """,
    )
    assert len(matching(statements, "CONCURRENTLY")) == 2
    assert project.scalar("SELECT sum(size) FROM account") == 3000


EVENTS = """
    CREATE TABLE event (at date, kind int, "K %%" text) PARTITION BY RANGE (at);
    CREATE TABLE "event %%1" PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE event_2 PARTITION OF event DEFAULT PARTITION BY LIST (kind);
    CREATE TABLE event_2_1 PARTITION OF event_2 DEFAULT;
    INSERT INTO event VALUES ('2026-01-01', 1, 'a'), ('2026-03-01', 1, 'a')
"""


def test_partitions_get_their_indexes_concurrently(project: Project, statements: list[str]) -> None:
    with project.connect() as connection:
        connection.exec_driver_sql(EVENTS)
    index = """op.create_index("ix %_event", "event", ["kind", sa.text('lower("K %")')])"""
    statement = 1
    project.write_revision(index, 'op.drop_index("ix %_event", "event")')
    while run_killed(project.ini, statement, "upgrade", "head"):
        project.upgrade()
        assert project.rows(INVALID) == []
        assert project.scalar("SELECT count(*) FROM pg_indexes WHERE indexname ~ 'ix %'") == 4
        project.downgrade()
        statement += 1
    assert statement > 6
    assert len(matching(statements, "CREATE INDEX CONCURRENTLY")) > 2
    assert project.scalar("SELECT count(*) FROM pg_stats WHERE tablename LIKE '%ix %'") > 0


def test_partition_that_refuses_a_unique_index_is_left_as_it_was(project: Project) -> None:
    with project.connect() as connection:
        connection.exec_driver_sql(EVENTS)
    project.execute("INSERT INTO event VALUES ('2026-03-01', 1, 'b')")
    project.write_revision('op.create_index("ux", "event", ["at", "kind"], unique=True)')
    with pytest.raises(CommandError, match="is duplicated"):
        project.upgrade()
    assert project.scalar("SELECT count(*) FROM pg_indexes WHERE indexname LIKE '%ux%'") == 0


INVALID = "SELECT indexrelid FROM pg_index WHERE NOT indisvalid"


def test_autocommit_block_of_the_revision_is_respected(project: Project) -> None:
    upgrade(
        project,
        f"""
        with op.get_context().autocommit_block():
            op.execute("VACUUM pet")
            op.create_index("ix_pet_owner_id", "pet", ["owner_id"], postgresql_concurrently=True)
            {INDEX}
            {CHECK}
        """,
    )
    indexes = "SELECT indexname FROM pg_indexes WHERE tablename = 'pet' ORDER BY 1"
    assert project.rows(indexes) == [("ix_pet_age",), ("ix_pet_owner_id",), ("pk_pet",)]


def test_concurrent_index_of_the_revision_may_wait(project: Project) -> None:
    """Raw or not, in a block of its own or not, it is not given up after 300 ms."""
    project.write_revision(
        """
        op.execute("CREATE INDEX CONCURRENTLY ix_one ON pet (age)")
        op.create_index("ix_two", "pet", ["age"], postgresql_concurrently=True)
        with op.get_context().autocommit_block():
            op.execute("CREATE INDEX CONCURRENTLY ix_three ON pet (age)")
            op.create_index("ix_four", "pet", ["age"], postgresql_concurrently=True)
        """
    )
    engine = sa.create_engine(project.url, poolclass=sa.NullPool)
    with engine.connect() as other:
        other.execute(sa.text("INSERT INTO pet VALUES (0, 1, 1)"))
        end = Timer(1, other.rollback)
        end.start()
        project.upgrade()
        end.join()
    assert project.scalar("SELECT count(*) FROM pg_indexes WHERE tablename = 'pet'") == 5
    with project.connect() as connection:
        assert find_unfinished(connection) == []


# --- names and schemas


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
