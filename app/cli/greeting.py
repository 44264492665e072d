"""What `app run` says before it serves: what there is to open, and what to do first."""

import sys
from collections.abc import Iterator

from sqlalchemy import URL


def describe_service(url: URL, address: str, *, docs: bool) -> Iterator[str]:
    where = url.host or url.query.get("host", "localhost")
    yield f"Database:   {url.database} on {where}"
    if docs:
        yield f"API docs:   {address}/docs"


def describe_first_steps(address: str, mail_host: str | None) -> Iterator[str]:
    yield f"Pages:      {address}/"
    yield f"Superuser:  {sys.argv[0]} create-superuser you@example.com"
    yield f"Mail:       {f'handed to {mail_host}' if mail_host else 'printed here'}"
