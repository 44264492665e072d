"""`-x expand=` writes two revisions: at first old and new are there, then the new alone."""

import pytest
from alembic.util import CommandError

from catalog import catalog
from project import Project
from revise.conftest import USER, needs_checks, start

SHOP = """
class Shop(SQLModel, table=True):
    __table_args__ = (
        sa.UniqueConstraint("town", "name", name="uq_found"),
        sa.CheckConstraint("length(name) > 1", name="name_is_long"),
        sa.Index("ix_partial", "town", postgresql_where=sa.text("name <> ''")),
    )
    id: int | None = Field(default=None, primary_key=True)
    town: str = Field(default="Ulm", max_length=50)
    name: str = Field(index=True, max_length=50)
"""
OLD = "INSERT INTO shop (town, name) VALUES ('Bonn', :name)"
NEW = "INSERT INTO shop (town, {}) VALUES ('Kiel', :name)"


def expand(project: Project, models: str, *extras: str) -> list[str]:
    """Write both revisions, carry out the first, and return their texts."""
    project.write_models(models)
    project.revise(*extras)
    project.alembic("-x", "phase=expand", "upgrade", "head")
    return [file.read_text() for file in project.revisions()[-2:]]


def number_from_three(project: Project) -> None:
    project.execute("""SELECT setval(pg_get_serial_sequence('"user"', 'id'), 2)""")


def contract_and_back(project: Project) -> None:
    """Carry out the second revision, all the way back, and forth: the models then match."""
    expanded = catalog(project)
    project.upgrade()
    project.check()
    contracted = catalog(project)
    project.downgrade()
    assert catalog(project) == expanded
    project.downgrade()
    project.upgrade()
    assert catalog(project) == contracted


@needs_checks
@pytest.mark.parametrize("name", ["label", 'Full "Name"', "50% a", "é" * 20])
def test_renamed_column_is_one_for_both_versions(empty_project: Project, name: str) -> None:
    start(empty_project, SHOP)
    empty_project.execute(OLD, name="Ada")
    before = catalog(empty_project)
    quoted = '"' + name.replace('"', '""') + '"'
    models = SHOP.replace('"town", "name"', f'"town", {name!r}')
    models = models.replace('"length(name) > 1"', repr(f"length({quoted}) > 1"))
    models = models.replace("\"name <> ''\"", repr(f"{quoted} <> ''"))
    field = f"other: str = Field(sa_column_kwargs={{'name': {name!r}}}, "
    models = models.replace("name: str = Field(", field)
    files = expand(empty_project, models, f"expand=shop.name:{name}")
    assert 'phase = "expand"' in files[0]
    assert 'phase = "contract"' in files[1]
    empty_project.execute(OLD, name="Bea")
    empty_project.execute(NEW.format(quoted), name="Cleo")
    rows = empty_project.rows("SELECT * FROM shop ORDER BY id")
    assert [row[2:] for row in rows] == [("Ada", "Ada"), ("Bea", "Bea"), ("Cleo", "Cleo")]
    contract_and_back(empty_project)
    empty_project.downgrade("-2")
    assert catalog(empty_project) == before
    assert empty_project.rows("SELECT name FROM shop ORDER BY id") == [
        ("Ada",),
        ("Bea",),
        ("Cleo",),
    ]


def test_type_change_converts_what_either_version_writes(empty_project: Project) -> None:
    old = """
class Pet(SQLModel, table=True):
    id: int | None = Field(primary_key=True)
    age: {}
"""
    start(empty_project, old.format("str"))
    empty_project.execute("INSERT INTO pet (age) VALUES ('5'), ('many')")
    new = old.format("int = Field(unique=True, sa_column_kwargs={'name': 'age_int'})")
    with pytest.raises(CommandError, match="where id = 2") as refused:
        expand(empty_project, new, "expand=pet.age:int", "using=pet.age:age::int")
    assert "many" in str(refused.value)
    empty_project.execute("UPDATE pet SET age = '6' WHERE id = 2")
    empty_project.alembic("-x", "phase=expand", "upgrade", "head")
    empty_project.execute("INSERT INTO pet (age) VALUES ('7'), ('few')")
    empty_project.execute("INSERT INTO pet (age_int) VALUES (8)")
    rows = [("5", 5), ("6", 6), ("7", 7), ("few", None), ("8", 8)]
    assert empty_project.rows("SELECT age, age_int FROM pet ORDER BY id") == rows
    with pytest.raises(CommandError, match=r'of pet do not allow this change: .*"few"'):
        empty_project.upgrade()
    empty_project.execute("UPDATE pet SET age = '9' WHERE age = 'few'")
    contract_and_back(empty_project)
    empty_project.downgrade()
    assert empty_project.rows("SELECT age, age_int FROM pet WHERE id > 3") == [("9", 9), ("8", 8)]


def test_defaults_tell_who_has_written(project: Project) -> None:
    number_from_three(project)
    start_models = USER.replace("full_name: str | None = Field(default=None,", "full_name: str = Field(default='?',")  # noqa: E501  # fmt: skip
    project.execute("""UPDATE "user" SET full_name = '?' WHERE full_name IS NULL""")
    project.write_models(start_models)
    project.revise()
    project.upgrade()
    models = start_models.replace("full_name: str =", "nick: str | None =")
    models = models.replace("default='?'", "default='!'")
    expand(project, models, "expand=user.full_name:nick")
    for values in ("(email) VALUES ('c')", "(email, full_name) VALUES ('d', 'Dan')",
                   "(email, nick) VALUES ('e', 'Eve')", "(email, nick) VALUES ('f', NULL)",
                   "(email, full_name, nick) VALUES ('g', 'old', 'new')"):  # fmt: skip
        project.execute(f'INSERT INTO "user" {values}')
    rows = project.rows('SELECT full_name, nick FROM "user" ORDER BY id OFFSET 2')
    assert rows == [("?", "?"), ("Dan", "Dan"), ("Eve", "Eve"), (None, None), ("new", "new")]
    project.upgrade()
    project.check()
    project.execute("""INSERT INTO "user" (email) VALUES ('h')""")
    assert project.scalar("""SELECT nick FROM "user" WHERE email = 'h'""") == "!"


def test_renamed_table_has_its_old_name_too(project: Project) -> None:
    project.execute("CREATE ROLE reader")
    project.execute("GRANT USAGE ON SCHEMA public TO reader")
    project.execute('GRANT SELECT, INSERT, UPDATE (full_name) ON "user" TO reader')
    try:
        models = USER.replace("class User", "class Person")
        expand(project, models, "expand=user:person")
        project.execute("SET ROLE reader; INSERT INTO \"user\" (id, email) VALUES (7, 'c')")
        project.execute("SET ROLE reader; UPDATE \"user\" SET full_name = 'Cid' WHERE id = 7")
        with pytest.raises(Exception, match="permission denied for"):
            project.execute('SET ROLE reader; UPDATE "user" SET id = 8')
        upsert = """INSERT INTO "user" (id, email, full_name) VALUES (7, 'c', 'Col')
                    ON CONFLICT (email) DO UPDATE SET full_name = excluded.full_name
                    RETURNING id, full_name"""
        assert project.rows(upsert) == [(7, "Col")]
        assert project.rows("SELECT full_name FROM person WHERE id = 7 FOR UPDATE") == [("Col",)]
        contract_and_back(project)
        assert project.scalar("SELECT count(*) FROM person") == 3
    finally:
        project.execute("DROP OWNED BY reader; DROP ROLE reader")


ANSWERS = [
    (USER.replace("id: int | None", "key: int | None"), "expand=user.id:key", "of the primary key"),
    (
        USER.replace("full_name: str | None = Field(default=None, max_length=255)", "at: dt.date"),
        "expand=user.full_name:at",
        "-x using=user.full_name:EXPRESSION",
    ),
    (
        USER.replace("full_name: str | None = Field(default=None, max_length=255)", "number: int"),
        "using=user.full_name:length(email)",
        'column "email" does not exist',
    ),
    (
        USER.replace("full_name", "name").replace("class User", "class Person"),
        "rename=user:person",
        "in a revision of its own",
    ),
    (USER, "expand=user.full_name:name", "this change has no such question"),
]


@pytest.mark.parametrize(("models", "answer", "message"), ANSWERS)
def test_what_cannot_be_expanded_is_refused(
    project: Project, models: str, answer: str, message: str
) -> None:
    project.write_models(models)
    pairs = ["user.full_name:number", "person.full_name:name"]
    with pytest.raises(CommandError) as refused:
        project.revise(
            answer, *(f"expand={pair}" for pair in pairs if f"{pair.rsplit(':', 1)[1]}:" in models)
        )
    assert message in str(refused.value)
    assert len(project.revisions()) == 1


def test_instants_name_their_zone(project: Project) -> None:
    number_from_three(project)
    with project.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE \"user\" ADD made timestamp DEFAULT '2026-01-01'")
    field = "dt.datetime | None = Field(sa_type=sa.DateTime(timezone=True))"
    models = f"{USER}    made_at: {field}\n"
    project.write_models(models)
    with pytest.raises(CommandError, match=r"-x zone=user\.made:UTC"):
        project.revise("expand=user.made:made_at")
    expand(project, models, "expand=user.made:made_at", "zone=user.made:Asia/Seoul")
    for values in ("(email) VALUES ('c')", "(email, made) VALUES ('d', '2026-02-01')"):
        project.execute(f"SET TimeZone = 'America/Lima'; INSERT INTO \"user\" {values}")
    found = """SELECT to_char(made_at AT TIME ZONE 'UTC', 'MM-DD HH24') FROM "user" ORDER BY id"""
    assert project.rows(found) == [("12-31 15",)] * 3 + [("01-31 15",)]
    project.upgrade()
    project.check()


def test_sqlite_goes_the_same_way(sqlite_project: Project) -> None:
    models = USER.replace("full_name", "name").replace("class User", "class Person")
    expand(sqlite_project, models, "expand=user:person", "expand=person.full_name:name")
    assert sqlite_project.rows("SELECT full_name, name FROM person") == [
        ("Ann", "Ann"),
        (None, None),
    ]
    sqlite_project.upgrade()
    sqlite_project.check()
    sqlite_project.downgrade("-2")
    assert sqlite_project.rows('SELECT full_name FROM "user"') == [("Ann",), (None,)]
