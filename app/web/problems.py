"""Problem documents (RFC 9457): what clients get of an error, and how a route names its errors."""

from typing import Any

from pydantic import MISSING, ConfigDict

from app.web.errors import FieldError, ServiceError
from app.web.schemas import Output


class Problem(Output):
    """An error, as `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] | MISSING = MISSING
    """The fields that are wrong; only with status 422."""

    model_config = ConfigDict(extra="allow")  # extension members (RFC 9457, section 3.2)


class ProblemWithObject(Problem):
    """What `HTTPException(418, detail={"reason": ...})` leads to: FastAPI takes any JSON there."""

    detail: Any


def problems(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Document the errors of a route for OpenAPI, as its `responses`."""
    texts: dict[int | str, list[str]] = {}
    members: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        text = f"`{error.code()}`: {(error.__doc__ or '').strip()}"
        texts.setdefault(error.status.value, []).append(text)
        if error.extension:
            of_status = members.setdefault(error.status.value, {})
            of_status |= error.extension.model_json_schema()["properties"]
    return {
        status: problem_response("\n\n".join(lines), members.get(status))
        for status, lines in texts.items()
    }


def problem_response(description: str, members: dict[str, Any] | None = None) -> dict[str, Any]:
    """Document one status, with the schema `Problem` and the members that it may have besides."""
    schema: dict[str, Any] = {"$ref": "#/components/schemas/Problem"}
    if members:
        schema = {"allOf": [schema, {"type": "object", "properties": members}]}
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": schema}},
    }
