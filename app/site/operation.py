"""Administrators' pages of how the service does: mail that is not sent, and its state."""

import uuid
from typing import Final

from fastapi import Request, Response
from sqlmodel import func, select

from app.auth.dependencies import HasherDep, get_superuser
from app.mail import waiting
from app.site.dependencies import UserVisit, visit_as_user
from app.site.rights import show_rights
from app.site.routing import go, new_router
from app.users import service as users
from app.web.health import read_revisions
from app.web.languages import N_
from app.web.session import DatabaseDep, SessionDep

router = new_router(visit_as_user, show_rights, get_superuser)
MAIL = "/admin/mail"
_KINDS: Final = {
    "password_reset": N_("Password reset"),
    "password_changed": N_("Password changed"),
    "invitation": N_("Invitation"),
    "email_verification": N_("Confirmation of an address"),
    "email_change": N_("Change of address"),
    "email_changed": N_("Address changed"),
    "new_login": N_("New login"),
    "account_deletion": N_("Account deletion"),
    "second_factor_changed": N_("Second factor changed"),
    "second_factor_failed": N_("Wrong codes"),
    "second_factor_reset": N_("Second factor reset"),
    "second_factor_reset_requested": N_("Second factor reset requested"),
}
_VERSION = select(func.current_setting("server_version"))


def name_mail(kind: str) -> str:
    """Return what a mail is about; the page translates it."""
    return _KINDS.get(kind, kind.replace("_", " ").capitalize())


@router.get(MAIL)
async def list_mail(session: SessionDep, visit: UserVisit) -> Response:
    """Show mail that waits, and mail that was given up."""
    given_up = await waiting.list_waiting(session, given_up=True)
    mails = await waiting.list_waiting(session, given_up=False)
    named = {each.payload["user_id"] for each in (*mails, *given_up) if "user_id" in each.payload}
    found = await users.find_emails(session, {uuid.UUID(each) for each in named})
    emails = {str(user_id): email for user_id, email in found.items()}
    return visit.show(
        "admin/mail.html", mails=mails, given_up=given_up, emails=emails, name_mail=name_mail
    )


@router.post(f"{MAIL}/{{mail_id}}/retry")
async def retry_mail(session: SessionDep, mail_id: uuid.UUID) -> Response:
    """Have a mail tried again at once."""
    await waiting.retry_mail(session, mail_id)
    return go(MAIL, "retried")


@router.get("/admin/service")
async def show_service(
    request: Request,
    session: SessionDep,
    database: DatabaseDep,
    hasher: HasherDep,
    visit: UserVisit,
) -> Response:
    """Show what this process and the database are at."""
    return visit.show(
        "admin/service.html",
        release=sorted(request.app.state.revisions.newest),
        revisions=sorted(await read_revisions(session)),
        postgresql=(await session.exec(_VERSION)).one(),
        connections=database.connections_in_use,
        pool_size=request.app.state.settings.database_pool_size,
        hashing=hasher.queue_length,
        mail=await waiting.describe_backlog(session),
    )
