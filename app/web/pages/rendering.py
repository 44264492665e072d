"""Pages as HTML: their templates in each language, and the security policy made of these."""

from base64 import b64encode
from collections.abc import Mapping
from gettext import NullTranslations
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from starlette.responses import HTMLResponse

from app.web.languages import DEFAULT, NAMES, Language, read_catalogs
from app.web.templating import new_environment

TEMPLATES = Path(__file__).parent / "templates"
_APP = Path(__file__).parents[2]  # whose features bring templates of their own


class Pages:
    """The templates; `values` are what all of them may show, such as the service's name."""

    def __init__(
        self, *, catalogs: Mapping[Language, NullTranslations] | None = None, **values: object
    ) -> None:
        folders = [TEMPLATES, *sorted(_APP.glob("*/templates"))]
        self._environments = {
            language: new_environment(folders, catalog, autoescape=True)
            for language, catalog in (catalogs or read_catalogs()).items()
        }
        nothing: dict[str, object] = {
            "problem": None,
            "errors": {},
            "unplaced": {},
            "typed": {},
            "signed_in_as": None,
        }
        for language, environment in self._environments.items():
            spoken = {"language": language, "languages": NAMES}
            environment.globals |= nothing | spoken | values
        self._headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": self._make_policy(),
            "Referrer-Policy": "no-referrer",
            "Vary": "Accept-Language",
        }

    def _make_policy(self) -> str:
        """Let a page run its own script, look as it does, and be sent to where it is from."""
        return (
            f"default-src 'none'; script-src {self._hash('page.js')};"
            f" style-src {self._hash('page.css')};"
            " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )

    def _hash(self, template: str) -> str:
        """Return the source expression for what stands inline (CSP level 3, section 2.3.1)."""
        text = self._environments[DEFAULT].get_template(template).render()
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    def render(
        self,
        template: str,
        status: int = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
        *,
        language: Language = DEFAULT,
        **values: object,
    ) -> HTMLResponse:
        """Fill a template; every value is escaped, and one that is missing is an error."""
        page = self._environments[language].get_template(template)
        html = page.render(values)
        if unplaced := _find_unplaced(values.get("errors"), html):
            html = page.render(values, unplaced=unplaced)
        spoken = {"Content-Language": language}
        # What was typed may have lone surrogates, which no encoding has a place for.
        return HTMLResponse(
            html.encode(errors="replace"), status, {**(headers or {}), **self._headers, **spoken}
        )


def _find_unplaced(errors: object, html: str) -> dict[str, object]:
    """Return the errors of fields that the page does not have: they are told at its top."""
    found = errors if isinstance(errors, Mapping) else {}
    return {name: error for name, error in found.items() if f'id="error-{name}"' not in html}
