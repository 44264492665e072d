"""The Jinja environment of a language; there is one for each, as its texts are a part of it."""

import re
from collections.abc import Callable, Sequence
from gettext import NullTranslations
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_END: Final = re.compile(r"(?<=\.) ")


def new_environment(
    folders: Sequence[Path], catalog: NullTranslations, **options: Any
) -> Environment:
    """Make an environment that translates: `_()`, `{% trans %}`, and the filter `translated`.

    The first two are for texts of the template, which are taken for HTML. The filter is for texts
    that come from elsewhere, and are escaped as any other value.
    """
    environment = Environment(  # noqa: S701  # whoever calls says so: mails are no HTML
        loader=FileSystemLoader(folders),
        extensions=["jinja2.ext.i18n"],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    environment.install_gettext_translations(catalog, newstyle=True)  # type: ignore[attr-defined]  # the extension adds it
    environment.filters["translated"] = _translate_with(catalog)
    return environment


def _translate_with(catalog: NullTranslations) -> Callable[[str], str]:
    """Return what translates a text: as a whole, or else the sentences of it that are known."""

    def translate(text: str) -> str:
        if not text:  # which stands for the head of a catalog
            return text
        whole = catalog.gettext(text)
        return whole if whole != text else " ".join(map(catalog.gettext, _END.split(text)))

    return translate
