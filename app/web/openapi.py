"""The OpenAPI document, completed with what FastAPI does not know: problem documents."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.web.errors import OutcomeUnknown, Unavailable
from app.web.problems import Problem, problem_response, problems


class DocumentedAPI(FastAPI):
    """FastAPI, whose document names every error that any route can answer with."""

    def openapi(self) -> dict[str, Any]:
        """Return the document; made at the first call."""
        if self.openapi_schema is None:
            document = super().openapi()
            _add_problem_schema(document)
            for operations in document["paths"].values():
                for method, operation in operations.items():
                    _add_common_errors(operation, writes=method != "get")
        return super().openapi()


def _add_problem_schema(document: dict[str, Any]) -> None:
    template = "#/components/schemas/{model}"
    _, schemas = models_json_schema([(Problem, "serialization")], ref_template=template)
    document["components"]["schemas"] |= schemas["$defs"]


def _add_common_errors(operation: dict[str, Any], *, writes: bool) -> None:
    responses = operation["responses"]
    if "security" in operation:
        text = "`not_authenticated` or `invalid_token`: sign in, and send the access token."
        responses.setdefault("401", problem_response(text))
    if "requestBody" in operation:
        responses.setdefault("413", problem_response("The body is larger than 64 KiB."))
        responses.setdefault("415", problem_response("The body is of another media type."))
        if "multipart/form-data" in operation["requestBody"].get("content", {}):
            responses.setdefault("400", problem_response("The parts of the form are not readable."))
    absent = problems(Unavailable, *([OutcomeUnknown] if writes else []))
    responses.setdefault("503", absent[503])
    errors = {status: each for status, each in responses.items() if status >= "400"}
    # FastAPI's documentation writes a description alone.
    responses |= {
        status: problem_response(each["description"]) | each for status, each in errors.items()
    }
