"""The pages that show the OpenAPI document, with a policy that lets just them work."""

import base64
import hashlib
import re
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html

OPENAPI_PATH = "/openapi.json"
_INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
# Both load their program from this CDN, and write style attributes; ReDoc starts a worker.
_POLICY: Final = (
    "default-src 'none'; script-src https://cdn.jsdelivr.net {hashes}; "
    "style-src https://cdn.jsdelivr.net 'unsafe-inline'; worker-src blob:; connect-src 'self'; "
    "img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
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
    return _protect(get_swagger_ui_html(openapi_url=_document(request), title=request.app.title))


@router.get("/redoc")
async def get_redoc(request: Request) -> Response:
    """Show the operations and schemas, for reading."""
    url = _document(request)
    return _protect(
        get_redoc_html(openapi_url=url, title=request.app.title, with_google_fonts=False)
    )


def _document(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/") + OPENAPI_PATH


def _protect(page: Response) -> Response:
    digests = [hashlib.sha256(each).digest() for each in _INLINE_SCRIPT.findall(page.body)]
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    page.headers["Content-Security-Policy"] = _POLICY.format(hashes=hashes)
    return page
