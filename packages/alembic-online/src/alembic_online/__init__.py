"""Alembic on a live database: stock commands that keep the data, or say what they would need.

`revise` decides what `alembic revision --autogenerate` writes, `upgrade` how a revision is carried
out: the file says *what* changes and is plain Alembic, the package knows *how*. All that env.py
does is to call `run()`.
"""

from alembic_online.configured import configured_url
from alembic_online.environment import run
from alembic_online.phases import phase_of, sufficient_revisions
from alembic_online.postgresql import sqlstate
from alembic_online.upgrade import find_unfinished

__all__ = [
    "configured_url",
    "find_unfinished",
    "phase_of",
    "run",
    "sqlstate",
    "sufficient_revisions",
]
