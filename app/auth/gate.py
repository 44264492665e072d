"""What a login must pass besides the password: nothing, unless a feature brings a gate of its own.

`app/parts.py` chooses the gate. A feature's is a subclass; nothing here knows of it.
"""

import uuid
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from pydantic import BaseModel
from sqlalchemy import ColumnElement, false

from app.auth.rate_limit import RateLimits
from app.auth.sessions import Client, Login
from app.web.errors import Forbidden


class Verified(NamedTuple):
    """Whose password was right, and what it was compared with."""

    user_id: uuid.UUID
    hashed_password: str


class LoginChallenge(BaseModel):
    """What a client trades for an access token, together with a second factor."""

    challenge: str
    methods: Sequence[str]


class SecondFactorRequired(Forbidden):
    """The password is right, and a second factor is needed as well: see `methods`."""

    extension: ClassVar = LoginChallenge

    def __init__(self, challenge: LoginChallenge) -> None:
        super().__init__()
        self.members = challenge.model_dump()


class Gate:
    """The gate that stands open."""

    def is_closed(self) -> ColumnElement[bool]:
        """Return the condition, of a row of `user`, that its password is not enough."""
        return false()

    async def ask(
        self, limits: RateLimits, verified: Verified, client: Client
    ) -> SecondFactorRequired:
        """Return what to answer where the gate is closed."""
        raise NotImplementedError

    def admit(self, login: Login) -> None:
        """Raise a `Forbidden` where somebody who is signed in must do something else first."""
