import pytest
from pydantic import TypeAdapter, ValidationError
from sqlmodel import SQLModel

from app.web.schemas import Email, Line, Output, Text, find_canonical_email

CONTROL_CHARACTERS = ["\0", "\x08", "\x1b", "\x7f", "\x85", "\x9f"]


@pytest.mark.parametrize("character", [*CONTROL_CHARACTERS, "\t", "\n", "\r", "\u2028", "\u2029"])
def test_line_refuses_control_characters_and_line_breaks(character: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Line).validate_python(f"a{character}")


@pytest.mark.parametrize("character", [*CONTROL_CHARACTERS, "\x0b", "\x0c"])
def test_text_refuses_control_characters(character: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Text).validate_python(f"a{character}")


@pytest.mark.parametrize("schema", [Line, Text, Email])
def test_text_types_refuse_lone_surrogates(schema: type[str]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(schema).validate_python("a\ud800@example.com")


@pytest.mark.parametrize("line", ["", "Zoë O'Hara-İnan", "👩‍👩‍👧", "<b>' OR 1=1 --", "%_\\"])
def test_line_takes_any_other_text(line: str) -> None:
    assert TypeAdapter(Line).validate_python(line) == line


def test_text_takes_tabs_and_line_breaks() -> None:
    assert TypeAdapter(Text).validate_python("a\tb\r\nc") == "a\tb\r\nc"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        (" ada@example.com\u00a0\r\n", "ada@example.com"),
        ("ada @example.com", None),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
        ("a" * 65 + "@example.com", None),
        ("ada@Bücher.example.com", "ada@xn--bcher-kva.example.com"),
        ("ada@xn--bcher-kva.example.com", "ada@xn--bcher-kva.example.com"),
        ("ada@ｅxample.com", "ada@example.com"),  # noqa: RUF001  # a wide letter
        ("ada+tag@example.com", "ada+tag@example.com"),
        ("аda@example.com", None),  # noqa: RUF001  # a Cyrillic a, which looks the same
        ("ada@example.com\r\nBcc: eve@example.com", None),
        ("ada@example.com\0", None),
        ("ada", None),
        ("", None),
    ],
)
def test_find_canonical_email_has_one_form_for_an_address(
    written: str, canonical: str | None
) -> None:
    assert find_canonical_email(written) == canonical
    if canonical is None:
        with pytest.raises(ValidationError):
            TypeAdapter(Email).validate_python(written)
    else:
        assert TypeAdapter(Email).validate_python(written) == canonical


def test_email_does_not_quote_what_it_refuses() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Email).validate_python("canary@")
    assert refused.value.errors(include_input=False)[0]["msg"] == "Not a valid e-mail address"


def test_email_refuses_what_is_no_text() -> None:
    with pytest.raises(ValidationError, match="valid string"):
        TypeAdapter(Email).validate_python(4711)


def test_output_takes_a_row_as_it_is_and_nothing_else() -> None:
    class Written(SQLModel):
        title: str = ""

    class Public(Output):
        title: str

    written = Written.model_construct(title="", hashed_password="canary")
    assert Public.model_validate(written).model_dump() == {"title": ""}


def test_output_shows_what_is_computed() -> None:
    class Written(SQLModel):
        title: str = "Zoë"

        @property
        def length(self) -> int:
            return len(self.title)

    class Public(Output):
        title: str
        length: int

    assert Public.model_validate(Written()).model_dump() == {"title": "Zoë", "length": 3}
