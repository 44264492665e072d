"""The pages of passkeys: to sign in with them, and one's own."""

import uuid
from typing import Annotated

from fastapi import Form, Response

from app.auth.dependencies import ClientDep, LimitsDep
from app.passkeys import login as logging_in
from app.passkeys import service
from app.passkeys.dependencies import RelyingPartyDep
from app.passkeys.schemas import PasskeyCreate, PasskeyLogin, PasskeySecondStep, PasskeyUpdate
from app.second_factors.dependencies import SecondFactorsDep
from app.site.confirming import Question, show_codes
from app.site.dependencies import LATELY_ANYBODY, AnyVisit
from app.site.entering import EntranceDep
from app.site.forms import NewPasskeyForm, PasskeyForm
from app.site.routing import go, new_router
from app.web.languages import N_
from app.web.session import SessionDep

router = new_router()
PATH = "/account/passkeys"


@router.post("/sign-in/passkey")
async def sign_in_with_passkey(
    limits: LimitsDep,
    relying_party: RelyingPartyDep,
    client: ClientDep,
    form: Annotated[PasskeyForm, Form()],
    entrance: EntranceDep,
) -> Response:
    """Sign in with a passkey, alone or after a password."""
    around = (entrance.session, limits, relying_party, client)
    if form.challenge is None:
        token = await logging_in.log_in(*around, PasskeyLogin(credential=form.credential))
    else:
        step = PasskeySecondStep(credential=form.credential, challenge=form.challenge)
        token = await logging_in.complete_login(*around, step)
    return await entrance.enter(token)


@router.get(PATH)
async def list_passkeys(session: SessionDep, visit: AnyVisit) -> Response:
    """Show the passkeys, and how to add one."""
    passkeys = await service.list_passkeys(session, visit.login)
    user_agent = visit.request.headers.get("user-agent")
    return visit.show("account/passkeys.html", passkeys=passkeys, user_agent=user_agent)


@router.post(PATH, dependencies=LATELY_ANYBODY)
async def add_passkey(
    session: SessionDep,
    relying_party: RelyingPartyDep,
    visit: AnyVisit,
    form: Annotated[NewPasskeyForm, Form()],
) -> Response:
    """Add the passkey that the browser has made."""
    data = PasskeyCreate(name=form.name, credential=form.credential)
    new = await service.create_passkey(session, relying_party, visit.login, data)
    if not new.recovery_codes:
        return go(PATH, "passkey")
    message = N_("The passkey is added. All other devices are signed out.")
    return show_codes(visit, new.recovery_codes, message, PATH)


@router.get(f"{PATH}/{{passkey_id}}")
async def ask_for_passkey_name(
    session: SessionDep, visit: AnyVisit, passkey_id: uuid.UUID
) -> Response:
    """Show the form with the name of a passkey."""
    passkey = await service.get_passkey(session, visit.login, passkey_id)
    return visit.show("account/passkey.html", typed={"name": passkey.name})


@router.post(f"{PATH}/{{passkey_id}}")
async def update_passkey(
    session: SessionDep,
    visit: AnyVisit,
    passkey_id: uuid.UUID,
    form: Annotated[PasskeyUpdate, Form()],
) -> Response:
    """Give a passkey another name."""
    await service.update_passkey(session, visit.login, passkey_id, form)
    return go(PATH, "passkey_renamed")


@router.get(f"{PATH}/{{passkey_id}}/remove", dependencies=LATELY_ANYBODY)
async def ask_to_remove_passkey(
    session: SessionDep, visit: AnyVisit, passkey_id: uuid.UUID
) -> Response:
    """Ask whether a passkey is to be removed."""
    passkey = await service.get_passkey(session, visit.login, passkey_id)
    question = Question(
        title=N_("Remove this passkey?"),
        text=N_("It will sign you in no more. All other devices are signed out."),
        button=N_("Remove the passkey"),
        back=PATH,
        about=passkey.name,
    )
    return visit.show("confirm.html", question=question)


@router.post(f"{PATH}/{{passkey_id}}/remove", dependencies=LATELY_ANYBODY)
async def remove_passkey(
    session: SessionDep, gate: SecondFactorsDep, visit: AnyVisit, passkey_id: uuid.UUID
) -> Response:
    """Remove a passkey."""
    await service.remove_passkey(session, gate, visit.login, passkey_id)
    return go(PATH, "passkey_removed")
