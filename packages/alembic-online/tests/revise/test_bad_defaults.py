"""A default that cannot be worked out stops the comparison alone, and is named."""

import pytest
from alembic.util import CommandError

from project import Project
from revise.conftest import USER, migrate

GOOD = "    at: dt.datetime = dt.datetime(2024, 2, 29, tzinfo=dt.timezone.utc)\n"
BAD = [
    (GOOD.replace(", tzinfo=dt.timezone.utc", ""), "timezone information"),
    ("    code: str = Field('x', sa_type=Sealed)\n", "no key is set"),
    (
        "    color: str = Field('green', sa_type=sa.Enum('red', 'blue', name='color'))\n",
        "none of red, blue",
    ),
    ("    sums: list = Field([1], sa_type=postgresql.ARRAY(Sealed))\n", "no key is set"),
    ("    sum: dict = Field({'a': {1}}, sa_type=sa.JSON)\n", "not JSON serializable"),
    ("    code: str = Field('x', sa_type=Illegible)\n", "cannot be read"),
]
TYPES = """
class Sealed(sa.TypeDecorator):
    impl, cache_ok = sa.String, True
    def process_bind_param(self, value, dialect): raise RuntimeError("no key is set")

class Illegible(sa.TypeDecorator):
    impl, cache_ok = sa.String, True
    def process_bind_param(self, value, dialect): return value
    def process_result_value(self, value, dialect): raise RuntimeError("cannot be read")
"""


def test_bad_default_is_refused_by_its_name(project: Project) -> None:
    migrate(project, USER + GOOD)
    for column, reason in BAD:
        project.write_models(f"{TYPES}{USER}{column}    full_name_2: str | None = None\n")
        name = column.split(":", maxsplit=1)[0].strip()
        with pytest.raises(CommandError, match=rf"user\.{name}: .*{reason}"):
            project.revise()
    assert len(project.revisions()) == 2
    project.alembic("current")
    project.downgrade()
    project.upgrade()
    assert project.scalar('SELECT count(at) FROM "user"') == 2
    given = "Field('x', sa_type=Sealed, sa_column_kwargs={'server_default': 'y'})"
    migrate(project, f"{TYPES}{USER}    code: str = {given}\n", "drop=user.at")
    assert project.rows('SELECT code FROM "user"') == [("y",)] * 2
    project.downgrade()
    assert project.scalar('SELECT count(*) FROM "user" WHERE at IS NOT NULL') == 2


def test_check_names_every_bad_default(project: Project) -> None:
    project.write_models(f"{TYPES}{USER}{BAD[0][0]}{BAD[1][0]}")
    with pytest.raises(CommandError, match=r"user\.at: (?s:.*)user\.code: "):
        project.check()
