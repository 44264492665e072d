"""`alembic upgrade` and `downgrade` on a database that others are using.

Revisions stay ordinary Alembic; on PostgreSQL their directives are
carried out so that neither readers nor writers wait, and an interrupted run is resumed by the next.
"""

from alembic_online.upgrade.run import Context, run
from alembic_online.upgrade.unfinished import find_unfinished

__all__ = ["Context", "find_unfinished", "run"]
