"""Alembic on a live database: revisions that keep the data, upgrades that others do not notice."""

from migration.online.upgrade import find_unfinished, run

__all__ = ["find_unfinished", "run"]
