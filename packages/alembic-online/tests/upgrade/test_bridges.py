"""Two columns, or two names of a table, are one for clients of the old and the new version."""

from typing import Any

import pytest
import sqlalchemy as sa

from project import Project

NAMES = ["weight", 'Full "Name', "50%", "a:b", "select", "new", "alike", "é" * 31]


def bridge(project: Project, old: str, new: str, **options: str | bool) -> sa.TableClause:
    """Give `pet` a text column beside a new number, and return the table."""
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    project.write_revision(
        f"""
        op.add_column("pet", sa.Column({old!r}, sa.String(20)))
        op.add_column("pet", sa.Column({new!r}, sa.Integer))
        op.execute("DELETE FROM pet")
        op.bridge_columns("pet", {old!r}, {new!r}{given})
        """,
        f"""
        op.drop_column_bridge("pet", {new!r})
        op.drop_column("pet", {new!r})
        op.drop_column("pet", {old!r})
        """,
    )
    project.upgrade()
    return sa.table("pet", sa.column("id"), sa.column(old), sa.column(new))


def values(project: Project, table: sa.TableClause) -> list[tuple[object, ...]]:
    with project.connect() as connection:
        return [tuple(row)[1:] for row in connection.execute(sa.select(table).order_by("id"))]


@pytest.mark.parametrize("old", NAMES)
def test_column_follows_the_one_that_is_written(project: Project, old: str) -> None:
    new = f"{old}_int"
    table = bridge(project, old, new)
    inserted: list[dict[str, Any]] = [{old: "5"}, {new: 6}, {old: None}, {}, {old: "many"}]
    updated: list[dict[str, Any]] = [{old: "7"}, {new: None}, {new: 8}, {old: "9"}]
    with project.connect() as connection:
        for number, written in enumerate(inserted):
            connection.execute(sa.insert(table).values(id=number, **written))
    assert values(project, table) == [
        ("5", 5), ("6", 6), (None, None), (None, None), ("many", None)
    ]  # fmt: skip
    with project.connect() as connection:
        for number, written in enumerate(updated):
            connection.execute(sa.update(table).values(written).where(table.c.id == number))
    assert values(project, table) == [("7", 7), (None, None), ("8", 8), ("9", 9), ("many", None)]
    project.downgrade()
    assert project.scalar("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == 0
    assert project.scalar("SELECT count(*) FROM pg_proc WHERE proname ~ '^bridge'") == 0
