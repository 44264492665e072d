"""The application: `uvicorn app.main:create_app --factory`."""

import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.auth.pages import router as auth_pages
from app.auth.rate_limit import RateLimits
from app.auth.router import router as auth_router
from app.database.tables import load_models
from app.database.url import database_url
from app.items.router import router as items_router
from app.mail.worker import running
from app.observability.events import LastResort, RequestEvents
from app.observability.logging import configure_logging, event_logger
from app.observability.metrics import RequestMetrics, sampling
from app.observability.telemetry import conceal_requests, configure_telemetry
from app.parts import (
    NAME,
    create_connections,
    create_database,
    create_hasher,
    create_mail_worker,
    create_samples,
    read_revisions,
)
from app.settings import Settings, read_settings
from app.users.router import me as me_router
from app.users.router import router as users_router
from app.web.docs import router as docs_router
from app.web.health import router as health_router
from app.web.middleware import BodyLimit, ResponseHeaders
from app.web.openapi import DocumentedAPI
from app.web.pages.rendering import Pages
from app.web.problems import install_error_handlers, problem_response
from app.web.protocol import Watched
from app.web.router import add_routes, name_operation
from app.web.shutdown import delayed_shutdown

# What is imported stays until the end, so no collection need look at it again: that would take
# 50 ms amid requests, and 200 ms when the process ends.
gc.freeze()

API = "/api/v1"
MAX_BODY_SIZE = 64 * 1024  # bytes


class Service(DocumentedAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """Put what concerns every answer around all else: around the answer 500 too."""
        settings: Settings = self.state.settings
        app: ASGIApp = LastResort(super().build_middleware_stack())
        if settings.cors_origins:
            app = _allow_origins(app, settings.cors_origins)
        observe = RequestMetrics().observe if settings.metrics_port else None
        as_json, level = settings.in_production, settings.log_level
        log = event_logger("app.requests", as_json=as_json, level=level)
        app = ResponseHeaders(RequestEvents(app, log, observe), only_https=settings.in_production)
        # Outermost, so that nobody sees another address than the client's own.
        trusted = [*settings.trusted_proxies]
        app = ProxyHeadersMiddleware(app, trusted)  # type: ignore[arg-type, assignment]  # uvicorn's own types say the same
        return Watched(app)


def _allow_origins(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Let pages of these origins call the API; they send the token themselves, never a cookie."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=("Authorization", "Content-Type", "X-Request-ID"),
        expose_headers=("X-Request-ID", "Retry-After"),
    )


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application. Raises `SettingsError` if a setting is missing or wrong."""
    settings = settings or read_settings()
    configure_logging(as_json=settings.in_production, level=settings.log_level)
    load_models()
    app = Service(
        title=NAME,
        version="0.1.0",
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=configure_telemetry(),
        openapi_url=None,  # app/web/docs.py serves it, and pages that show it
        generate_unique_id_function=name_operation,
        responses={422: problem_response("The request is not valid")},
    )
    app.state.settings = settings
    app.state.stopping = False
    app.state.pages = Pages(service=NAME, password_min_length=settings.password_min_length)
    app.add_middleware(BodyLimit, size=MAX_BODY_SIZE)
    install_error_handlers(app)
    # What is asked for most comes first, since routes are tried in this order.
    add_routes(app, me_router, API)
    add_routes(app, items_router, API)
    add_routes(app, users_router, API)
    add_routes(app, auth_router, API)
    add_routes(app, health_router)
    add_routes(app, auth_pages)
    if settings.serves_docs:
        add_routes(app, docs_router)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open what lasts as long as the process, and close it; yield what the server is to know."""
    conceal_requests()
    settings: Settings = app.state.settings
    app.state.revisions = read_revisions()
    app.state.hasher = create_hasher(settings)
    async with AsyncExitStack() as stack:
        stack.callback(app.state.hasher.close)
        url = stack.enter_context(database_url(settings.given_database_url))
        database = app.state.database = create_database(url, settings, settings.database_pool_size)
        stack.push_async_callback(database.dispose)
        app.state.limits = RateLimits(database)
        if settings.mail_worker:
            await stack.enter_async_context(running(create_mail_worker(settings, database)))
        if settings.metrics_port:
            await stack.enter_async_context(sampling(**create_samples(app)))
        stack.enter_context(delayed_shutdown(app, settings.shutdown_delay))
        yield {"connections": create_connections(settings)}
