"""Errors the service raises on purpose: each names its status, its code and what it means."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from pydantic import BaseModel


class ServiceError(Exception):
    """A request that was understood but refused.

    A subclass chooses the status; its name in snake case is the `code` that clients read, and its
    docstring the text that goes with it, unless the one who raises it says more.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    headers: ClassVar[Mapping[str, str]] = {}
    retry_after: int | None = None  # seconds
    extension: ClassVar[type[BaseModel] | None] = None
    """What `members` are, of a problem document that has members of its own."""
    members: Mapping[str, object] = {}
    reason: str | None = None
    """Why it is so; for logs and metrics, and none of the client's business."""

    @classmethod
    def code(cls) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __str__(self) -> str:
        return super().__str__() or (self.__doc__ or "").strip()


class Unauthenticated(ServiceError):
    status = HTTPStatus.UNAUTHORIZED


class Forbidden(ServiceError):
    status = HTTPStatus.FORBIDDEN


class NotFound(ServiceError):
    status = HTTPStatus.NOT_FOUND


class Conflict(ServiceError):
    status = HTTPStatus.CONFLICT


class Unavailable(ServiceError):
    """The service is busy; try again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after = 1

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class OutcomeUnknown(ServiceError):
    """The database was lost before it could confirm: what was asked may be done, or not."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    reason = "outcome"


class FieldError(BaseModel):
    loc: list[str | int]
    msg: str
    type: str


class InvalidField(ServiceError):
    """A field of the body has a value that the service does not take."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, field: str, message: str, *, type: str) -> None:  # noqa: A002  # its name in the answer
        """Say what is wrong in a sentence, and in a `type` that stays; never repeat the value."""
        super().__init__(f"{field}: {message}")
        self.error = FieldError(loc=["body", field], msg=message, type=type)
