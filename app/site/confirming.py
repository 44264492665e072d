"""Questions before something is done that cannot be undone, and what is shown only once."""

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import Response

from app.site.dependencies import Visit


class Question(NamedTuple):
    """A page with one button, which does what was asked for; its texts are translated there."""

    title: str
    text: str
    button: str
    back: str
    about: str | None = None
    is_grave: bool = True


def show_codes(visit: Visit, codes: Sequence[str], message: str, back: str) -> Response:
    """Show recovery codes, which nobody can show again."""
    template = "account/recovery_codes.html"
    return visit.show(template, codes=codes, message=message, back=back)
