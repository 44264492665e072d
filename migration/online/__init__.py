"""Alembic on a live database: stock commands that keep the data, or say what they would need.

`revise` decides what `alembic revision --autogenerate` writes: a revision says *what* changes and
is plain Alembic. This package imports nothing of the application, so it can be lifted into another.
"""

from migration.online.revise import autogenerate_options

__all__ = ["autogenerate_options"]
