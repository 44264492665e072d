"""The names that a project may have, and what is said of those that it may not."""

import pytest

from template.errors import TemplateError
from template.features import read_template
from template.names import choose_names
from tests.servers import ROOT


@pytest.mark.parametrize(
    ("name", "slug", "identifier"),
    [
        ("Acme Notes", "acme-notes", "acme_notes"),
        ("  Acme-2  ", "acme-2", "acme_2"),
        ("Café Über", "cafe-uber", "cafe_uber"),
        ("우리 노트", "uri-noteu", "uri_noteu"),
        ("한글 값", "hangeul-gap", "hangeul_gap"),
    ],
)
def test_slug_follows_from_the_name(name: str, slug: str, identifier: str) -> None:
    names = choose_names(ROOT, name)
    assert (names.name, names.slug, names.identifier) == (name.strip(), slug, identifier)


def test_composed_and_decomposed_letters_are_the_same_name() -> None:
    assert choose_names(ROOT, "Cafe\u0301").name == "Café"
    assert choose_names(ROOT, "\u1112\u1161\u11ab").slug == "han"


def test_given_slug_counts() -> None:
    names = choose_names(ROOT, "日本語", "nihongo")
    assert (names.name, names.identifier) == ("日本語", "nihongo")


@pytest.mark.parametrize(
    ("name", "slug", "reason"),
    [
        ("", "", "a name is needed"),
        (" ", "", "a name is needed"),
        ('Acme "Notes"', "", "letters, digits, spaces and hyphens"),
        ("Acme's", "", "letters, digits, spaces and hyphens"),
        ("Acme/Notes", "", "'/' in it"),
        ("Acme\\Notes", "", "letters, digits"),
        ("Acme\nNotes", "", "letters, digits"),
        ("Acme\u202eNotes", "", "letters, digits"),
        ("{name}", "", "letters, digits"),
        ("a" * 200, "", "200 columns wide; 40 are allowed"),
        ("노" * 21, "", "42 columns wide; 40 are allowed"),
        ("My User Service", "", "the template's own name"),
        ("日本語", "", "say SLUG="),
        ("- -", "", "say SLUG="),
        ("3 Notes", "", "a letter first"),
        ("a" * 31, "", "30 at most"),
        ("Notes", "My Notes", "small Latin letters"),
        ("Notes", "notes/..", "small Latin letters"),
        ("Class", "", "'class' is a word of Python"),
        ("User", "", "'user' is the name of a table"),
        ("Rate Limit", "", "the name of a table"),
        ("FastAPI", "", "'fastapi' is a package"),
        ("App", "", "'app' is a package"),
        ("Postgres", "", "a database of PostgreSQL's own"),
    ],
)
def test_name_that_cannot_be_is_refused_in_a_line(name: str, slug: str, reason: str) -> None:
    with pytest.raises(TemplateError) as refused:
        choose_names(ROOT, name, slug)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_catalogs_have_nothing_that_a_project_renames() -> None:
    for path in sorted((ROOT / "app/locale").rglob("*.po")):
        text = path.read_text("utf-8")
        assert [old for old in read_template().renames if old in text] == [], path
