"""Passkeys in a real Chromium, whose authenticator is a virtual one (CDP's domain WebAuthn)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page
from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.browsers import MISSING, find_browser, running_browser
from tests.factories import PASSWORD
from tests.passkeys.browsers import add_authenticator
from tests.servers import find_free_port, running_app

if find_browser() is None:
    pytest.skip(MISSING, allow_module_level=True)

# What a front end does: send JSON, and pass options and credentials between service and browser.
SCRIPT = """
window.call = async (method, path, body, token) => {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch("/api/v1" + path, { method, headers, body: JSON.stringify(body) });
  return await answer.json();
};
window.add = async (token) => {
  const { options } = await call("POST", "/users/me/passkeys/options", {}, token);
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const credential = await navigator.credentials.create({ publicKey });
  return await call(
    "POST", "/users/me/passkeys", { name: "Laptop", credential: credential.toJSON() }, token);
};
window.sign = async (path, body) => {
  const { options } = await call("POST", path + "/options", body);
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await navigator.credentials.get({ publicKey });
  return await call("POST", path, { ...body, credential: credential.toJSON() });
};
window.logIn = async (username, password) => {
  const body = new URLSearchParams({ username, password });
  return await (await fetch("/api/v1/auth/login", { method: "POST", body })).json();
};
"""


@pytest.fixture
def page(create_database: Callable[[], URL]) -> Iterator[Page]:
    """A page of the service's own origin that may call it; nothing is loaded from elsewhere."""
    database, port = libpq_uri(create_database()), str(find_free_port())
    with (
        running_browser() as browser,
        running_app("--port", port, DATABASE_URL=database, MAIL_WORKER="false"),
    ):
        page = browser.new_context(base_url=f"http://localhost:{port}").new_page()
        page.set_default_timeout(30_000)
        page.route("https://**", lambda route: route.abort())
        page.goto("/docs")
        page.evaluate(SCRIPT)
        yield page


def test_passkey_signs_in_alone_and_after_a_password(page: Page) -> None:
    def run(expression: str, *arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = page.evaluate(f"(a) => {expression}(...a)", list(arguments))
        return answer

    add_authenticator(page)
    account = {"email": "ada@example.com", "password": PASSWORD}
    user_id = run("call", "POST", "/auth/signup", account)["id"]
    token = run("logIn", *account.values())["access_token"]
    added = run("add", token)
    assert (added["name"], len(added["recovery_codes"])) == ("Laptop", 10)
    alone = run("sign", "/auth/login/passkey", {})
    half = run("logIn", *account.values())
    assert (half["code"], half["methods"]) == (
        "second_factor_required",
        ["passkey", "recovery_code"],
    )
    body = {"challenge": half["challenge"]}
    after_password = run("sign", "/auth/login/second-factor/passkey", body)
    for login in (alone, after_password):
        me = page.evaluate(
            "async (token) => await (await fetch('/api/v1/users/me',"
            " { headers: { Authorization: `Bearer ${token}` } })).json()",
            login["access_token"],
        )
        assert me["id"] == user_id
