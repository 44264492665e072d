"""What the database has beside the models, and is to stay there."""

import pytest
from alembic.util import CommandError

from project import Project
from revise.conftest import USER, migrate, start

MEASURE = """
class Measure(SQLModel, table=True):
    __table_args__ = {{"postgresql_partition_by": "RANGE (day)"}}
    day: dt.date = Field(primary_key=True)
    value: int = Field(default=0, index=True)
    {}
"""
FOREIGN = """
    CREATE TYPE srid_kind AS ENUM ('plane', 'round');
    CREATE TABLE spatial_ref_sys (
        srid int PRIMARY KEY, kind srid_kind, kinds srid_kind[], name text UNIQUE
    );
    CREATE INDEX ix_kind ON spatial_ref_sys (kind);
    INSERT INTO spatial_ref_sys VALUES (4326, 'round', '{plane}', 'WGS 84');
    CREATE TABLE legacy_log (id int, user_id int REFERENCES "user" (id));
"""
MORE = f"{USER}    motto: str | None = None\n"


def unmanaged(project: Project, names: str) -> None:
    project.ini.write_text(f"{project.ini.read_text()}unmanaged = {names}\n")


def test_partitions_belong_to_their_table(empty_project: Project) -> None:
    start(empty_project, MEASURE.format(""))
    empty_project.execute("""
        CREATE TABLE measure_24 PARTITION OF measure
            FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY RANGE (day);
        CREATE TABLE measure_24_1 PARTITION OF measure_24 DEFAULT;
        INSERT INTO measure VALUES ('2024-02-29', 7);
    """)
    assert empty_project.revise() is None
    revision = migrate(empty_project, MEASURE.format("unit: str = 'm'"))
    assert "measure_24" not in revision
    assert empty_project.rows("SELECT unit FROM measure_24_1") == [("m",)]
    renamed = MEASURE.format("unit: str = 'm'").replace("Measure", "Sample")
    migrate(empty_project, renamed, "rename=measure:sample")
    empty_project.downgrade()
    assert empty_project.scalar("SELECT value FROM measure_24") == 7
    empty_project.upgrade()
    migrate(empty_project, "", "drop=sample")
    empty_project.downgrade()
    assert empty_project.scalar("SELECT relkind FROM pg_class WHERE relname = 'sample'") == "p"
    empty_project.downgrade()
    empty_project.downgrade()
    assert empty_project.scalar("SELECT to_regclass('measure_24_1')") is None


def test_table_of_no_model_can_be_kept_once(project: Project) -> None:
    project.execute(FOREIGN)
    project.write_models(MORE)
    with pytest.raises(CommandError) as refused:
        project.revise()
    for way in (
        "    -x drop=spatial_ref_sys",
        "-x keep=spatial_ref_sys",
        "unmanaged = spatial_ref_sys",
    ):
        assert way in str(refused.value)
    with pytest.raises(CommandError, match="-x keep=spatial: this change has no such question"):
        project.revise("keep=spatial", "keep=spatial_ref_sys", "keep=legacy_log")
    revision = project.revise("keep=spatial_ref_sys", "keep=legacy_log")
    assert revision is not None
    assert not {"spatial", "srid_kind", "legacy"} & set(revision.replace("_", " ").split("'"))
    project.upgrade()
    project.alembic("-x", "keep=spatial_ref_sys", "-x", "keep=legacy_log", "check")
    with pytest.raises(CommandError, match="remove_table"):
        project.check()
    project.downgrade()
    kept = [(4326, "round", "WGS 84")]
    assert project.rows("SELECT srid, kind::text, name FROM spatial_ref_sys") == kept


def test_tables_can_be_left_alone_for_ever(project: Project) -> None:
    project.execute(FOREIGN)
    unmanaged(project, "spatial_ref_sys, legacy_*,\n  other, user")
    assert project.revise() is None
    revision = migrate(project, MORE)
    assert "srid_kind" not in revision
    project.downgrade()
    assert project.rows("SELECT srid FROM spatial_ref_sys") == [(4326,)]
    project.write_models(USER)  # which `unmanaged` names too, without effect
    (project.versions / project.revisions()[-1]).unlink()
    assert project.revise() is None
    project.write_models(USER.replace("255", "300"))
    assert project.revise() is not None


def test_columns_and_their_indexes_can_be_left_alone(project: Project) -> None:
    project.execute("""
        CREATE TYPE mood AS ENUM ('well'); CREATE TYPE legacy_type AS ENUM ('a');
        ALTER TABLE "user" ADD old_code text DEFAULT 'x', ADD old_mood mood,
            ADD old_number serial UNIQUE, ADD boss int REFERENCES "user" (id);
        CREATE INDEX ON "user" (id, old_mood); CREATE INDEX by_name ON "user" (full_name);
    """)
    project.write_models(MORE)
    with pytest.raises(CommandError, match=r"unmanaged = user\.old_code"):
        project.revise("drop=user.boss", "drop=user.old_mood")
    unmanaged(project, "user.old_*, user.boss, user.by_name, legacy_type")
    migrate(project, MORE)
    project.downgrade()
    assert project.rows('SELECT old_code FROM "user"') == [("x",)] * 2


def test_tables_of_extensions_are_left_alone(project: Project) -> None:
    project.execute(FOREIGN)
    project.execute("ALTER EXTENSION plpgsql ADD TABLE spatial_ref_sys")
    unmanaged(project, "legacy_log")
    try:
        migrate(project, MORE)
        project.downgrade()
    finally:
        project.execute("ALTER EXTENSION plpgsql DROP TABLE spatial_ref_sys")


def test_sqlite_keeps_tables_too(sqlite_project: Project) -> None:
    sqlite_project.execute("CREATE TABLE legacy_log (id int)")
    unmanaged(sqlite_project, "legacy_*")
    migrate(sqlite_project, MORE)
    sqlite_project.downgrade()
    assert sqlite_project.scalar("SELECT count(*) FROM legacy_log") == 0
