"""The pages of second factors: the second step of a login, apps for codes, recovery codes."""

from typing import Annotated

from fastapi import Form, Response

from app.auth.dependencies import ClientDep, LimitsDep
from app.second_factors import login as logging_in
from app.second_factors import service
from app.second_factors.dependencies import SecondFactorsDep
from app.second_factors.schemas import SecondFactorAnswer, TotpConfirmation
from app.site.confirming import Question, show_codes
from app.site.dependencies import LATELY_ANYBODY, AnyVisit
from app.site.entering import EntranceDep
from app.site.forms import CodeForm
from app.site.routing import go, new_router
from app.web.languages import N_
from app.web.session import SessionDep

router = new_router()
PATH = "/account/second-factors"
REMOVAL = Question(
    title=N_("Remove the app?"),
    text=N_("Its codes will sign you in no more. All other devices are signed out."),
    button=N_("Remove the app"),
    back=PATH,
)


@router.post("/sign-in/code")
async def sign_in_with_code(
    limits: LimitsDep,
    gate: SecondFactorsDep,
    client: ClientDep,
    form: Annotated[CodeForm, Form()],
    entrance: EntranceDep,
) -> Response:
    """Complete a login with a code."""
    answer = SecondFactorAnswer(challenge=form.challenge, code=form.code)
    session = entrance.session
    return await entrance.enter(
        await logging_in.complete_login(session, limits, gate, answer, client)
    )


@router.get(PATH)
async def show_second_factors(
    session: SessionDep, gate: SecondFactorsDep, visit: AnyVisit
) -> Response:
    """Show what there is besides the password."""
    factors = await service.describe(session, gate, visit.login)
    return visit.show("account/second_factors.html", factors=factors)


@router.post(f"{PATH}/app", dependencies=LATELY_ANYBODY)
async def start_totp(session: SessionDep, gate: SecondFactorsDep, visit: AnyVisit) -> Response:
    """Show the secret for an app; it counts from its first code on."""
    enrolment = await service.start_totp(session, gate, visit.login)
    return visit.show("forms/account/second_factors/app/confirm.html", enrolment=enrolment)


@router.post(f"{PATH}/app/confirm", dependencies=LATELY_ANYBODY)
async def confirm_totp(
    session: SessionDep,
    limits: LimitsDep,
    gate: SecondFactorsDep,
    visit: AnyVisit,
    form: Annotated[TotpConfirmation, Form()],
) -> Response:
    """Let the app count, and show the recovery codes that come with the first factor."""
    codes = await service.confirm_totp(session, limits, gate, visit.login, form)
    message = N_("The app is set up. All other devices are signed out.")
    return show_codes(visit, codes.recovery_codes, message, PATH)


@router.get(f"{PATH}/app/remove", dependencies=LATELY_ANYBODY)
async def ask_to_remove_totp(visit: AnyVisit) -> Response:
    """Ask whether the app is to be removed."""
    return visit.show("confirm.html", question=REMOVAL)


@router.post(f"{PATH}/app/remove", dependencies=LATELY_ANYBODY)
async def remove_totp(session: SessionDep, gate: SecondFactorsDep, visit: AnyVisit) -> Response:
    """Remove the app."""
    await service.remove_totp(session, gate, visit.login)
    return go(PATH, "app_removed")


@router.post(f"{PATH}/recovery-codes", dependencies=LATELY_ANYBODY)
async def make_recovery_codes(
    session: SessionDep, gate: SecondFactorsDep, visit: AnyVisit
) -> Response:
    """Make ten new recovery codes, and show them this once."""
    codes = await service.make_recovery_codes(session, gate, visit.login)
    message = N_("The codes that you had before work no more.")
    return show_codes(visit, codes.recovery_codes, message, PATH)
