from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from alembic_online.rebase import main, rebase

REVISION = '''"""{name}

Revision ID: {name}
Revises: {parent}
Create Date: 2026-11-{day:02} 12:00:00+00:00
"""

revision = "{name}"
down_revision = {parent!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "versions").mkdir()
    return tmp_path


def add(folder: Path, name: str, parent: str | None, day: int) -> None:
    text = REVISION.format(name=name, parent=parent, day=day)
    (folder / "versions" / f"{name}.py").write_text(text)


def order(folder: Path) -> list[str]:
    return [script.revision for script in ScriptDirectory(str(folder)).walk_revisions()][::-1]


def test_rebase_puts_the_newer_branch_on_top(folder: Path) -> None:
    add(folder, "root", None, day=1)
    add(folder, "mine", "root", day=2)
    add(folder, "mine_too", "mine", day=4)
    add(folder, "theirs", "root", day=3)
    said = rebase(ScriptDirectory(str(folder)))
    assert said.startswith("mine (mine) now follows theirs (theirs).")
    assert "alembic downgrade theirs && alembic stamp root && alembic upgrade head" in said
    assert order(folder) == ["root", "theirs", "mine", "mine_too"]
    assert "Revises: theirs\n" in (folder / "versions" / "mine.py").read_text()


def test_rebase_of_two_first_revisions(folder: Path) -> None:
    add(folder, "older", None, day=1)
    add(folder, "newer", None, day=2)
    rebase(ScriptDirectory(str(folder)))
    assert order(folder) == ["older", "newer"]


@pytest.mark.parametrize("heads", [1, 3])
def test_rebase_needs_two_heads(folder: Path, heads: int) -> None:
    for number in range(heads):
        add(folder, f"head{number}", None, day=number + 1)
    with pytest.raises(CommandError, match=f"needs two heads, and there are {heads}"):
        rebase(ScriptDirectory(str(folder)))


@pytest.mark.parametrize("argument", ["--help", "--dry-run"])
def test_command_rebases_only_without_other_arguments(
    folder: Path, argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(folder, "a", None, 1)
    add(folder, "b", "a", 2)
    add(folder, "c", "a", 3)
    ini = folder / "alembic.ini"
    ini.write_text(f"[alembic]\nscript_location = {folder}\n")
    monkeypatch.setattr("sys.argv", ["rebase", "--config", str(ini), argument])
    with pytest.raises(SystemExit):
        main()
    assert "Revises: a\n" in (folder / "versions" / "c.py").read_text()
    monkeypatch.setattr("sys.argv", ["rebase", "--config", str(ini)])
    main()
    assert "Revises: b\n" in (folder / "versions" / "c.py").read_text()
