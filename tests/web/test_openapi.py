import re
from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import AsyncClient

from app.main import create_app
from app.settings import Settings

DOCUMENT = create_app(Settings(_env_file=None)).openapi()
OPERATIONS: dict[str, dict[str, Any]] = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
JSON = "application/json"
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def find_references(part: Any) -> Iterator[str]:
    """Return the names of the schemas that a part of the document refers to, at any depth."""
    if isinstance(part, dict):
        if reference := part.get("$ref"):
            name = reference.rpartition("/")[2]
            yield name
            yield from find_references(SCHEMAS[name])
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from find_references(each)


ANSWERS = {
    name
    for each in OPERATIONS.values()
    for name in find_references(each["responses"])
    if "properties" in SCHEMAS[name]  # which an enum has not
}


async def test_document_is_served(client: AsyncClient) -> None:
    response = await client.get("/openapi.json")
    assert response.status_code == 200
    assert response.json() == DOCUMENT


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_operation_documents_its_errors_as_problems(operation: dict[str, Any]) -> None:
    errors = {
        status: answer for status, answer in operation["responses"].items() if status >= "400"
    }
    assert errors.keys() >= {"422", "503"}
    assert ("401" in errors) >= ("security" in operation)
    assert ("413" in errors) == ("415" in errors) == ("requestBody" in operation)
    for answer in errors.values():
        content = answer["content"]
        schema = content["application/problem+json"]["schema"]
        if "allOf" in schema:  # a problem with members of its own
            content = {"application/problem+json": {"schema": schema["allOf"][0]}}
        assert content == PROBLEM
        assert answer["description"]


@pytest.mark.parametrize(
    ("operation", "codes"),
    [
        ("POST /api/v1/auth/signup", {"email_taken"}),
        ("POST /api/v1/auth/login", {"invalid_credentials", "unavailable", "outcome_unknown"}),
        ("POST /api/v1/items", {"item_id_taken", "outcome_unknown"}),
        ("GET /api/v1/users/{user_id}", {"user_not_found", "permission_required", "invalid_token"}),
        ("DELETE /api/v1/users/me", {"recent_login_required", "last_superuser"}),
        ("PUT /api/v1/users/me/password", {"incorrect_password", "recent_login_required"}),
        ("GET /readyz", {"wrong_revision", "unavailable"}),
    ],
)
def test_operation_names_its_own_errors(operation: str, codes: set[str]) -> None:
    answers = OPERATIONS[operation]["responses"].values()
    texts = " ".join(answer["description"] for answer in answers)
    assert {code for code in codes if f"`{code}`" not in texts} == set()


def test_operation_ids_are_domain_and_function() -> None:
    ids = {operation["operationId"] for operation in OPERATIONS.values()}
    assert len(ids) == len(OPERATIONS)
    assert {"users-get_me", "auth-log_in", "health-get_readiness"} <= ids


def test_every_operation_is_described() -> None:
    bare = [route for route, operation in OPERATIONS.items() if not operation.get("description")]
    assert bare == [], "give their functions a docstring: what the route does, for its callers"


def test_bodies_refuse_unknown_fields() -> None:
    lax = {
        route
        for route, operation in OPERATIONS.items()
        for schema in find_references(operation.get("requestBody", {}).get("content", {}).get(JSON))
        if "properties" in SCHEMAS[schema] and SCHEMAS[schema].get("additionalProperties", True)
    }
    assert lax == set()


def test_public_schemas_hold_no_secret() -> None:
    for name in ANSWERS:
        assert not {field for field in SCHEMAS[name]["properties"] if "hash" in field}
    assert SCHEMAS["SignUp"]["properties"]["password"]["writeOnly"]


def test_swagger_signs_in_with_the_login_form() -> None:
    scheme = DOCUMENT["components"]["securitySchemes"]["OAuth2PasswordBearer"]
    assert scheme["flows"]["password"]["tokenUrl"] == "/api/v1/auth/login"
    body = OPERATIONS["POST /api/v1/auth/login"]["requestBody"]["content"]
    assert body.keys() == {"application/x-www-form-urlencoded"}


def test_schemas_have_names_of_types() -> None:
    of_types = re.compile(r"([A-Z][a-z0-9]*)+|Body_.+")  # the latter are FastAPI's, of a form
    assert {name for name in SCHEMAS if not of_types.fullmatch(name)} == set()


def test_answers_promise_the_fields_that_are_always_there() -> None:
    optional = {
        (name, field)
        for name in ANSWERS
        for field in SCHEMAS[name]["properties"].keys() - set(SCHEMAS[name]["required"])
    }
    assert optional == {("Problem", "errors")}  # which is left out, and never null
    assert SCHEMAS["Problem"]["properties"]["errors"]["type"] == "array"


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_answers_name_their_formats(name: str) -> None:
    expected = {"_id": "uuid", "_at": "date-time", "_email": "email"}
    for field, schema in SCHEMAS[name]["properties"].items():
        for ending, format_ in expected.items():
            if f"_{field}".endswith(ending) and field != "request_id":
                assert f"'format': '{format_}'" in str(schema), field


def test_fields_of_answers_are_described_where_their_names_do_not_tell() -> None:
    for name, field in (("UserPage", "next_cursor"), ("Problem", "errors")):
        assert SCHEMAS[name]["properties"][field]["description"]


def test_text_whose_blanks_are_taken_off_first_has_no_pattern() -> None:
    assert "pattern" not in SCHEMAS["PasswordResetRequest"]["properties"]["email"]
