"""Any request that the OpenAPI document allows, and any that it forbids, keeps its promises.

`PROPERTY_EXAMPLES=110 pytest tests/web/test_property_based.py` makes it thorough: 5,000 requests,
and others at each run.
"""

import os
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from pydantic import SecretStr
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error, positive_data_acceptance
from schemathesis.python.asgi import get_client
from schemathesis.schemas import BaseSchema
from sqlalchemy import URL

from app.main import create_app
from app.settings import Settings
from tests.auth.test_authorization import find_collections, make_body
from tests.factories import make_account

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "12"))
API = "/api/v1"

# Where a request that fits the document may still be refused, which is what this check forbids,
# besides what the types of a route's fields say. All other checks of schemathesis hold everywhere.
VALID_MAY_BE_REFUSED = {
    "POST /api/v1/auth/email-verification": "a mailbox has a limit",
}
# No schema tells which cursors, codes, permissions, tokens and passwords there are, nor which
# domains are reserved.
UNTELLABLE = re.compile(
    r"'(cursor|code|credential|permissions|\w*token|\w*password|\w*email)': \{"
    r"|'name': '(cursor|[\w-]*token)'"
)


def load_schema(database: URL | None = None) -> BaseSchema:
    url = SecretStr(database.render_as_string(hide_password=False)) if database else None
    app = create_app(
        Settings(_env_file=None, database_url=url, password_hash_memory=8, mail_worker=False)
    )
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    return schema


def find_operation(api: BaseSchema, label: str) -> dict[str, Any]:
    method, path = label.split()
    operation: dict[str, Any] = api.raw_schema["paths"][path][method.lower()]
    return operation


def read_input(api: BaseSchema, label: str) -> str:
    """Return what the document says of the operation's parameters and body."""
    operation = find_operation(api, label)
    body = str(operation.get("requestBody"))
    schemas = api.raw_schema["components"]["schemas"]
    used = [schemas[name] for name in re.findall(r"#/components/schemas/([\w.-]+)", body)]
    return f"{operation.get('parameters')} {used}"


OPERATIONS = sorted(
    f"{method.upper()} {path}"
    for path, operations in load_schema().raw_schema["paths"].items()
    for method in operations
)


@pytest.fixture(scope="module")
def api(live_database: URL) -> BaseSchema:
    return load_schema(live_database)


@pytest.fixture
def superuser(api: BaseSchema, live_database: URL) -> Iterator[dict[str, Any]]:
    """A superuser who has one of each: the header that signs it in, and the objects' ids."""
    conninfo = live_database.set(drivername="postgresql").render_as_string(hide_password=False)
    account = make_account()
    form = {"username": account["email"], "password": account["password"]}
    with get_client(api.app) as client, psycopg.connect(conninfo, autocommit=True) as connection:
        user = client.post(f"{API}/auth/signup", json=account).json()
        connection.execute('UPDATE "user" SET is_superuser = true')
        token = client.post(f"{API}/auth/login", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        session = client.get(f"{API}/auth/sessions", headers=headers).json()[0]
        ids = {"user_id": user["id"], "session_id": session["id"]}
        for name, path in find_collections(ids):
            body = make_body(f"POST {path}", ids)
            created = client.post(path, headers=headers, **body)
            # What takes more than a body to be made, as a passkey does, is asked for in vain.
            ids[name] = created.json().get("id") or str(uuid4())
        yield {"headers": headers, "ids": ids}
        connection.execute('TRUNCATE "user", rate_limit, outbox CASCADE')


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize("label", OPERATIONS)
def test_operation_keeps_its_promises(
    api: BaseSchema, superuser: dict[str, Any], label: str, *, signed_in: bool
) -> None:
    operation = api.find_operation_by_label(label)
    assert operation is not None
    names = {parameter.name for parameter in operation.path_parameters}
    known = {name: value for name, value in superuser["ids"].items() if name in names}
    cases = operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(
        GenerationMode.NEGATIVE
    )
    if known:
        cases |= operation.as_strategy(GenerationMode.POSITIVE, path_parameters=known)
    headers = superuser["headers"] if signed_in else {}
    may_be_refused = label in VALID_MAY_BE_REFUSED or UNTELLABLE.search(read_input(api, label))
    excluded = [positive_data_acceptance] if may_be_refused else []
    asks_another_service = "502" in find_operation(api, label)["responses"]
    excluded += [not_a_server_error] if asks_another_service else []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="PROPERTY_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def check(case: Case[Any]) -> None:
        answer = case.call_and_validate(headers=headers, excluded_checks=excluded)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == ["application/problem+json"]
            assert answer.json()["status"] == answer.status_code
            assert answer.status_code < 500 or (asks_another_service and answer.status_code == 502)

    try:
        check()
    except Exception as error:
        error.add_note(
            "If it is a valid request that is refused for a good reason, say so in"
            " VALID_MAY_BE_REFUSED in tests/web/test_property_based.py."
        )
        raise
