"""Who is calling: add `CurrentUser` to a route and it needs a login."""

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol

from fastapi import Depends, Form, Request
from fastapi.security import OAuth2PasswordBearer
from structlog.contextvars import bind_contextvars

from app.auth.gate import Gate
from app.auth.limits import MAIL_TOKENS_PER_NETWORK, PER_NETWORK, SIGN_UPS_PER_MAILBOX, find_mailbox
from app.auth.login import Attempt
from app.auth.passwords import PasswordHasher
from app.auth.rate_limit import RateLimits
from app.auth.schemas import LoginForm, SignUp
from app.auth.service import RecentLoginRequired, authenticate
from app.auth.sessions import Client, Login
from app.users.models import User
from app.users.permissions import PermissionRequired, SuperuserRequired, may
from app.web.clients import find_address, find_user_agent
from app.web.errors import Unauthenticated
from app.web.languages import SPOKEN, find_known
from app.web.session import SessionDep, get_database


class NotAuthenticated(Unauthenticated):
    """An access token is needed."""

    headers: ClassVar = {"WWW-Authenticate": "Bearer"}


class TokenSource(Protocol):
    """Where a token may be besides the header; `app/parts.py` names what features bring."""

    def find_token(self, request: Request) -> str | None: ...


# FastAPI's own refusal is no problem document, so that of a missing token is ours.
_scheme = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/login", auto_error=False)


async def get_any_login(
    request: Request, session: SessionDep, token: Annotated[str | None, Depends(_scheme)]
) -> Login:
    """Return the caller's login even where the gate lets it do nothing else."""
    if token is None:
        token = _find_other_token(request)
    login = await authenticate(session, await get_database(request), token)
    bind_contextvars(user_id=str(login.user.id), session_id=str(login.session_id))
    if language := find_known(login.user.language):
        request.state.language = session.info[SPOKEN] = language
    return login


def _find_other_token(request: Request) -> str:
    sources: Sequence[TokenSource] = request.app.state.token_sources
    for source in sources:
        if token := source.find_token(request):
            return token
    raise NotAuthenticated


AnyLogin = Annotated[Login, Depends(get_any_login)]


async def get_current_login(
    request: Request, session: SessionDep, token: Annotated[str | None, Depends(_scheme)]
) -> Login:
    login = await get_any_login(request, session, token)
    (await get_gate(request)).admit(login)
    return login


CurrentLogin = Annotated[Login, Depends(get_current_login)]


async def get_current_user(login: CurrentLogin) -> User:
    return login.user


CurrentUser = Annotated[User, Depends(get_current_user)]


async def find_current_login(
    request: Request, session: SessionDep, token: Annotated[str | None, Depends(_scheme)]
) -> Login | None:
    """Return the caller's login, if there is one, for a route that is open to anyone."""
    try:
        return await get_any_login(request, session, token)
    except Unauthenticated:
        return None


OptionalLogin = Annotated[Login | None, Depends(find_current_login)]


async def get_recent_login(login: CurrentLogin) -> Login:
    if not login.is_recent:
        raise RecentLoginRequired
    return login


RecentLogin = Annotated[Login, Depends(get_recent_login)]


async def get_recent_any_login(login: AnyLogin) -> Login:
    return await get_recent_login(login)


RecentAnyLogin = Annotated[Login, Depends(get_recent_any_login)]


async def get_superuser(user: CurrentUser) -> User:
    if not user.is_superuser:
        raise SuperuserRequired
    return user


Superuser = Annotated[User, Depends(get_superuser)]


@dataclass(frozen=True)
class Requires:
    """What `requires` makes; equal ones are asked once in a request."""

    permission: str

    async def __call__(self, session: SessionDep, user: CurrentUser) -> User:
        if not await may(session, user, self.permission):
            raise PermissionRequired(self.permission)
        return user


def requires(permission: str) -> Requires:
    """Return a dependency, as in `Depends(requires("users:read"))`, that lets in who may."""
    return Requires(permission)


async def spare_superusers(session: SessionDep, caller: CurrentUser, user_id: uuid.UUID) -> None:
    """Refuse to let anyone but superusers administer one."""
    if caller.is_superuser:
        return
    user = await session.get(User, user_id)
    if user and user.is_superuser:
        raise SuperuserRequired


async def get_hasher(request: Request) -> PasswordHasher:
    hasher: PasswordHasher = request.app.state.hasher
    return hasher


HasherDep = Annotated[PasswordHasher, Depends(get_hasher)]


async def get_limits(request: Request) -> AsyncIterator[RateLimits]:
    async with request.app.state.limits.for_request() as limits:
        yield limits


LimitsDep = Annotated[RateLimits, Depends(get_limits)]


async def get_gate(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


GateDep = Annotated[Gate, Depends(get_gate)]


async def get_client(request: Request) -> Client:
    return Client(find_address(request), find_user_agent(request))


ClientDep = Annotated[Client, Depends(get_client)]


async def get_attempt(client: ClientDep, form: Annotated[LoginForm, Form()]) -> Attempt:
    return Attempt(form, client)


AttemptDep = Annotated[Attempt, Depends(get_attempt)]


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
