"""Indexes and unique constraints are compared in all that PostgreSQL keeps of them."""

import pytest
from alembic.util import CommandError

from catalog import catalog
from project import Project
from revise.conftest import USER, migrate, start

# Old, new, what the catalogue then says, and the new one in other words.
DEFINITIONS = {
    "method": ('sa.Index("i", "id")', '"id", postgresql_using="hash"', "USING hash (id)", None),
    "include": (
        'sa.Index("i", "id")',
        '"id", postgresql_include=["email"]',
        "(id) INCLUDE (email)",
        None,
    ),
    "operator class": (
        'sa.Index("i", "email")',
        '"email", postgresql_ops={"email": "text_pattern_ops"}',
        "(email text_pattern_ops)",
        'sa.text("email text_pattern_ops")',
    ),
    "condition": (
        'sa.Index("i", "id", postgresql_where=sa.text("id > 1"))',
        '"id", postgresql_where=sa.text("email like \'%a\\\\:b\' and id in (1, 2)")',
        "~~ '%a:b'",
        '"id", postgresql_where=sa.text("(email ~~ \'%a\\\\:b\') AND (id in (1,2))")',
    ),
    "condition of a unique index": (
        'sa.Index("i", "full_name", unique=True)',
        '"full_name", unique=True, postgresql_where=sa.text("id > 1")',
        "WHERE (id > 1)",
        None,
    ),
    "order": (
        'sa.Index("i", "id")',
        'sa.text("id DESC NULLS LAST")',
        "(id DESC NULLS LAST)",
        None,
    ),
    "storage": (
        'sa.Index("i", "id")',
        '"id", postgresql_with={"fillfactor": 50}',
        "(fillfactor='50')",
        None,
    ),
    "include of unique": (
        'sa.UniqueConstraint("full_name", name="i")',
        '"full_name", postgresql_include=["id"], name="i"',
        "UNIQUE (full_name) INCLUDE (id)",
        None,
    ),
    "deferral": (
        'sa.UniqueConstraint("full_name", name="i", deferrable=True, initially="DEFERRED")',
        '"full_name", name="i"',
        "UNIQUE (full_name)",
        None,
    ),
}


def model(definition: str) -> str:
    return f"{USER}    __table_args__ = ({definition},)\n"


@pytest.mark.parametrize(("old", "new", "shown", "other"), DEFINITIONS.values(), ids=DEFINITIONS)
def test_definition_is_compared_and_changed(
    empty_project: Project, old: str, new: str, shown: str, other: str | None
) -> None:
    project = empty_project
    kind = old.partition("(")[0]
    name = '"i", ' if kind == "sa.Index" else ""
    start(project, model(old))
    assert project.revise() is None
    before = catalog(project)
    project.write_models(model(f"{kind}({name}{new})"))
    with pytest.raises(CommandError, match="New upgrade operations detected"):
        project.check()
    migrate(project, model(f"{kind}({name}{new})"))
    assert shown in "\n".join(catalog(project))
    if other is not None:
        project.write_models(model(f"{kind}({name}{other})"))
        project.check()
    project.downgrade()
    assert catalog(project) == before


def test_what_postgresql_refuses_is_not_called_compared(empty_project: Project) -> None:
    project = empty_project
    start(project, model('sa.Index("i", "full_name")'))
    project.write_models(
        model('sa.Index("i", "full_name", postgresql_ops={"full_name": "no_ops"})')
    )
    assert project.revise() is None
    assert "already matches" not in project.output
    assert "NOT COMPARED: user.i: operator class" in project.output
    assert "NOT COMPARED: user.i: operator class" in project.check()
