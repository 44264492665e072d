"""Mail: what is put into the outbox, and the tokens that its links and codes carry."""

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from app.mail.models import Outbox


async def enqueue(session: AsyncSession, kind: str, **payload: Any) -> None:
    """Have a mail sent once this transaction is committed; the worker makes its text."""
    session.add(Outbox(kind=kind, payload=payload))
    await session.flush()
