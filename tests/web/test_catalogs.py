"""The catalogs: no text is missing, and each says what the source says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import zxcvbn_rs_py
from babel.messages import Catalog, Message
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from app.auth.advice import ADVICE
from app.web.languages import CATALOGS, DEFAULT, NAMES
from tests.servers import ROOT

LANGUAGES = sorted(NAMES.keys() - {DEFAULT})
CALL = (sys.executable, "-m", "babel.messages.frontend", "--quiet", "extract")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """What `make translations` finds in the code."""
    file = tmp_path_factory.mktemp("catalogs") / "messages.pot"
    options = ("--mapping", "pyproject.toml", "--no-location", "-o", str(file), "app")
    subprocess.run([*CALL, *options], cwd=ROOT, check=True)
    return read(file)


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file)


def find_catalog(language: str) -> Path:
    return CATALOGS / language / "LC_MESSAGES" / "messages.po"


def list_texts(message: Message) -> list[str]:
    return [message.id] if isinstance(message.id, str) else [*message.id]


def list_translations(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else [*(message.string or ())]


def find_parts(text: str) -> list[str]:
    """Return the tags and the placeholders of a text, in no order."""
    return sorted(re.findall(r"<[^>]+>|%\(\w+\)s", text))


def test_every_language_has_a_catalog() -> None:
    assert sorted(path.parents[1].name for path in CATALOGS.rglob("*.po")) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_missing(source: Catalog, language: str) -> None:
    catalog = read(find_catalog(language))
    missing = []
    for message in source:
        known = catalog.get(list_texts(message)[0])
        if message.id and (known is None or known.fuzzy or not all(list_translations(known))):
            missing.append(message.id)
    assert missing == [], "make translations, then fill in the catalog"


@pytest.mark.parametrize("language", LANGUAGES)
def test_translation_has_the_placeholders_and_tags_of_the_text(language: str) -> None:
    catalog = read(find_catalog(language))
    for message in catalog:
        if message.id:
            parts = [find_parts(text) for text in list_texts(message)]
            for translation in list_translations(message):
                assert find_parts(translation) in parts, message.id
    assert [error for _, errors in catalog.check() for error in errors] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_compiled_catalog_is_that_of_the_source(language: str) -> None:
    path = find_catalog(language)
    with path.with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)
    texts = [
        {list_texts(each)[0]: list_translations(each) for each in catalog if each.id}
        for catalog in (read(path), compiled)
    ]
    assert texts[0] == texts[1], "make translations"


def test_advice_is_all_that_the_library_gives() -> None:
    kinds = (zxcvbn_rs_py.Warning, zxcvbn_rs_py.Suggestion)
    members = {
        str(getattr(kind, name)) for kind in kinds for name in dir(kind) if not name.startswith("_")
    }
    assert members == ADVICE
