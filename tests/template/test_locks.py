"""Packages that a feature takes out of the lock files, with what came for them alone."""

from pathlib import Path

from template.locks import drop_packages

PROJECT = """\
dependencies = [
    "alembic>=1",
    "spare[extra]>=1",  # for nothing
]
"""
LOCK = """\
# written by make lock
alembic==1.0 \\
    --hash=sha256:1
    # via user-service (pyproject.toml)
both==1.0 \\
    --hash=sha256:2
    # via
    #   -c requirements.txt
    #   alembic
    #   spare
only==1.0 \\
    --hash=sha256:3
    # via
    #   -c requirements.txt
    #   spare
spare[extra]==1.0 \\
    --hash=sha256:4
    # via
    #   -c requirements.txt
    #   user-service (pyproject.toml)

# The following packages were excluded from the output:
# alembic-online
"""
LEFT = """\
# written by make lock
alembic==1.0 \\
    --hash=sha256:1
    # via user-service (pyproject.toml)
both==1.0 \\
    --hash=sha256:2
    # via
    #   -c requirements.txt
    #   alembic

# The following packages were excluded from the output:
# alembic-online
"""


def test_packages_go_with_what_only_they_want(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text(LOCK)
    drop_packages(tmp_path, ["spare"], "user-service")
    assert "spare" not in (tmp_path / "pyproject.toml").read_text()
    assert (tmp_path / "requirements-dev.txt").read_text() == LEFT
