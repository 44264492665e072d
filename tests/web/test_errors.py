from typing import Annotated

import pytest
from fastapi import FastAPI, Header, Query
from httpx2 import AsyncClient

from app.web.errors import Conflict, NotFound, ServiceError
from app.web.problems import problems
from tests.factories import make_account
from tests.problems import read_problem


class TeapotBroken(Conflict):
    """The teapot is broken."""


class KettleBroken(Conflict):
    """The kettle is broken."""


class SpoonNotFound(NotFound):
    """No spoon has this id."""


def test_service_error_tells_its_docstring_unless_it_says_more() -> None:
    assert str(TeapotBroken()) == "The teapot is broken."
    assert str(TeapotBroken("It leaks")) == "It leaks"


def test_service_error_code_is_its_name_in_snake_case() -> None:
    assert TeapotBroken.code() == "teapot_broken"
    assert (ServiceError.status, TeapotBroken.status) == (400, 409)


def test_problems_describes_the_errors_of_one_status_together() -> None:
    documented = problems(TeapotBroken, SpoonNotFound, KettleBroken)
    assert {status: answer["description"] for status, answer in documented.items()} == {
        409: "`teapot_broken`: The teapot is broken.\n\n`kettle_broken`: The kettle is broken.",
        404: "`spoon_not_found`: No spoon has this id.",
    }


async def test_unknown_path_is_a_problem(client: AsyncClient) -> None:
    problem = read_problem(await client.get("/canary-4711"), 404, "not_found")
    assert problem["title"] == "Not Found"
    assert "canary" not in str(problem)


async def test_validation_error_names_a_header(app: FastAPI, client: AsyncClient) -> None:
    @app.get("/tokens")
    async def read(x_token: Annotated[int, Header()]) -> int:
        return x_token

    answer = await client.get("/tokens", headers={"X-Token": "canary"})
    (error,) = read_problem(answer, 422, "unprocessable_content")["errors"]
    assert error["loc"] == ["header", "x-token"]


async def test_validation_error_names_an_alias_with_a_hyphen(
    app: FastAPI, client: AsyncClient
) -> None:
    @app.get("/items-by-word")
    async def find(word: Annotated[str, Query(alias="item-query", pattern="^f")]) -> str:
        return word

    answer = await client.get("/items-by-word?item-query=canary")
    (error,) = read_problem(answer, 422, "unprocessable_content")["errors"]
    assert error["loc"] == ["query", "item-query"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"email": "a", "email": "b"}', "A name occurs twice in an object"),
        (b'{"email": 1e400}', "A number is too large"),
        (b'{"email": ' + b"1" * 5000 + b"}", "A number has too many digits"),
        (b'{"email": NaN}', "NaN and Infinity are no JSON"),
        (b"[" * 9999, "It is nested too deeply"),
        (b'{"email": "\xff"}', "It is not UTF-8"),
        (b'{"email"', "Expecting ':' delimiter"),
    ],
)
async def test_validation_error_says_why_json_is_refused(
    client: AsyncClient, body: bytes, why: str
) -> None:
    json = {"Content-Type": "application/json"}
    answer = await client.post("/api/v1/auth/signup", content=body, headers=json)
    (error,) = read_problem(answer, 422, "unprocessable_content")["errors"]
    assert (error["type"], error["msg"]) == ("json_invalid", f"JSON decode error: {why}")


async def test_trailing_slash_is_not_redirected(client: AsyncClient) -> None:
    # A redirect would be built from the Host header, which anyone can forge.
    read_problem(await client.get("/api/v1/users/"), 404, "not_found")


async def test_unknown_method_is_a_problem(client: AsyncClient) -> None:
    answer = await client.put("/healthz")
    read_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


async def test_validation_error_names_each_field_without_its_input(client: AsyncClient) -> None:
    password = "canary" * 30
    body = make_account("canary", password=password, full_name=4711) | {"canary-4711": "canary"}
    answer = await client.post("/api/v1/auth/signup", json=body)
    problem = read_problem(answer, 422, "unprocessable_content")
    assert [(error["loc"], error["type"]) for error in problem["errors"]] == [
        (["body", "email"], "email"),
        (["body", "password"], "string_too_long"),
        (["body", "full_name"], "string_type"),
        (["body"], "extra_forbidden"),
    ]
    assert "canary" not in answer.text
    assert "4711" not in answer.text


@pytest.mark.parametrize("malformed", ["z", "%00", "%ff", "0" * 5000])
async def test_validation_error_of_an_id_quotes_nothing(
    user_client: AsyncClient, malformed: str
) -> None:
    answer = await user_client.delete(f"/api/v1/auth/sessions/{malformed}")
    assert read_problem(answer, 422, "unprocessable_content")["errors"] == [
        {
            "loc": ["path", "session_id"],
            "msg": "Input should be a valid UUID",
            "type": "uuid_parsing",
        }
    ]
