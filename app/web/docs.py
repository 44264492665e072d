"""The page that shows the OpenAPI document, with a policy that lets just it work.

Its program is a file of the package `fastapi-offline`, so that it needs no internet. There is no
ReDoc: it writes style elements, which the policy would have to let in from anywhere.
"""

import base64
import hashlib
import re
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse

OPENAPI_PATH = "/openapi.json"
_INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_VERSION: Final = version("fastapi-offline")
_POLICY: Final = (
    "default-src 'none'; script-src 'self' {hashes}; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

router = APIRouter(tags=["docs"], include_in_schema=False)


@router.get(OPENAPI_PATH)
async def get_document(request: Request) -> dict[str, Any]:
    """Return the OpenAPI document."""
    document: dict[str, Any] = request.app.openapi()
    return document


@router.get("/docs")
async def get_swagger_ui(request: Request) -> Response:
    """Show the operations, and let the reader try them."""
    page = get_swagger_ui_html(
        openapi_url=_address(request, OPENAPI_PATH),
        title=request.app.title,
        swagger_js_url=_address(request, "/docs/swagger-ui-bundle.js"),
        swagger_css_url=_address(request, "/docs/swagger-ui.css"),
        swagger_favicon_url=_address(request, "/docs/favicon.png"),
    )
    return _protect(page)


@router.get("/docs/swagger-ui-bundle.js")
async def get_swagger_ui_script() -> Response:
    """Return the program of the page."""
    return _send("swagger-ui-bundle.js")


@router.get("/docs/swagger-ui.css")
async def get_swagger_ui_style() -> Response:
    """Return how it looks."""
    return _send("swagger-ui.css")


@router.get("/docs/favicon.png")
async def get_icon() -> Response:
    """Return the picture that browsers show beside the title."""
    return _send("favicon.png")


def _send(name: str) -> Response:
    """Return a file, which browsers keep: another release has another address."""
    path = str(files("fastapi_offline") / "static" / name)
    return FileResponse(path, headers={"Cache-Control": "public, max-age=31536000, immutable"})


def _address(request: Request, path: str) -> str:
    root: str = request.scope.get("root_path", "")
    release = "" if path == OPENAPI_PATH else f"?v={_VERSION}"
    return root.rstrip("/") + path + release


def _protect(page: Response) -> Response:
    digests = [hashlib.sha256(each).digest() for each in _INLINE_SCRIPT.findall(page.body)]
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    page.headers["Content-Security-Policy"] = _POLICY.format(hashes=hashes)
    return page
