"""What clients send and receive to sign up, sign in, and see where they are signed in."""

import uuid
from datetime import datetime
from typing import Annotated, Literal
from unicodedata import normalize

from pydantic import BaseModel, BeforeValidator, Field, Secret
from pydantic.config import JsonDict

from app.web.schemas import Email, Input, Line, Output

_NOT_SHOWN = {"format": "password", "writeOnly": True}


def _compose(password: object) -> object:
    """Bring a password into NFC, since keyboards differ in how they compose (NIST SP 800-63B)."""
    return normalize("NFC", password) if isinstance(password, str) else password


def _strip(text: object) -> object:
    return text.strip() if isinstance(text, str) else text


def _drop_pattern(schema: JsonDict) -> None:
    """Say nothing of characters where tabs and line breaks around the text are taken off first."""
    schema.pop("pattern", None)


NewPassword = Annotated[
    Secret[Annotated[Line, Field(max_length=128), BeforeValidator(_compose)]],
    Field(
        json_schema_extra={**_NOT_SHOWN, "minLength": 8},
        description="At least 15 characters, unless the service is set otherwise (never less than"
        " 8). Refused if it is easily guessed, or made of the user's own name or address.",
    ),
]
"""One that a user chooses; `PasswordPolicy` has the last word, once it is known whose it is."""

Password = Annotated[
    Secret[Annotated[Line, Field(min_length=1, max_length=1024), BeforeValidator(_compose)]],
    Field(json_schema_extra=_NOT_SHOWN),
]
"""One that exists already, whatever the rules were then."""


MailToken = Annotated[
    Secret[Annotated[str, Field(max_length=255), BeforeValidator(_strip)]],
    Field(json_schema_extra={"format": "password", "writeOnly": True}),
]
"""The code of a mail, with the blanks that pasting may add; any text, since only a hash counts."""


class SignUp(Input):
    email: Email = Field(max_length=255)
    password: NewPassword
    full_name: Line | None = Field(default=None, max_length=255)


class LoginForm(BaseModel):
    """The form of OAuth 2.0's password grant (RFC 6749, section 4.3.2)."""

    grant_type: Literal["password"] | None = None
    username: str = Field(max_length=1024, description="The e-mail address")
    password: Password


class PasswordChange(Input):
    current_password: Password
    new_password: NewPassword


class PasswordResetRequest(Input):
    email: Annotated[Line, BeforeValidator(_strip)] = Field(
        max_length=255,
        description="What is no address is answered as one without an account",
        json_schema_extra=_drop_pattern,
    )


class PasswordReset(Input):
    token: MailToken
    new_password: NewPassword


class EmailChange(Input):
    new_email: Email = Field(max_length=255)


class EmailConfirmation(Input):
    token: MailToken


class TokenPublic(Output):
    access_token: str
    token_type: Literal["bearer"]
    expires_at: datetime


class LoginSessionPublic(Output):
    id: uuid.UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None
    current: bool
    """Whether this request was made with it."""
