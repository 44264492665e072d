"""Columns that number their rows: serial, Identity, and the ways between them."""

import pytest
from alembic.util import CommandError

from project import Project
from revise.conftest import migrate, start

SERIAL = "sa.Column(sa.Integer, primary_key=True)"
IDENTITY = "sa.Column(sa.Integer, sa.Identity(), primary_key=True)"
ALWAYS = (
    "sa.Column(sa.Integer, sa.Identity(always=True, start=5, increment=5, cache=2, cycle=True,"
    " minvalue=2, maxvalue=900), primary_key=True)"
)
BIG = "sa.Column(sa.BigInteger, sa.Identity(), primary_key=True)"
PLAIN = "sa.Column(sa.Integer, primary_key=True, autoincrement=False)"


def models(key: str, more: str = "") -> str:
    return (
        "class Order(SQLModel, table=True):\n    __tablename__ = 'Order'\n"
        f"    Id: int | None = Field(default=None, sa_column={key})\n"
        f"    note: str | None = None\n{more}"
    )


def insert(project: Project, note: str = "x") -> int:
    found = project.rows("""INSERT INTO "Order" (note) VALUES (:note) RETURNING "Id\"""", note=note)
    (key,) = found[0]
    return int(key)


@pytest.mark.parametrize(
    ("before", "after", "extras", "numbers"),
    [
        (SERIAL, IDENTITY, (), (4, 5)),
        (SERIAL, ALWAYS, (), (5, 15)),
        (SERIAL, BIG, ("rewrite=Order.Id",), (4, 5)),
        (IDENTITY, SERIAL, (), (4, 5)),
        (BIG, SERIAL, ("rewrite=Order.Id",), (4, 5)),
        (IDENTITY, ALWAYS, (), (4, 14)),
        (ALWAYS, IDENTITY, (), (35, 36)),
        (IDENTITY, BIG, ("rewrite=Order.Id",), (4, 5)),
        (BIG, IDENTITY, ("rewrite=Order.Id",), (4, 5)),
        (IDENTITY, PLAIN, (), (4, 5)),
        (ALWAYS, PLAIN, (), (35, 45)),
    ],
)
def test_numbering_goes_on_where_it_was(
    empty_project: Project, before: str, after: str, extras: list[str], numbers: tuple[int, int]
) -> None:
    following, back = numbers
    start(empty_project, models(before))
    keys = [insert(empty_project) for _ in range(3)]
    empty_project.execute("""DELETE FROM "Order" WHERE "Id" = :key""", key=keys[-1])
    empty_project.write_models(models(after))
    wrote = empty_project.revise(*extras) is not None
    assert wrote or (before, after) == (IDENTITY, PLAIN)
    empty_project.upgrade()
    empty_project.check()
    assert empty_project.revise() is None
    assert insert(empty_project) == following
    if wrote:
        empty_project.downgrade()
        empty_project.write_models(models(before))
        (empty_project.versions / empty_project.revisions()[-1]).unlink()
        empty_project.check()
    assert insert(empty_project) == back
    assert empty_project.scalar('SELECT count(*) FROM "Order"') == 4
    empty_project.downgrade("base")


@pytest.mark.parametrize("more", ["", "    number: int = 0\n", "    number: int | None = None\n"])
def test_plain_column_becomes_identity_after_its_values(empty_project: Project, more: str) -> None:
    start(empty_project, models(PLAIN if not more else SERIAL, more))
    column = "number" if more else "Id"
    for value in (7, 3):
        empty_project.execute(
            f'INSERT INTO "Order" ("Id", note, "{column}") VALUES (:key, NULL, :value)'
            if more
            else f'INSERT INTO "Order" ("{column}") VALUES (:value)',
            **({"key": value} if more else {}),
            value=value,
        )
    identity = "    number: int = Field(sa_column=sa.Column(sa.Integer, sa.Identity()))\n"
    migrate(empty_project, models(SERIAL, identity) if more else models(IDENTITY))
    query = f'INSERT INTO "Order" ("Id") VALUES (50) RETURNING "{column}"' if more else ""
    query = query or 'INSERT INTO "Order" (note) VALUES (NULL) RETURNING "Id"'
    assert empty_project.scalar(query) == 8
    empty_project.downgrade()
    empty_project.upgrade()
    empty_project.downgrade("base")


def test_options_that_the_sequence_refuses_are_refused(empty_project: Project) -> None:
    start(empty_project, models(IDENTITY))
    empty_project.write_models(models(IDENTITY.replace("()", "(minvalue=5, maxvalue=2)")))
    with pytest.raises(CommandError, match=r"Order\.Id: PostgreSQL refuses .*MINVALUE \(5\)"):
        empty_project.revise()


def test_optional_column_cannot_be_an_identity(empty_project: Project) -> None:
    start(empty_project, models(SERIAL, "    number: int | None = None\n"))
    column = "sa.Column(sa.Integer, sa.Identity(), nullable=True)"
    empty_project.write_models(models(SERIAL, f"    number: int = Field(sa_column={column})\n"))
    with pytest.raises(CommandError, match=r"Order\.number: .*required"):
        empty_project.revise()


def test_identity_becomes_another_default(empty_project: Project) -> None:
    number = "    number: int = Field(sa_column=sa.Column(sa.Integer, sa.Identity()))\n"
    start(empty_project, models(SERIAL, number))
    insert(empty_project)
    migrate(empty_project, models(SERIAL, "    number: int = 42\n"))
    insert(empty_project)
    assert empty_project.rows('SELECT number FROM "Order"') == [(1,), (42,)]
    empty_project.downgrade()
    insert(empty_project)
    assert empty_project.rows('SELECT max(number) FROM "Order"') == [(43,)]


def test_sqlite_has_no_identities(sqlite_project: Project) -> None:
    migrate(sqlite_project, models(SERIAL), "drop=user")
    sqlite_project.write_models(models(IDENTITY))
    assert sqlite_project.revise() is None
