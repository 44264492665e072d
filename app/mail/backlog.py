"""How much mail waits: for metrics."""

from sqlalchemy import extract
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.models import Outbox

_IS_DUE = (col(Outbox.sent_at).is_(None), col(Outbox.run_at) <= func.now())


async def count_due_mails(session: AsyncSession) -> int:
    return (await session.exec(select(func.count()).where(*_IS_DUE))).one()


async def get_age_of_oldest_mail(session: AsyncSession) -> float:
    """Return for how many seconds the oldest unsent mail has been due; 0 if none is."""
    age = extract("epoch", func.now() - func.min(col(Outbox.run_at)))
    return float((await session.exec(select(func.coalesce(age, 0)).where(*_IS_DUE))).one())
