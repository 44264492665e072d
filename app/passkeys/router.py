"""HTTP routes for passkeys: one's own, and to sign in with them."""

import uuid
from collections.abc import Sequence

from fastapi import status

from app.auth.dependencies import AnyLogin, ClientDep, LimitsDep, RecentAnyLogin
from app.auth.rate_limit import TooManyRequests
from app.auth.schemas import TokenPublic
from app.auth.service import RecentLoginRequired
from app.passkeys import login as logging_in
from app.passkeys import service
from app.passkeys.dependencies import RelyingPartyDep
from app.passkeys.login import PasskeyRefused
from app.passkeys.models import Passkey
from app.passkeys.schemas import (
    NewPasskey,
    PasskeyChallengeAnswer,
    PasskeyCreate,
    PasskeyLogin,
    PasskeyOptions,
    PasskeyPublic,
    PasskeySecondStep,
    PasskeyUpdate,
)
from app.passkeys.service import InvalidPasskey, PasskeyNotFound, PasskeyTaken, TooManyPasskeys
from app.second_factors.dependencies import SecondFactorsDep
from app.second_factors.login import InvalidChallenge
from app.web.problems import problems
from app.web.router import Router
from app.web.session import SessionDep

router = Router(tags=["passkeys"])
PATH = "/users/me/passkeys"


@router.post("/auth/login/passkey/options", responses=problems(TooManyRequests))
async def start_login(
    session: SessionDep, limits: LimitsDep, relying_party: RelyingPartyDep, client: ClientDep
) -> PasskeyOptions:
    """Ask for a login with a passkey alone: the browser offers those that it has."""
    return await logging_in.start_login(session, limits, relying_party, client)


@router.post("/auth/login/passkey", responses=problems(PasskeyRefused, TooManyRequests))
async def log_in(
    session: SessionDep,
    limits: LimitsDep,
    relying_party: RelyingPartyDep,
    client: ClientDep,
    data: PasskeyLogin,
) -> TokenPublic:
    """Trade what a passkey has signed for an access token."""
    return await logging_in.log_in(session, limits, relying_party, client, data)


@router.post(
    "/auth/login/second-factor/passkey/options",
    responses=problems(InvalidChallenge, TooManyRequests),
)
async def start_second_step(
    session: SessionDep,
    limits: LimitsDep,
    relying_party: RelyingPartyDep,
    client: ClientDep,
    data: PasskeyChallengeAnswer,
) -> PasskeyOptions:
    """Ask for one of the user's passkeys, after the right password."""
    return await logging_in.start_second_step(session, limits, relying_party, client, data)


@router.post(
    "/auth/login/second-factor/passkey",
    responses=problems(InvalidChallenge, PasskeyRefused, TooManyRequests),
)
async def complete_login(
    session: SessionDep,
    limits: LimitsDep,
    relying_party: RelyingPartyDep,
    client: ClientDep,
    data: PasskeySecondStep,
) -> TokenPublic:
    """Trade the challenge of a login, and what a passkey has signed, for an access token."""
    return await logging_in.complete_login(session, limits, relying_party, client, data)


@router.get(PATH, response_model=Sequence[PasskeyPublic])
async def list_passkeys(session: SessionDep, login: AnyLogin) -> Sequence[Passkey]:
    """List the caller's passkeys, the oldest first."""
    return await service.list_passkeys(session, login)


@router.post(f"{PATH}/options", responses=problems(RecentLoginRequired))
async def start_passkey(
    session: SessionDep, relying_party: RelyingPartyDep, login: RecentAnyLogin
) -> PasskeyOptions:
    """Ask the browser for a new passkey."""
    return await service.start_passkey(session, relying_party, login)


@router.post(
    PATH,
    status_code=status.HTTP_201_CREATED,
    responses=problems(RecentLoginRequired, InvalidPasskey, PasskeyTaken, TooManyPasskeys),
)
async def create_passkey(
    session: SessionDep,
    relying_party: RelyingPartyDep,
    login: RecentAnyLogin,
    data: PasskeyCreate,
) -> NewPasskey:
    """Add the passkey that the browser has made. All other devices are signed out."""
    return await service.create_passkey(session, relying_party, login, data)


@router.patch(
    f"{PATH}/{{passkey_id}}", response_model=PasskeyPublic, responses=problems(PasskeyNotFound)
)
async def update_passkey(
    session: SessionDep, login: AnyLogin, passkey_id: uuid.UUID, data: PasskeyUpdate
) -> Passkey:
    """Give a passkey another name."""
    return await service.update_passkey(session, login, passkey_id, data)


@router.delete(
    f"{PATH}/{{passkey_id}}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(RecentLoginRequired, PasskeyNotFound),
)
async def remove_passkey(
    session: SessionDep, gate: SecondFactorsDep, login: RecentAnyLogin, passkey_id: uuid.UUID
) -> None:
    """Remove a passkey. All other devices are signed out."""
    await service.remove_passkey(session, gate, login, passkey_id)
