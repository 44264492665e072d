"""Templates that translate: what is filled in stays text, whatever it is."""

from gettext import NullTranslations
from pathlib import Path
from typing import Any

import pytest

from app.web.templating import new_environment

HOSTILE = '<script>alert("%(x)s %s 100%")</script>'
SENTENCES = {
    "Too easy.": "Zu leicht.",
    "Add a word.": "Noch ein Wort.",
    "A <b>%(name)s</b>": "%(name)s!",
}


class Catalog(NullTranslations):
    def gettext(self, message: str) -> str:
        return SENTENCES.get(message, "the head of the catalog" if message == "" else message)


def render(source: str, **values: Any) -> str:
    environment = new_environment([Path(__file__).parent], Catalog(), autoescape=True)
    return environment.from_string(source).render(values)


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("Too easy.", "Zu leicht."),
        ("Too easy. Add a word.", "Zu leicht. Noch ein Wort."),
        ("Too easy. Something new.", "Zu leicht. Something new."),
        ("unknown", "unknown"),
        ("", ""),
        ("100% of %s and %(x)s", "100% of %s and %(x)s"),
    ],
)
def test_text_of_the_program_is_translated_by_sentences(text: str, translated: str) -> None:
    assert render("{{ text | translated }}", text=text) == translated


def test_asvs_1_2_1_text_of_the_program_is_escaped() -> None:
    html = render("{{ text | translated }}", text=HOSTILE)
    assert html == "&lt;script&gt;alert(&#34;%(x)s %s 100%&#34;)&lt;/script&gt;"


@pytest.mark.parametrize(
    "source",
    ["{% trans %}A <b>{{ name }}</b>{% endtrans %}", '{{ _("A <b>%(name)s</b>", name=name) }}'],
)
def test_asvs_1_2_1_what_is_filled_in_is_escaped(source: str) -> None:
    escaped = "&lt;script&gt;alert(&#34;%(x)s %s 100%&#34;)&lt;/script&gt;!"
    assert render(source, name=HOSTILE) == escaped
