"""What all wire schemas are built from: text without surprises, and bodies without extras."""

from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError
from sqlmodel import SQLModel

Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
"""One line: no NUL, no control character, no line break. pydantic refuses lone surrogates."""

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$")]
"""Lines: the same, with tabs and line breaks."""


def find_canonical_email(value: str) -> str | None:
    """Return the one form in which an address is compared and stored; None if it is no address.

    Lower case, without blanks around it, and ASCII only: the domain in its IDNA form, and no local
    part in Unicode, where different letters look the same. `strict` keeps a local part to the 64
    characters that mail servers take (RFC 5321, section 4.5.3.1.1).
    """
    try:
        address = validate_email(
            value.strip(), check_deliverability=False, allow_smtputf8=False, strict=True
        )
    except EmailNotValidError:
        return None
    return f"{address.local_part}@{address.ascii_domain}".lower()


def _canonical_email(value: str) -> str:
    canonical = find_canonical_email(value)
    if canonical is None:
        # The library's reason quotes the address; an answer does not repeat its input.
        raise PydanticCustomError("email", "Not a valid e-mail address")
    return canonical


# Not pydantic's `EmailStr`, which would put the domain back into Unicode.
Email = Annotated[
    str, Field(json_schema_extra={"format": "email"}), AfterValidator(_canonical_email)
]

PublicEmail = Annotated[str, Field(json_schema_extra={"format": "email"})]
"""An address that was judged when it was written."""


class Input(SQLModel):
    """A body that clients send. A field it does not know is an error, never ignored."""

    model_config = {"extra": "forbid"}


class Output(BaseModel):
    """A body that clients receive: of a row, the fields that it names, and nothing else.

    Name them with plain types. What a row has is not judged again by the rules for input: those may
    have been others when it was written, or unknown to whoever imported it.
    """

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)
