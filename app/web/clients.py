"""Where a request comes from, as the database can keep it: a header may be anything."""

import re
from ipaddress import ip_address

from fastapi import Request

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def find_address(request: Request) -> str | None:
    try:
        # Over a UNIX socket, or from a proxy that is trusted, it may be no address.
        return str(ip_address(request.client.host)) if request.client else None
    except ValueError:
        return None


def find_user_agent(request: Request) -> str | None:
    return _CONTROL_CHARACTERS.sub(" ", request.headers.get("user-agent", "")[:255]) or None
