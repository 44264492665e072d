"""HTTP routes for second factors: the second step of a login, and what the owner sets up."""

from fastapi import status

from app.auth.dependencies import AnyLogin, ClientDep, LimitsDep, RecentAnyLogin
from app.auth.rate_limit import TooManyRequests
from app.auth.schemas import TokenPublic
from app.auth.service import RecentLoginRequired
from app.second_factors import login as logging_in
from app.second_factors import service
from app.second_factors.codes import InvalidCode
from app.second_factors.dependencies import SecondFactorsDep
from app.second_factors.login import InvalidChallenge
from app.second_factors.schemas import (
    RecoveryCodes,
    SecondFactorAnswer,
    SecondFactorsPublic,
    TotpConfirmation,
    TotpEnrolment,
)
from app.second_factors.service import IncorrectCode, NoSecondFactor, TotpExists, TotpNotFound
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
