import pytest
import sqlalchemy as sa

from alembic_online import find_unfinished
from project import Project


def found(project: Project) -> list[str]:
    with project.connect() as connection:
        return find_unfinished(connection)


def test_invalid_index_is_found(project: Project) -> None:
    project.execute("UPDATE account SET name = 'Ann'")
    engine = sa.create_engine(project.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.execute(sa.text('CREATE UNIQUE INDEX CONCURRENTLY "Ix" ON account (name)'))
    assert found(project) == ['index "Ix" of table account is invalid']


def test_constraint_that_is_not_validated_is_found(project: Project) -> None:
    project.execute("ALTER TABLE pet ADD CONSTRAINT age CHECK (age > 5) NOT VALID")
    assert found(project) == ["constraint age of table pet is not validated"]


@pytest.mark.usefixtures("_needs_postgresql_18")
def test_constraint_that_is_not_enforced_is_on_purpose(project: Project) -> None:
    project.execute("ALTER TABLE pet ADD CONSTRAINT age CHECK (age > 5) NOT ENFORCED")
    assert found(project) == []


def test_other_comments_on_the_version_table_are_left_alone(project: Project) -> None:
    project.execute("COMMENT ON TABLE alembic_version IS 'ours'")
    assert found(project) == []
    project.write_revision('op.add_column("pet", sa.Column("size", sa.Integer))')
    project.upgrade()
    comment = sa.text(r"SELECT obj_description('alembic_version'\:\:regclass, 'pg_class')")
    with project.connect() as connection:
        assert connection.scalar(comment) == "ours"
