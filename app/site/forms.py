"""What people send with forms, where that is not what clients send as JSON."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, Json

from app.auth.schemas import SignUp
from app.second_factors.schemas import Challenge, Code
from app.web.languages import Language
from app.web.schemas import Email, Line


def read_blank(text: object) -> object:
    """Take a field that was left empty for one that was not given."""
    return (text.strip() or None) if isinstance(text, str) else text


OptionalLine = Annotated[Annotated[Line, Field(max_length=255)] | None, BeforeValidator(read_blank)]


class SignUpForm(SignUp):
    full_name: OptionalLine = None


class CodeForm(BaseModel):
    """Beside what is kept of another form."""

    challenge: Challenge
    code: Code


class PasskeyForm(BaseModel):
    credential: Json[dict[str, Any]]
    challenge: Challenge | None = None
    """Of the password that was right, where the passkey comes after it."""


class NewPasskeyForm(BaseModel):
    credential: Json[dict[str, Any]]
    name: Line = Field(min_length=1, max_length=100)


class NameForm(BaseModel):
    full_name: OptionalLine = None


class LanguageForm(BaseModel):
    language: Annotated[Language | None, BeforeValidator(read_blank)] = None


class LanguageChoice(BaseModel):
    """Of somebody who is not signed in."""

    language: Language


class DeletionForm(BaseModel):
    confirmation: str = Field(max_length=255)


class InvitationForm(LanguageForm):
    email: Email = Field(max_length=255)
    full_name: OptionalLine = None
