"""HTTP routes for second factors: the second step of a login, and what the owner sets up."""

import uuid

from fastapi import Depends, Response, status

from app.auth.dependencies import (
    AnyLogin,
    ClientDep,
    LimitsDep,
    RecentAnyLogin,
    get_recent_login,
    limit_mail_tokens,
    requires,
    spare_superusers,
)
from app.auth.rate_limit import TooManyRequests
from app.auth.schemas import TokenPublic
from app.auth.service import RecentLoginRequired
from app.mail.service import InvalidToken as InvalidMailToken
from app.second_factors import login as logging_in
from app.second_factors import reset, service
from app.second_factors.codes import InvalidCode
from app.second_factors.dependencies import SecondFactorsDep
from app.second_factors.gate import NoSecondFactor
from app.second_factors.login import InvalidChallenge
from app.second_factors.schemas import (
    RecoveryCodes,
    SecondFactorAnswer,
    SecondFactorReset,
    SecondFactorsPublic,
    TotpConfirmation,
    TotpEnrolment,
)
from app.second_factors.service import IncorrectCode, TotpExists, TotpNotFound
from app.users.permissions import PermissionRequired, SuperuserRequired
from app.users.service import UserNotFound
from app.web.problems import problems
from app.web.router import Router
from app.web.session import SessionDep

router = Router(tags=["second factors"])
PATH = "/users/me/second-factors"


@router.post(
    "/auth/login/second-factor",
    responses=problems(InvalidChallenge, InvalidCode, TooManyRequests),
)
async def complete_login(
    session: SessionDep,
    limits: LimitsDep,
    gate: SecondFactorsDep,
    client: ClientDep,
    data: SecondFactorAnswer,
) -> TokenPublic:
    """Trade the challenge of a login, and a code, for an access token.

    The challenge works for 5 minutes, from the network that got it.
    """
    return await logging_in.complete_login(session, limits, gate, data, client)


@router.get(PATH)
async def get_second_factors(
    session: SessionDep, gate: SecondFactorsDep, login: AnyLogin
) -> SecondFactorsPublic:
    """Return which second factors the caller has."""
    return await service.describe(session, gate, login)


@router.post(
    f"{PATH}/totp",
    status_code=status.HTTP_201_CREATED,
    responses=problems(RecentLoginRequired, TotpExists),
)
async def start_totp(
    session: SessionDep, gate: SecondFactorsDep, login: RecentAnyLogin
) -> TotpEnrolment:
    """Make a secret for an app of one-time codes; it counts once a code is confirmed."""
    return await service.start_totp(session, gate, login)


@router.post(
    f"{PATH}/totp/confirm",
    responses=problems(RecentLoginRequired, IncorrectCode, TooManyRequests),
)
async def confirm_totp(
    session: SessionDep,
    limits: LimitsDep,
    gate: SecondFactorsDep,
    login: RecentAnyLogin,
    data: TotpConfirmation,
) -> RecoveryCodes:
    """Give the app's first code: from now on, logins need one. All other devices are signed out.

    With the account's first second factor come ten recovery codes, which are shown this once.
    """
    return await service.confirm_totp(session, limits, gate, login, data)


@router.delete(
    f"{PATH}/totp",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(RecentLoginRequired, TotpNotFound),
)
async def remove_totp(session: SessionDep, gate: SecondFactorsDep, login: RecentAnyLogin) -> None:
    """Remove the app. All other devices are signed out."""
    await service.remove_totp(session, gate, login)


@router.post(
    f"{PATH}/recovery-codes",
    responses=problems(RecentLoginRequired, NoSecondFactor),
)
async def make_recovery_codes(
    session: SessionDep, gate: SecondFactorsDep, login: RecentAnyLogin
) -> RecoveryCodes:
    """Make ten new recovery codes; the old ones work no more."""
    return await service.make_recovery_codes(session, gate, login)


@router.post(
    "/users/{user_id}/second-factor-reset",
    status_code=status.HTTP_202_ACCEPTED,
    response_class=Response,
    responses=problems(
        PermissionRequired, SuperuserRequired, RecentLoginRequired, UserNotFound, NoSecondFactor
    ),
    dependencies=[
        *(Depends(requires("users:write")), Depends(spare_superusers)),
        Depends(get_recent_login),
    ],
)
async def request_reset(session: SessionDep, gate: SecondFactorsDep, user_id: uuid.UUID) -> None:
    """Warn a user who has lost every second factor, and mail a link after 24 hours.

    A login with the second factor ends it.
    """
    await reset.request_reset(session, gate, user_id)


@router.post(
    "/auth/second-factor-reset/confirm",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[Depends(limit_mail_tokens)],
    responses=problems(InvalidMailToken, TooManyRequests),
)
async def confirm_reset(
    session: SessionDep, gate: SecondFactorsDep, data: SecondFactorReset
) -> None:
    """Remove all second factors with the code of a mail, and sign out everywhere."""
    await reset.confirm_reset(session, gate, data)
