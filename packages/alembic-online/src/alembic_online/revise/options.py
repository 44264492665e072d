"""The options of `context.configure()` that make autogenerate careful."""

import logging
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import alembic_postgresql_enum  # noqa: F401  # teaches autogenerate about enum types
from alembic.runtime.plugins import Plugin
from sqlalchemy import Dialect, MetaData

from alembic_online.revise import (
    checks,
    comparing,
    definitions,
    excludes,
    keys,
    uncompared,
    unmanaged,
    views,
)
from alembic_online.revise.models import completed_metadata
from alembic_online.revise.rendering import render_item
from alembic_online.revise.review import SOURCES, review

# New and removed CHECKs; Alembic 1.18 does not see them.
_CHECKS_BY_NAME = ["alembic.ext.checkconstraint_byname"] if find_spec("alembic.ext") else []
# In this order: the first completes the models that the others look at.
_COMPARATORS = (comparing, unmanaged, keys, checks, definitions, excludes, views)

for _comparators in _COMPARATORS:
    Plugin.setup_plugin_from_module(_comparators, _comparators.__name__)


def autogenerate_options(
    metadata: MetaData | Sequence[MetaData], dialect: Dialect
) -> dict[str, Any]:
    """Return what `context.configure()` gets beside the connection.

    The models stay as they are: what autogenerate compares with the database is a completed copy.
    """
    if dialect.name != "postgresql":  # where this library says on each call that it does nothing
        logging.getLogger("alembic.alembic_postgresql_enum").setLevel(logging.ERROR)
    sources = [metadata] if isinstance(metadata, MetaData) else [*metadata]
    completed = completed_metadata(sources)
    beside = unmanaged.Unmanaged(completed)
    return {
        "target_metadata": completed,
        SOURCES: sources,
        unmanaged.OPTION: beside,
        uncompared.OPTION: {},
        "include_schemas": True,
        "include_name": _including(completed, beside),
        "render_item": render_item,
        "render_as_batch": dialect.name == "sqlite",
        "compare_type": True,
        "compare_server_default": True,
        "process_revision_directives": review,
        "autogenerate_plugins": [
            "alembic.autogenerate.*",
            *_CHECKS_BY_NAME,
            *(plugin.__name__ for plugin in _COMPARATORS),
        ],
    }


def _including(metadata: MetaData, beside: unmanaged.Unmanaged) -> Callable[..., bool]:
    """Leave the schemas alone that no model lives in, and what is not managed."""
    schemas = {table.schema for table in metadata.tables.values()}

    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        is_foreign = kind == "schema" and name is not None and name not in schemas
        return not is_foreign and beside.includes(name, kind, parents)

    return include_name
