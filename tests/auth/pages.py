"""What the pages without a session are called, take and share."""

import re
from base64 import b64encode
from hashlib import sha256

from httpx2 import Response
from markupsafe import escape

from app.parts import NAME
from tests.auth.accounts import NEW_PASSWORD

TITLES = {
    "/set-password": "Set a password",
    "/confirm-email": "Confirm your address",
    "/forgot-password": "Forgot your password?",
}
PATHS = [*TITLES]
TOKEN = f"uml_{'a' * 43}"
FORMS = {
    "/set-password": {"token": TOKEN, "new_password": NEW_PASSWORD},
    "/confirm-email": {"token": TOKEN},
    "/forgot-password": {"email": "ada@example.com"},
}


def read_page(response: Response, status: int, title: str) -> str:
    """Return the page's HTML, having checked what all of them share."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["content-security-policy"] == make_policy(response.text)
    error = "Error: " if status >= 400 else ""
    assert f"<title>{error}{title} | {escape(NAME)}</title>" in response.text
    assert f"<h1>{title}</h1>" in response.text
    assert not re.search(r"<[^>]+\s(?:style|on\w+)=", response.text)
    assert not re.search(r"(?:src|href)=\"(?!(?:forgot-password|sign-in)\")", response.text)
    return response.text


def make_policy(html: str) -> str:
    """Write the policy that lets the page's own script and style be, and nothing else."""
    script, style = (hash_inline(html, element) for element in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style};"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def hash_inline(html: str, element: str) -> str:
    (text,) = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
