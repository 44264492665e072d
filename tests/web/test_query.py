import pytest
from httpx2 import AsyncClient

from tests.problems import read_problem

API = "/api/v1"
pytestmark = pytest.mark.usefixtures("_marbles")


@pytest.mark.parametrize(
    ("query", "name"),
    [("limit=1&limit=2", "limit"), ("limit=1&limit=1", "limit"), ("search=a&search=", "search")],
)
@pytest.mark.parametrize("path", ["/users", "/marbles"])
async def test_parameter_is_given_once(
    superuser_client: AsyncClient, path: str, query: str, name: str
) -> None:
    problem = read_problem(
        await superuser_client.get(f"{API}{path}?{query}"), 422, "unprocessable_content"
    )
    assert [error["loc"] for error in problem["errors"]] == [["query", name]]


async def test_field_of_a_form_is_given_once(client: AsyncClient) -> None:
    form = {"username": ["ada@example.com", "eve@example.com"], "password": "x"}
    answer = await client.post(f"{API}/auth/login", data=form)
    problem = read_problem(answer, 422, "unprocessable_content")
    assert [error["loc"] for error in problem["errors"]] == [["body", "username"]]
    token = {"token": ["uml_a", "uml_b"]}
    assert (await client.post("/confirm-email", data=token)).status_code == 422
