"""The options of `context.configure()` that make autogenerate careful."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import alembic_postgresql_enum  # noqa: F401  # teaches autogenerate about enum types
from alembic.runtime.plugins import Plugin
from sqlalchemy import Dialect, MetaData

from alembic_online.revise import checks, comparing
from alembic_online.revise.models import completed_metadata
from alembic_online.revise.rendering import render_item
from alembic_online.revise.review import SOURCES, review

# New and removed CHECKs; Alembic 1.18 does not see them.
_CHECKS_BY_NAME = ["alembic.ext.checkconstraint_byname"] if find_spec("alembic.ext") else []

for _comparators in (checks, comparing):
    Plugin.setup_plugin_from_module(_comparators, _comparators.__name__)


def autogenerate_options(
    metadata: MetaData | Sequence[MetaData], dialect: Dialect
) -> dict[str, Any]:
    """Return what `context.configure()` gets beside the connection.

    The models stay as they are: what autogenerate compares with the database is a completed copy.
    """
    sources = [metadata] if isinstance(metadata, MetaData) else [*metadata]
    completed = completed_metadata(sources, dialect)
    schemas = {table.schema for table in completed.tables.values()}

    def include_name(name: str | None, kind: str, _: Any) -> bool:
        """Leave the schemas alone that no model lives in."""
        return kind != "schema" or name is None or name in schemas

    return {
        "target_metadata": completed,
        SOURCES: sources,
        "include_schemas": True,
        "include_name": include_name,
        "render_item": render_item,
        "render_as_batch": dialect.name == "sqlite",
        "compare_type": True,
        "compare_server_default": True,
        "process_revision_directives": review,
        "autogenerate_plugins": [
            "alembic.autogenerate.*",
            *_CHECKS_BY_NAME,
            checks.__name__,
            comparing.__name__,
        ],
    }
