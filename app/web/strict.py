"""Input as its specifications have it, where Starlette and Python are more lenient."""

import json
from http import HTTPStatus
from math import isinf
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.web.languages import N_


class _Refusal(ValueError):
    """What is refused, and why."""


class StrictRequest(Request):
    async def json(self) -> Any:
        """Parse JSON as RFC 8259 defines it.

        Refused are NaN and Infinity, a name that occurs twice in one object, bytes that are not
        UTF-8, and what Python refuses by itself: deep nesting, numbers of thousands of digits.
        """
        try:
            return json.loads(
                (await self.body()).decode(),
                parse_constant=_refuse_constant,
                parse_float=_parse_finite,
                object_pairs_hook=_refuse_duplicates,
            )
        except json.JSONDecodeError:
            raise
        except UnicodeDecodeError as error:
            raise json.JSONDecodeError("It is not UTF-8", "", 0) from error
        except RecursionError as error:
            raise json.JSONDecodeError("It is nested too deeply", "", 0) from error
        except ValueError as error:
            text = str(error) if isinstance(error, _Refusal) else "A number has too many digits"
            raise json.JSONDecodeError(text, "", 0) from error


async def require_utf8(request: Request) -> None:
    """Refuse a query or a form that is not UTF-8; Starlette reads such bytes as U+FFFD."""
    query: bytes = request.scope["query_string"]
    if query and not _is_utf8(query):
        error = {"type": "unicode", "loc": ("query",), "msg": "The query is not UTF-8"}
        raise RequestValidationError([error])
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if form and not _is_utf8(await request.body()):
        raise HTTPException(HTTPStatus.BAD_REQUEST, N_("The form is not UTF-8"))


async def given_once(request: Request) -> None:
    """Refuse a parameter with several values: who has checked one may have meant another.

    For the `dependencies` of a route that takes no list in its query or its form.
    """
    for place, values in (("query", request.query_params), ("body", await request.form())):
        names = [name for name, _ in values.multi_items()]
        for name in names:
            if names.count(name) > 1:
                error = {"type": "given_twice", "loc": (place, name), "msg": "Give this once"}
                raise RequestValidationError([error])


def _is_utf8(text: bytes) -> bool:
    try:
        unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return False
    return True


def _refuse_constant(_: str) -> NoReturn:
    raise _Refusal("NaN and Infinity are no JSON")


def _parse_finite(text: str) -> float:
    if isinf(number := float(text)):
        raise _Refusal("A number is too large")
    return number


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refusal("A name occurs twice in an object")
    return members
