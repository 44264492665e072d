"""The pages that the mails' links lead to, and the one that asks for such a mail."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Response

from app.auth import recovery
from app.auth.dependencies import (
    ClientDep,
    HasherDep,
    LimitsDep,
    OptionalLogin,
    limit_mail_tokens,
)
from app.auth.schemas import EmailConfirmation, PasswordReset, PasswordResetRequest
from app.web.pages.routing import FORM_RULES, PageRoute, PagesDep
from app.web.session import SessionDep

router = APIRouter(
    tags=["pages"], route_class=PageRoute, dependencies=FORM_RULES, include_in_schema=False
)


@router.get("/set-password")
async def ask_for_new_password(pages: PagesDep) -> Response:
    """Show the form to which the links of resets and invitations lead."""
    return pages.render("set_password.html")


@router.post("/set-password", dependencies=[Depends(limit_mail_tokens)])
async def set_password(
    session: SessionDep, hasher: HasherDep, pages: PagesDep, form: Annotated[PasswordReset, Form()]
) -> Response:
    """Set the password of the user whose token it is."""
    await recovery.reset_password(session, hasher, form)
    return pages.render("password_set.html")


@router.get("/confirm-email")
async def ask_for_confirmation(pages: PagesDep, login: OptionalLogin) -> Response:
    """Show the form to which the links of verifications and changes of address lead."""
    email = login.user.email if login else None
    return pages.render("confirm_email.html", signed_in_as=email)


@router.post("/confirm-email", dependencies=[Depends(limit_mail_tokens)])
async def confirm_email(
    session: SessionDep,
    pages: PagesDep,
    login: OptionalLogin,
    form: Annotated[EmailConfirmation, Form()],
) -> Response:
    """Confirm the address for which the token was made.

    Who is not signed in to the account in this browser is asked for a new password.
    """
    token = await recovery.confirm_email(session, login, form)
    return pages.render("email_confirmed.html", typed={"token": token} if token else {})


@router.get("/forgot-password")
async def ask_for_address(pages: PagesDep) -> Response:
    """Show the form that asks for a link."""
    return pages.render("forgot_password.html")


@router.post("/forgot-password")
async def request_password_reset(
    session: SessionDep,
    limits: LimitsDep,
    client: ClientDep,
    pages: PagesDep,
    form: Annotated[PasswordResetRequest, Form()],
) -> Response:
    """Mail a link; the page says the same whether or not there is an account."""
    await recovery.request_password_reset(session, limits, client, form)
    return pages.render("reset_requested.html", email=form.email)
