"""Any request that the OpenAPI document allows, and any that it forbids, keeps its promises.

`PROPERTY_EXAMPLES=110 pytest tests/web/test_property_based.py` makes it thorough: 5,000 requests,
and others at each run.
"""

import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from pydantic import SecretStr
from schemathesis import Case, GenerationMode
from schemathesis.checks import positive_data_acceptance
from schemathesis.python.asgi import get_client
from schemathesis.schemas import BaseSchema
from sqlalchemy import URL

from app.main import create_app
from app.settings import Settings
from tests.auth.test_authorization import BODIES, find_collections
from tests.factories import PASSWORD

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "12"))
API = "/api/v1"

# Where a request that fits the document may still be refused, which is what this check forbids.
# All other checks of schemathesis hold everywhere.
VALID_MAY_BE_REFUSED = {
    "POST /api/v1/auth/signup": "reserved domains, such as .test; passwords that are guessed",
    "POST /api/v1/auth/login": "a network has a limit",
    "POST /api/v1/users": "an address of a reserved domain, such as .test, reaches nobody",
    "POST /api/v1/auth/password-reset": "the same",
    "POST /api/v1/users/me/email": "the same",
    "POST /api/v1/auth/email-verification": "a mailbox has a limit",
    "POST /api/v1/auth/password-reset/confirm": "the token is not one that was mailed",
    "POST /api/v1/auth/email-verification/confirm": "the same",
    "PUT /api/v1/users/me/password": "the current password is not what was generated",
}


def takes_cursor(operation: dict[str, Any]) -> bool:
    """Tell of a cursor, which is opaque: no schema tells which ones the service has given."""
    return any(each["name"] == "cursor" for each in operation.get("parameters", ()))


def load_schema(database: URL | None = None) -> BaseSchema:
    url = SecretStr(database.render_as_string(hide_password=False)) if database else None
    app = create_app(
        Settings(_env_file=None, database_url=url, password_hash_memory=8, mail_worker=False)
    )
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    return schema


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
    account = {"email": "root@example.com", "password": PASSWORD}
    form = {"username": account["email"], "password": PASSWORD}
    with get_client(api.app) as client, psycopg.connect(conninfo, autocommit=True) as connection:
        user = client.post(f"{API}/auth/signup", json=account).json()
        connection.execute('UPDATE "user" SET is_superuser = true')
        token = client.post(f"{API}/auth/login", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        session = client.get(f"{API}/auth/sessions", headers=headers).json()[0]
        ids = {"user_id": user["id"], "session_id": session["id"]}
        for name, path in find_collections(ids):
            body = BODIES[f"POST {path}"]
            ids[name] = client.post(path, headers=headers, **body).json()["id"]
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
    may_be_refused = label in VALID_MAY_BE_REFUSED or takes_cursor(operation.definition.raw)
    excluded = [positive_data_acceptance] if may_be_refused else []

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
            assert answer.json()["status"] == answer.status_code < 500

    check()
