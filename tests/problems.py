"""What every error answer must be."""

from typing import Any

from httpx2 import Response


def read_problem(response: Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem document (RFC 9457), having checked what all of them share."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = response.json()
    assert problem["type"] == "about:blank"
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response.headers["x-request-id"]
    assert (status == 422) == ("errors" in problem)
    return problem
