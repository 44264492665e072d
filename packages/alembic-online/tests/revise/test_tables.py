"""Tables that refer to each other, in other schemas, with composite keys and odd names."""

import pytest

from project import Project
from revise.conftest import USER, migrate, start

CIRCLE = """
class Team(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    leader_id: int | None = Field(default=None, foreign_key="member.id")
    parent_id: int | None = Field(default=None, foreign_key="team.id")

class Member(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    team_id: int = Field(foreign_key="team.id", ondelete="CASCADE")
"""

ELSEWHERE = """
class Account(SQLModel, table=True):
    __table_args__ = (
        sa.CheckConstraint("balance > 0", name="solvent"), {"schema": "Bank: 5%"}
    )
    region: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    balance: int = Field(default=1, index=True)

class Transfer(SQLModel, table=True):
    __tablename__ = "Transfer " + 52 * "x"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["region", "number"], ["Bank: 5%.account.region", "Bank: 5%.account.number"]
        ),
        sa.UniqueConstraint("region", "number"),
        {"schema": "Bank: 5%"},
    )
    id: int | None = Field(default=None, primary_key=True)
    region: str
    number: int
"""


def test_circular_foreign_keys_are_made_and_dropped(empty_project: Project) -> None:
    start(empty_project, CIRCLE)
    empty_project.execute("INSERT INTO team (id, parent_id) VALUES (1, 1)")
    empty_project.execute("INSERT INTO member (id, team_id) VALUES (1, 1)")
    empty_project.execute("UPDATE team SET leader_id = 1")
    with pytest.raises(Exception, match="violates foreign key"):
        empty_project.execute("UPDATE team SET leader_id = 2")
    empty_project.downgrade()
    empty_project.upgrade()
    migrate(empty_project, "", "drop=team", "drop=member")
    empty_project.downgrade()
    empty_project.execute("INSERT INTO team (id, parent_id) VALUES (1, 1)")
    with pytest.raises(Exception, match="violates foreign key"):
        empty_project.execute("UPDATE team SET leader_id = 2")
    empty_project.downgrade()


PLAIN = """
class Team(SQLModel, table=True):
    region: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    id: int = Field(unique=True)

class Member(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
"""
REFERRING = """
class Team(SQLModel, table=True):
    __table_args__ = (
        sa.ForeignKeyConstraint(["up_region", "up_number"], ["team.region", "team.number"]{alter}),
    )
    region: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    id: int = Field(unique=True)
    up_region: str | None = None
    up_number: int | None = None
    parent_id: int | None = Field(sa_column=sa.Column(sa.ForeignKey("team.id"{alter})))
    leader_id: int | None = Field(sa_column=sa.Column(sa.ForeignKey("member.id"{alter})))

class Member(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    team_id: int | None = Field(sa_column=sa.Column(sa.ForeignKey("team.id"{alter})))
"""

ADDED = ("team.up_region", "team.up_number", "team.parent_id", "team.leader_id", "member.team_id")


@pytest.mark.parametrize("alter", ["", ", use_alter=True"])
def test_columns_that_refer_to_their_own_table_and_to_each_other(
    empty_project: Project, alter: str
) -> None:
    start(empty_project, PLAIN)
    empty_project.execute("INSERT INTO team (region, number, id) VALUES ('a', 1, 1)")
    migrate(empty_project, REFERRING.format(alter=alter))
    for change in ("parent_id = 9", "leader_id = 9", "up_region = 'a', up_number = 9"):
        with pytest.raises(Exception, match="violates foreign key"):
            empty_project.execute(f"UPDATE team SET {change}")
    empty_project.downgrade()
    empty_project.upgrade()
    empty_project.check()
    migrate(empty_project, PLAIN, *(f"drop={column}" for column in ADDED))
    empty_project.downgrade()
    with pytest.raises(Exception, match="violates foreign key"):
        empty_project.execute("UPDATE team SET parent_id = 9")


def test_dropped_tables_go_by_who_refers_to_whom(empty_project: Project) -> None:
    tables = "".join(
        f"class {name}(SQLModel, table=True):\n"
        "    id: int | None = Field(default=None, primary_key=True)\n"
        f"    x: int | None = Field(default=None, foreign_key='{name.lower()}.id')\n"
        f"    y: int | None = Field(default=None, foreign_key='{target}.id')\n\n"
        for name, target in (("B", "b"), ("A", "b"), ("D", "a"), ("C", "d"))
    )
    start(empty_project, tables)
    revision = migrate(empty_project, "", *(f"drop={name}" for name in "abcd"))
    order = [line.split("'")[1] for line in revision.splitlines() if "op.drop_table" in line]
    assert order == ["c", "d", "a", "b"]
    empty_project.downgrade()


def test_other_schemas_and_composite_keys(empty_project: Project) -> None:
    start(empty_project, ELSEWHERE)
    bank = '"Bank: 5%"'.replace(":", r"\:")
    empty_project.execute(f"INSERT INTO {bank}.account (region, number) VALUES ('x', 1)")
    changed = ELSEWHERE.replace("balance", "amount").replace(
        "    number: int\n", "    number: int\n    note: str = 'it''s'\n    done: bool = False\n"
    )
    migrate(empty_project, changed, "rename=Bank: 5%.account.balance:amount")
    assert empty_project.rows(f"SELECT amount FROM {bank}.account") == [(1,)]
    wider = changed.replace("int = Field(default=1", "int = Field(default=1, sa_type=sa.BigInteger")
    migrate(empty_project, wider, "rewrite=Bank: 5%.account.amount")
    migrate(
        empty_project,
        wider.replace("number: int\n    note", "number: int = Field(index=True)\n    note"),
    )
    assert empty_project.revise() is None
    empty_project.downgrade("base")
    empty_project.upgrade()
    empty_project.check()


def test_table_in_another_schema_is_renamed(empty_project: Project) -> None:
    start(empty_project, ELSEWHERE)
    renamed = ELSEWHERE.replace("class Account", "class Deposit").replace(".account", ".deposit")
    migrate(empty_project, renamed, "rename=Bank: 5%.account:deposit")
    empty_project.downgrade()
    empty_project.upgrade()


def test_schemas_without_models_are_left_alone(project: Project) -> None:
    project.execute("CREATE SCHEMA other")
    project.execute("CREATE TABLE other.thing (id int)")
    project.write_models(USER)
    project.check()
