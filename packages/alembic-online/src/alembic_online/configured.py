"""The database that alembic.ini names: `sqlalchemy.url`, and the other options of its engine."""

import os
from configparser import InterpolationError
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import ArgumentError

_PREFIX = "sqlalchemy."
_URL = f"{_PREFIX}url"


def configured_url(config: Config) -> str | None:
    """Return `sqlalchemy.url`; a `%` of a password counts whether it is doubled or not."""
    try:
        return config.get_main_option(_URL)
    except InterpolationError:
        raw = config.file_config.get(config.config_ini_section, _URL, raw=True)
        here = str(Path(config.config_file_name or "").absolute().parent)
        return raw.replace("%(here)s", here).replace("%%", "%")


def configured_engine(config: Config) -> sa.Engine:
    """Make the engine that the env.py of `alembic init` would."""
    where = f"{_URL} in {os.path.relpath(config.config_file_name or 'alembic.ini')}"
    url = configured_url(config)
    if not url:
        raise CommandError(f"{where} is missing: say where the database is")
    try:
        options = _options(config) | {_URL: sa.make_url(url)}
    except (ArgumentError, ValueError):
        raise CommandError(f"{where} is malformed: driver://user:password@host/database") from None
    return sa.engine_from_config(options, prefix=_PREFIX, poolclass=sa.NullPool)


def _options(config: Config) -> dict[str, object]:
    section = config.config_ini_section
    return {
        name: config.get_section_option(section, name)
        for name in config.file_config.options(section)
        if name.startswith(_PREFIX) and name != _URL
    }
