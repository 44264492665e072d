"""What `alembic revision --autogenerate` writes, asks and refuses."""

from alembic_online.revise.options import autogenerate_options

__all__ = ["autogenerate_options"]
