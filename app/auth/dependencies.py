"""Who is calling: add `CurrentUser` to a route and it needs a login."""

import re
from ipaddress import ip_address
from typing import Annotated, ClassVar

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from fastapi.security.utils import get_authorization_scheme_param
from structlog.contextvars import bind_contextvars

from app.auth.passwords import PasswordHasher
from app.auth.rate_limit import (
    MAIL_TOKENS_PER_NETWORK,
    PER_NETWORK,
    SIGN_UPS_PER_MAILBOX,
    RateLimits,
    find_mailbox,
)
from app.auth.schemas import SignUp
from app.auth.service import Client, Login, RecentLoginRequired, authenticate
from app.database.session import Session
from app.users.models import User
from app.web.errors import Forbidden, Unauthenticated

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class NotAuthenticated(Unauthenticated):
    """An access token is needed."""

    headers: ClassVar = {"WWW-Authenticate": "Bearer"}


class SuperuserRequired(Forbidden):
    """Only superusers may do this."""


class _Authentication(OAuth2PasswordBearer):
    """The scheme that the API's documentation shows, which also finds who is calling.

    It needs no other dependencies, and none stands between it and a route that wants the user:
    each would cost the request 20 us.
    """

    def __init__(self) -> None:
        # Errors are this module's own, since FastAPI's answer is no problem document.
        scheme_name = OAuth2PasswordBearer.__name__
        super().__init__("/api/v1/auth/login", scheme_name=scheme_name, auto_error=False)

    async def find_login(self, request: Request) -> Login:
        session: Session = request.state.session
        known: Login | None = session.memo.get(Login)
        if known:
            return known
        header = request.headers.get("Authorization")
        scheme, token = get_authorization_scheme_param(header)
        if scheme.lower() != "bearer" or not token:
            raise NotAuthenticated
        login = session.memo[Login] = await authenticate(session, token)
        bind_contextvars(user_id=str(login.user.id), session_id=str(login.session_id))
        return login


class _GetCurrentLogin(_Authentication):
    async def __call__(self, request: Request) -> Login:  # type: ignore[override]  # not the token
        return await self.find_login(request)


class _GetCurrentUser(_Authentication):
    async def __call__(self, request: Request) -> User:  # type: ignore[override]  # not the token
        return (await self.find_login(request)).user


get_current_login = _GetCurrentLogin()
CurrentLogin = Annotated[Login, Depends(get_current_login)]


async def find_current_login(request: Request) -> Login | None:
    """Return the caller's login, if there is one, for a route that is open to anyone."""
    try:
        return await get_current_login(request)
    except Unauthenticated:
        return None


OptionalLogin = Annotated[Login | None, Depends(find_current_login)]

get_current_user = _GetCurrentUser()
CurrentUser = Annotated[User, Depends(get_current_user)]


async def get_recent_login(login: CurrentLogin) -> Login:
    if not login.is_recent:
        raise RecentLoginRequired
    return login


RecentLogin = Annotated[Login, Depends(get_recent_login)]


async def get_superuser(user: CurrentUser) -> User:
    if not user.is_superuser:
        raise SuperuserRequired
    return user


Superuser = Annotated[User, Depends(get_superuser)]


async def get_hasher(request: Request) -> PasswordHasher:
    hasher: PasswordHasher = request.app.state.hasher
    return hasher


HasherDep = Annotated[PasswordHasher, Depends(get_hasher)]


async def get_limits(request: Request) -> RateLimits:
    limits: RateLimits = request.app.state.limits
    return limits


LimitsDep = Annotated[RateLimits, Depends(get_limits)]


async def get_client(request: Request) -> Client:
    """Return where a request comes from, as the database can keep it: a header may be anything."""
    user_agent = _CONTROL_CHARACTERS.sub(" ", request.headers.get("user-agent", "")[:255])
    return Client(_find_address(request), user_agent or None)


def _find_address(request: Request) -> str | None:
    try:
        # Over a UNIX socket, or from a proxy that is trusted, it may be no address.
        return str(ip_address(request.client.host)) if request.client else None
    except ValueError:
        return None


ClientDep = Annotated[Client, Depends(get_client)]


async def limit_sign_up(
    hasher: HasherDep, limits: LimitsDep, client: ClientDep, data: SignUp
) -> SignUp:
    hasher.require_place()
    mailbox = find_mailbox(data.email)
    await limits.consume(PER_NETWORK.use(client.network), SIGN_UPS_PER_MAILBOX.use(mailbox))
    return data


LimitedSignUp = Annotated[SignUp, Depends(limit_sign_up)]


async def limit_mail_tokens(limits: LimitsDep, client: ClientDep) -> None:
    """Keep a network from trying tokens; for the `dependencies` of a route that takes them."""
    await limits.consume(MAIL_TOKENS_PER_NETWORK.use(client.network))
