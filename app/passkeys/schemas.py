"""What clients send and receive about passkeys."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from app.second_factors.schemas import Challenge
from app.web.schemas import Input, Line, Output


class PasskeyOptions(Output):
    options: dict[str, Any]
    """What the browser's `parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON` takes."""


class PasskeyCreate(Input):
    name: Line = Field(min_length=1, max_length=100)
    credential: dict[str, Any]
    """What the browser has made, as its `toJSON()` has it."""


class PasskeyUpdate(Input):
    name: Line = Field(min_length=1, max_length=100)


class PasskeyLogin(Input):
    credential: dict[str, Any]
    """What the browser has signed with, as its `toJSON()` has it."""


class PasskeyChallengeAnswer(Input):
    challenge: Challenge


class PasskeySecondStep(PasskeyLogin, PasskeyChallengeAnswer):
    pass


class PasskeyPublic(Output):
    id: uuid.UUID
    name: str
    is_backed_up: bool
    created_at: datetime
    last_used_at: datetime | None


class NewPasskey(PasskeyPublic):
    recovery_codes: Sequence[str]
    """With the account's first second factor, shown this once; else none."""
