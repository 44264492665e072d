"""What a rehearsal shows, and that it leaves the original alone."""

import pytest

from catalog import catalog
from project import Project
from rehearsal.running import RETYPE, rehearse
from upgrade.directives import INDEX

LONG = "op.execute('SELECT pg_sleep(0.4)')"  # beyond what clients should wait


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_each_statement_is_shown_and_the_original_is_only_read(
    project: Project, driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.use(f"postgresql+{driver}")
    before = catalog(project)
    project.write_revision(
        f"{INDEX}\n{RETYPE}\nop.execute('UPDATE account SET name = email')",
        'op.alter_column("pet", "age", type_=sa.Integer)\nop.drop_index("ix_pet_age", "pet")',
    )
    assert rehearse(project) == 0
    said = capsys.readouterr().out
    phases = ["upgrade hand0001", "downgrade hand0001", "upgrade again hand0001"]
    assert [line for line in said.splitlines() if line in phases] == phases
    lines = {line.split("  ")[-1]: line.split() for line in said.splitlines() if "  " in line}
    retyped = lines["ALTER TABLE pet ALTER COLUMN age TYPE BIGINT"]
    assert "ACCESS EXCLUSIVE on pet" in " ".join(retyped)
    assert retyped.count("pet") == 3  # locked, rewritten, and in its SQL
    updated = lines["UPDATE account SET name = email"]
    assert (updated.count("1,000"), updated.count("ROW")) == (2, 1)
    assert "CREATE INDEX CONCURRENTLY ix_pet_age ON pet (age)" in lines
    assert "alembic_version" not in said
    assert (catalog(project), project.scalar("SELECT version_num FROM alembic_version")) == (
        before,
        "hand0000",
    )


def test_what_would_keep_clients_waiting_is_named_once(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    update = "op.execute('UPDATE account SET name = email WHERE id < 10')"
    project.write_revision(f"{RETYPE}\n{LONG}")
    project.write_revision(f"{update}\n{LONG}")
    assert rehearse(project) == 1
    said = capsys.readouterr().out.partition("Clients would wait for longer than 300 ms:")[2]
    assert said.splitlines()[1::2] == [
        "upgrade hand0001: ALTER TABLE pet ALTER COLUMN age TYPE BIGINT",
        "upgrade hand0002: UPDATE account SET name = email WHERE id < 10",
    ]
    assert "    pet: readers and writers wait for 0." in said
    assert "    writers of the 9 rows that it changes wait for 0." in said


def test_a_revision_that_fails_is_shown_as_far_as_it_came(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    unique = 'op.create_unique_constraint("uq_pet_age", "pet", ["age"])'
    project.write_revision(f"{RETYPE}\n{unique}")
    assert rehearse(project) == 1
    out, err = capsys.readouterr()
    assert "upgrade (failed)" in out
    assert "ALTER TABLE pet ALTER COLUMN age TYPE BIGINT" in out
    assert "Existing rows of pet do not allow this change" in err


def test_nothing_pending(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearse(project) == 0
    assert "Nothing to rehearse" in capsys.readouterr().out
