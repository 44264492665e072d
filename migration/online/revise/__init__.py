"""What `alembic revision --autogenerate` writes, asks and refuses."""

from migration.online.revise.options import autogenerate_options

__all__ = ["autogenerate_options"]
