"""Parameters of queries and forms that are given once, unless they are lists."""

from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.datastructures import FormData, ImmutableMultiDict, QueryParams


class _GivenOnce(ImmutableMultiDict[str, Any]):
    """Refuses to choose between several values: who has checked one may have meant another.

    FastAPI asks for a list by `getlist`, and for one value by `get`.
    """

    place: str

    def get(self, key: Any, default: Any = None) -> Any:
        if len(self.getlist(key)) > 1:
            error = {"type": "given_twice", "loc": (self.place, key), "msg": "Give this once"}
            raise RequestValidationError([error])
        return super().get(key, default)


class Query(_GivenOnce, QueryParams):
    place = "query"


class Form(_GivenOnce, FormData):
    place = "body"
