"""What is noted of requests: all that changes accounts, and the refusals worth knowing."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from sqlmodel.ext.asyncio.session import AsyncSession
from structlog.contextvars import get_contextvars

from app.audit import service
from app.audit.service import DONE, Happening
from app.auth.dependencies import get_client
from app.auth.rate_limit import RateLimits
from app.observability.events import name_operation
from app.web.errors import ServiceError
from app.web.session import get_database

# Whatever changes something, of routers with these tags.
_ABOUT_ACCOUNTS: Final = {"auth", "pages", "passkeys", "roles", "second factors", "users"}
# What reads all of an account at once.
_REMARKABLE_READS: Final = {"users-export_me", "pages-export_account"}
# They only make a challenge.
_UNREMARKABLE: Final = {
    "passkeys-start_login",
    "passkeys-start_second_step",
    "passkeys-start_passkey",
}
# Guesses, and what somebody has tried who may not. Not 429: a flood is the log's to tell.
_REFUSALS: Final = {
    *("invalid_credentials", "second_factor_required", "invalid_code", "passkey_refused"),
    *("incorrect_password", "incorrect_code"),
    *("permission_required", "superuser_required", "own_permissions_exceeded"),
}
# Facts that are bound for the log, and no secrets.
_DETAILS: Final = (
    *("second_factor", "change", "is_active", "is_superuser"),
    *("role_id", "permissions", "passkey_copied"),
)


class AuditTrail:
    """Notes requests: what was done, in their own transaction; what was refused, by itself."""

    async def note(self, request: Request, session: AsyncSession) -> None:
        """Add what the request has done, before it is committed."""
        operation = name_operation(request.scope["route"])
        if _is_remarkable(request, operation):
            await service.note(session, await _describe(request, operation, DONE))

    async def note_refusal(self, request: Request, error: ServiceError) -> None:
        """Add a refusal, whose own transaction is undone.

        Strangers share a few connections, as in all else they try.
        """
        if error.code() not in _REFUSALS:
            return
        operation = name_operation(request.scope["route"])
        happening = await _describe(request, operation, error.code())
        limits: RateLimits = request.app.state.limits
        database = await get_database(request)
        own = database.autocommitting() if happening.actor_id else limits.turn()
        async with own as session:
            await service.note_refusal(session, happening)


def _is_remarkable(request: Request, operation: str) -> bool:
    if request.method == "GET":
        return operation in _REMARKABLE_READS
    is_about_accounts = operation.partition("-")[0] in _ABOUT_ACCOUNTS
    return is_about_accounts and operation not in _UNREMARKABLE


async def _describe(request: Request, operation: str, outcome: str) -> Happening:
    facts = get_contextvars()
    client = await get_client(request)
    # Bound with the login session: before it, `user_id` is whose account somebody has named.
    caller = facts.get("user_id")
    return Happening(
        kind=operation,
        outcome=outcome,
        actor_id=_read_id(caller) if facts.get("session_id") else None,
        user_id=_find_owner(request, facts),
        address=client.address,
        user_agent=client.user_agent,
        request_id=facts.get("request_id"),
        details={name: facts[name] for name in _DETAILS if name in facts},
    )


def _find_owner(request: Request, facts: Mapping[str, Any]) -> uuid.UUID | None:
    """Return whose account it is about: the one that is named, or the caller's own."""
    named = request.path_params.get("user_id")
    names = ("created_user_id", "owner_id", "user_id")
    return _read_id(named or next((facts[name] for name in names if facts.get(name)), None))


def _read_id(text: object) -> uuid.UUID | None:
    """Read an id of the path, too, which may be anything where the request was refused."""
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None
