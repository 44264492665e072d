"""What administrators do to a user: each is asked for on a page of its own, and then done."""

import uuid
from enum import StrEnum
from typing import Final

from fastapi import Response

from app.auth import recovery
from app.auth import service as auth
from app.auth.dependencies import CurrentUser, get_recent_login, requires, spare_superusers
from app.auth.sessions import end_all_sessions
from app.second_factors.dependencies import SecondFactorsDep
from app.second_factors.reset import request_reset
from app.site.confirming import Question
from app.site.dependencies import UserVisit, visit_as_user
from app.site.routing import go, new_router
from app.site.users import PATH as USERS
from app.users import service
from app.users.schemas import UserUpdate
from app.web.languages import N_
from app.web.session import SessionDep

router = new_router(visit_as_user, requires("users:write"), spare_superusers, get_recent_login)
PATH = f"{USERS}/{{user_id}}"


class Change(StrEnum):
    DEACTIVATE = "deactivate"
    ACTIVATE = "activate"
    PROMOTE = "promote"
    DEMOTE = "demote"
    SIGN_OUT = "sign-out"
    MAIL_LINK = "mail-link"
    RESET = "reset-second-factors"
    DELETE = "delete"


_QUESTIONS: Final = {
    Change.DEACTIVATE: (
        N_("Deactivate this account?"),
        N_("It is signed out everywhere, and nobody can sign in to it until it is active again."),
        N_("Deactivate"),
    ),
    Change.ACTIVATE: (
        N_("Activate this account?"),
        N_("Its owner can sign in again."),
        N_("Activate"),
    ),
    Change.PROMOTE: (
        N_("Make this user an administrator?"),
        N_("Administrators see all users, and change and delete them."),
        N_("Make administrator"),
    ),
    Change.DEMOTE: (
        N_("Take the administration away?"),
        N_("The user can only manage the own account then."),
        N_("Take away"),
    ),
    Change.SIGN_OUT: (
        N_("Sign this user out everywhere?"),
        N_("All devices have to sign in again."),
        N_("Sign out everywhere"),
    ),
    Change.MAIL_LINK: (
        N_("Mail a link?"),
        N_("The user gets a mail with a link to choose a password. A deactivated user gets none."),
        N_("Send mail"),
    ),
    Change.RESET: (
        N_("Reset the second factors?"),
        N_(
            "The user is warned by mail at once, and gets a link in 24 hours that removes them all."
        ),
        N_("Begin the reset"),
    ),
    Change.DELETE: (
        N_("Delete this account?"),
        N_("Everything that belongs to it goes with it, at once and for good."),
        N_("Delete"),
    ),
}
_HARMLESS: Final = {Change.ACTIVATE, Change.MAIL_LINK, Change.PROMOTE}


def _back(user_id: uuid.UUID, change: Change) -> Response:
    return go(f"{USERS}/{user_id}", change)


@router.get(f"{PATH}/{{change}}")
async def ask_to_change(
    session: SessionDep, visit: UserVisit, user_id: uuid.UUID, change: Change
) -> Response:
    """Ask whether it is to be done."""
    user = await service.get_user(session, user_id)
    title, text, button = _QUESTIONS[change]
    back = f"{USERS}/{user_id}"
    is_grave = change not in _HARMLESS
    question = Question(title, text, button, back, about=user.email, is_grave=is_grave)
    return visit.show("confirm.html", question=question)


@router.post(f"{PATH}/{Change.DEACTIVATE}")
async def deactivate_user(session: SessionDep, caller: CurrentUser, user_id: uuid.UUID) -> Response:
    """Let nobody sign in to the account, and sign it out."""
    await auth.administer_user(session, caller, user_id, UserUpdate(is_active=False))
    return _back(user_id, Change.DEACTIVATE)


@router.post(f"{PATH}/{Change.ACTIVATE}")
async def activate_user(session: SessionDep, caller: CurrentUser, user_id: uuid.UUID) -> Response:
    """Let its owner sign in to the account again."""
    await auth.administer_user(session, caller, user_id, UserUpdate(is_active=True))
    return _back(user_id, Change.ACTIVATE)


@router.post(f"{PATH}/{Change.PROMOTE}")
async def promote_user(session: SessionDep, caller: CurrentUser, user_id: uuid.UUID) -> Response:
    """Make the user an administrator."""
    await auth.administer_user(session, caller, user_id, UserUpdate(is_superuser=True))
    return _back(user_id, Change.PROMOTE)


@router.post(f"{PATH}/{Change.DEMOTE}")
async def demote_user(session: SessionDep, caller: CurrentUser, user_id: uuid.UUID) -> Response:
    """Make the user no administrator any more."""
    await auth.administer_user(session, caller, user_id, UserUpdate(is_superuser=False))
    return _back(user_id, Change.DEMOTE)


@router.post(f"{PATH}/{Change.SIGN_OUT}")
async def end_user_sessions(session: SessionDep, user_id: uuid.UUID) -> Response:
    """Sign the user out everywhere."""
    await end_all_sessions(session, user_id)
    return _back(user_id, Change.SIGN_OUT)


@router.post(f"{PATH}/{Change.MAIL_LINK}")
async def mail_password_link(session: SessionDep, user_id: uuid.UUID) -> Response:
    """Mail the user a link to choose a password."""
    await recovery.mail_password_link(session, user_id)
    return _back(user_id, Change.MAIL_LINK)


@router.post(f"{PATH}/{Change.RESET}")
async def reset_second_factors(
    session: SessionDep, gate: SecondFactorsDep, user_id: uuid.UUID
) -> Response:
    """Warn the user, and mail a link after a day."""
    await request_reset(session, gate, user_id)
    return _back(user_id, Change.RESET)


@router.post(f"{PATH}/{Change.DELETE}")
async def delete_user(session: SessionDep, user_id: uuid.UUID) -> Response:
    """Delete the user and all it has."""
    await service.delete_user(session, user_id)
    return go(USERS, Change.DELETE)
