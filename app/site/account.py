"""The pages of one's own account: name, address, password, and leaving."""

from typing import Annotated

from fastapi import Form, Response
from fastapi.responses import StreamingResponse

from app.auth import deletion, recovery, service
from app.auth.dependencies import HasherDep, LimitsDep
from app.auth.export import export_user
from app.auth.schemas import EmailChange, PasswordChange
from app.second_factors import service as second_factors
from app.second_factors.dependencies import SecondFactorsDep
from app.site.dependencies import LATELY, CookieDep, UserVisit
from app.site.forms import DeletionForm, LanguageForm, NameForm
from app.site.rights import PLACES, find_rights
from app.site.routing import go, new_router
from app.users import service as users
from app.users.dependencies import DeletionGraceDep
from app.users.schemas import UserUpdateMe
from app.web.errors import InvalidField
from app.web.session import SessionDep, TransactionDep

router = new_router()


@router.get("/account")
async def show_account(session: SessionDep, gate: SecondFactorsDep, visit: UserVisit) -> Response:
    """Show what there is to know, and to change."""
    user = visit.login.user
    return visit.show(
        "account/overview.html",
        user=user,
        factors=await second_factors.describe(session, gate, visit.login),
        administers=bool(await find_rights(session, user, PLACES.values())),
    )


@router.post("/account/verification")
async def request_email_verification(
    session: SessionDep, limits: LimitsDep, visit: UserVisit
) -> Response:
    """Send the mail again that confirms the address."""
    await recovery.request_email_verification(session, limits, visit.login.user)
    return go("/account", "verification")


@router.get("/account/name")
async def ask_for_name(visit: UserVisit) -> Response:
    """Show the form with the name."""
    typed = {"full_name": visit.login.user.full_name or ""}
    return visit.show("forms/account/name.html", typed=typed)


@router.post("/account/name")
async def change_name(
    session: SessionDep, visit: UserVisit, form: Annotated[NameForm, Form()]
) -> Response:
    """Change the name."""
    data = UserUpdateMe(full_name=form.full_name)
    await users.update_user(session, visit.login.user, data)
    return go("/account", "name")


@router.get("/account/language")
async def ask_for_language(visit: UserVisit) -> Response:
    """Show the form with the language."""
    typed = {"language": visit.login.user.language or ""}
    return visit.show("forms/account/language.html", typed=typed)


@router.post("/account/language")
async def change_language(
    session: SessionDep, visit: UserVisit, form: Annotated[LanguageForm, Form()]
) -> Response:
    """Change the language of pages and mails."""
    data = UserUpdateMe(language=form.language)
    await users.update_user(session, visit.login.user, data)
    return go("/account", "language")


@router.get("/account/email", dependencies=LATELY)
async def ask_for_email(visit: UserVisit) -> Response:
    """Show the form for another address."""
    return visit.show("forms/account/email.html")


@router.post("/account/email", dependencies=LATELY)
async def request_email_change(
    session: SessionDep, limits: LimitsDep, visit: UserVisit, form: Annotated[EmailChange, Form()]
) -> Response:
    """Send a link to the new address."""
    await recovery.request_email_change(session, limits, visit.login, form)
    return go("/account", "email")


@router.get("/account/password", dependencies=LATELY)
async def ask_for_password(visit: UserVisit) -> Response:
    """Show the form for another password."""
    return visit.show("forms/account/password.html")


@router.post("/account/password", dependencies=LATELY)
async def change_password(
    session: SessionDep,
    hasher: HasherDep,
    limits: LimitsDep,
    visit: UserVisit,
    form: Annotated[PasswordChange, Form()],
) -> Response:
    """Change the password, and sign out all other devices."""
    await service.change_password(session, hasher, limits, visit.login, form)
    return go("/account", "password")


@router.get("/account/export", dependencies=LATELY)
async def export_account(session: TransactionDep, visit: UserVisit) -> Response:
    """Return all that there is about the account, as a file."""
    parts = await export_user(session, visit.login.user)
    name = {"Content-Disposition": 'attachment; filename="account.json"'}
    return StreamingResponse(parts, media_type="application/json", headers=name)


@router.get("/account/delete", dependencies=LATELY)
async def ask_for_deletion(visit: UserVisit) -> Response:
    """Ask whether the account is to be deleted."""
    return visit.show("forms/account/delete.html")


@router.post("/account/delete", dependencies=LATELY)
async def delete_account(
    session: SessionDep,
    visit: UserVisit,
    cookie: CookieDep,
    grace: DeletionGraceDep,
    form: Annotated[DeletionForm, Form()],
) -> Response:
    """Delete the account and all it has."""
    if form.confirmation.strip().lower() != visit.login.user.email:
        raise InvalidField("confirmation", "Not the address of the account", type="confirmation")
    await deletion.delete_account(session, visit.login, grace)
    answer = go("/")
    cookie.remove(answer)
    return answer
