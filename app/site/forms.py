"""What people send with forms, where that is not what clients send as JSON."""

import uuid
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field, Json, model_validator

from app.auth.schemas import SignUp
from app.roles.schemas import RoleCreate
from app.second_factors.schemas import Challenge, Code
from app.users.schemas import State, UserCreate, UserQuery
from app.web.languages import Language
from app.web.pagination import CursorQuery
from app.web.schemas import Line

BOX: Final = "permission."


def read_blank(text: object) -> object:
    """Take a field that was left empty for one that was not given."""
    return (text.strip() or None) if isinstance(text, str) else text


OptionalLine = Annotated[Annotated[Line, Field(max_length=255)] | None, BeforeValidator(read_blank)]

OptionalLanguage = Annotated[Language | None, BeforeValidator(read_blank)]


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
    language: OptionalLanguage = None


class LanguageChoice(BaseModel):
    """Of somebody who is not signed in."""

    language: Language


class DeletionForm(BaseModel):
    confirmation: str = Field(max_length=255)


class UsersQuery(UserQuery):
    """A form sends its empty fields too."""

    search: OptionalLine = None
    state: Annotated[State | None, BeforeValidator(read_blank)] = None
    role: Annotated[uuid.UUID | None, BeforeValidator(read_blank)] = None
    done: str | None = None


class RolesQuery(CursorQuery):
    done: str | None = None


class GivenRoleForm(BaseModel):
    role_id: uuid.UUID


class RoleForm(RoleCreate):
    """A role, with a box for each permission: what is checked is sent by a name of its own."""

    @model_validator(mode="before")
    @classmethod
    def read_boxes(cls, values: dict[str, Any]) -> dict[str, Any]:
        fields = {name: text for name, text in values.items() if not name.startswith(BOX)}
        checked = [name.removeprefix(BOX) for name in values if name.startswith(BOX)]
        return fields | {"permissions": checked}


class InvitationForm(UserCreate):
    full_name: OptionalLine = None
    language: OptionalLanguage = None
