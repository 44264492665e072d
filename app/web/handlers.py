"""Calling the application's exception handlers, where the framework itself does not."""

from functools import partial
from inspect import iscoroutinefunction

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope


async def answer(error: Exception, scope: Scope, receive: Receive) -> Response:
    """Return what the handler of this error answers, or that of all others: `Exception`, or 500."""
    handlers = scope["app"].exception_handlers
    request = Request(scope, receive)
    for kind in type(error).__mro__[:-2]:
        if handler := handlers.get(kind):
            try:
                return await _call(handler, request, error)
            except Exception as other:  # noqa: BLE001  # it is not this one's to handle
                error = other
                break
    return await _call(handlers.get(500) or handlers[Exception], request, error)


async def _call(handler: object, request: Request, error: Exception) -> Response:
    if not iscoroutinefunction(handler):
        handler = partial(run_in_threadpool, handler)  # type: ignore[arg-type]  # of whatever kind
    response: Response = await handler(request, error)
    return response
