"""Rehearsals of changes, and the copies that are on the server."""

import sqlalchemy as sa

from alembic_online.rehearse.__main__ import main
from project import Project

RETYPE = 'op.alter_column("pet", "age", type_=sa.BigInteger)'
ENDLESS = "op.execute('SELECT pg_sleep(600)')"


def copies(server: sa.Connection) -> list[str]:
    names = "SELECT datname FROM pg_database WHERE datname LIKE 'rehearsal%'"
    return list(server.scalars(sa.text(names)))


def rehearse(project: Project, *options: str) -> int:
    return main([project.shown_url, "-c", str(project.ini), *options])
