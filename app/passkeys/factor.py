"""Passkeys as a second factor."""

import uuid
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, delete, exists
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.passkeys.ceremonies import RelyingParty
from app.passkeys.models import Passkey
from app.users.models import User


class Passkeys:
    """What the gate of logins knows of them."""

    name: Final = "passkey"

    def __init__(self, relying_party: RelyingParty) -> None:
        self.relying_party = relying_party

    def is_set_up(self) -> ColumnElement[bool]:
        return exists().where(col(Passkey.user_id) == User.id)

    async def remove(self, session: AsyncSession, user_id: uuid.UUID) -> None:
        await session.exec(delete(Passkey).where(col(Passkey.user_id) == user_id))


async def list_credential_ids(session: AsyncSession, user_id: uuid.UUID) -> Sequence[bytes]:
    return list(await session.exec(select(Passkey.credential_id).where(Passkey.user_id == user_id)))
