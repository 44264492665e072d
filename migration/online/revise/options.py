"""The options of `context.configure()` that make autogenerate careful."""

from typing import Any

import alembic_postgresql_enum  # noqa: F401  # teaches autogenerate about enum types
from alembic.runtime.plugins import Plugin
from sqlalchemy import Dialect, MetaData

from migration.online.revise import checks, comparing, definitions, excludes, keys, views
from migration.online.revise.models import completed_metadata
from migration.online.revise.rendering import render_item
from migration.online.revise.review import review

for _comparators in (keys, checks, comparing, definitions, excludes, views):
    Plugin.setup_plugin_from_module(_comparators, _comparators.__name__)


def autogenerate_options(metadata: MetaData, dialect: Dialect) -> dict[str, Any]:
    """Return what env.py passes to `context.configure()` beside the connection.

    The models stay as they are: what autogenerate compares with the database is a completed copy.
    """
    schemas = {table.schema for table in metadata.tables.values()}

    def include_name(name: str | None, kind: str, _: Any) -> bool:
        """Leave the schemas alone that no model lives in."""
        return kind != "schema" or name is None or name in schemas

    return {
        "target_metadata": completed_metadata(metadata, dialect),
        "include_schemas": True,
        "include_name": include_name,
        "render_item": render_item,
        "render_as_batch": dialect.name == "sqlite",
        "compare_type": True,
        "compare_server_default": True,
        "process_revision_directives": review,
        "autogenerate_plugins": [
            "alembic.autogenerate.*",
            "alembic.ext.checkconstraint_byname",
            checks.__name__,
            comparing.__name__,
            definitions.__name__,
            excludes.__name__,
            keys.__name__,
            views.__name__,
        ],
    }
