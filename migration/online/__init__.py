"""Alembic on a live database: stock commands that keep the data, or say what they would need.

`revise` decides what `alembic revision --autogenerate` writes, `upgrade` how a revision is carried
out: the file says *what* changes and is plain Alembic, the package knows *how*. It imports nothing
of the application, so it can be lifted into another: see the three lines in `migration/env.py`.
"""

from migration.online.postgresql import sqlstate
from migration.online.revise import autogenerate_options
from migration.online.upgrade import find_unfinished, run

__all__ = ["autogenerate_options", "find_unfinished", "run", "sqlstate"]
