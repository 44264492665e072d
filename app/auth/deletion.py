"""Deleting one's own account: at once, or after some days in which signing in takes it back."""

from datetime import timedelta

from sqlalchemy import func, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.sessions import InvalidToken, Login, end_all_sessions
from app.mail import service as mail
from app.users import service as users
from app.users.models import User


async def delete_account(session: AsyncSession, login: Login, grace: timedelta) -> None:
    """Delete the caller; raise `LastSuperuser`, or `InvalidToken` if another request was faster."""
    try:
        if grace:
            await _give_up(session, login.user, grace)
        else:
            await users.delete_user(session, login.user.id)
    except users.UserNotFound as error:
        raise InvalidToken from error


async def _give_up(session: AsyncSession, user: User, grace: timedelta) -> None:
    """Deactivate the user until the purge deletes it."""
    await users.keep_another_superuser(session, user.id)
    leaving = update(User).where(col(User.id) == user.id, col(User.is_active))
    due_at = func.now() + grace
    left = await session.exec(leaving.values(is_active=False, deletion_due_at=due_at))
    if left.rowcount == 0:
        raise users.UserNotFound
    await end_all_sessions(session, user.id)
    await mail.withdraw_password_links(session, user.id)
    told = {"user_id": str(user.id), "email": user.email, "days": grace.days}
    await mail.enqueue(session, "account_deletion", **told)
