"""The application: `uvicorn app.main:create_app --factory`."""

import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import cache, partial
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.auth.authorization import list_permissions
from app.auth.pages import router as auth_pages
from app.auth.rate_limit import RateLimits
from app.auth.router import router as auth_router
from app.database.tables import load_models
from app.items.router import router as items_router
from app.mail.worker import running
from app.observability.events import LastResort, RequestEvents, name_operation
from app.observability.logging import configure_logging
from app.observability.metrics import RequestMetrics, sampling
from app.observability.telemetry import conceal_requests, configure_telemetry
from app.parts import (
    FEATURES,
    NAME,
    PAGES,
    SIGN_IN,
    SITE,
    WITNESSES,
    create_connections,
    create_database,
    create_gate,
    create_hasher,
    create_mail_worker,
    create_samples,
    create_token_sources,
    read_revisions,
)
from app.settings import Settings, read_settings
from app.users.router import me as me_router
from app.users.router import router as users_router
from app.web.answers import install_error_handlers
from app.web.docs import router as docs_router
from app.web.health import router as health_router
from app.web.middleware import BodyLimit, HeadAsGet, OneHost, ResponseHeaders
from app.web.openapi import DocumentedAPI
from app.web.pages.rendering import Pages
from app.web.problems import problem_response
from app.web.protocol import Watched
from app.web.router import ServiceRoute
from app.web.session import SessionLifetime
from app.web.shutdown import delayed_shutdown
from app.web.websockets import WebSocketErrors

# What is imported stays until the end, so no collection need look at it again: that would take
# 50 ms amid requests, and 200 ms when the process ends.
gc.freeze()

API = "/api/v1"
MAX_BODY_SIZE = 64 * 1024  # bytes


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application. Raises `SettingsError` if a setting is missing or wrong."""
    settings = settings or read_settings()
    configure_logging(as_json=settings.in_production, level=settings.log_level)
    load_models()
    app = DocumentedAPI(
        title=NAME,
        version="0.1.0",
        lifespan=lifespan,
        middleware=list_middleware(settings),
        redirect_slashes=False,
        telemetry=configure_telemetry(),
        openapi_url=None,  # app/web/docs.py serves it, and pages that show it
        generate_unique_id_function=name_operation,
        responses={422: problem_response("The request is not valid")},
    )
    app.router.route_class = ServiceRoute  # of `@app.get`
    app.state.settings = settings
    app.state.stopping = False
    app.state.gate = create_gate(settings)
    app.state.deletion_grace = timedelta(days=settings.account_deletion_days)
    app.state.token_sources = create_token_sources(settings)
    app.state.witnesses = WITNESSES
    app.state.pages = Pages(
        service=NAME,
        password_min_length=settings.password_min_length,
        deletion_days=settings.account_deletion_days,
        sign_in=SIGN_IN,
    )
    install_error_handlers(app)
    # What is asked for most comes first, since routes are tried in this order.
    for router in (me_router, items_router, users_router, auth_router, *FEATURES):
        app.include_router(router, prefix=API)
    app.include_router(health_router)
    for pages in (auth_pages, *PAGES, *SITE):
        app.include_router(pages)
    if settings.serves_docs:
        app.include_router(docs_router)
    # To look at all routes takes a while, for few requests.
    app.state.list_permissions = cache(partial(list_permissions, app))
    return app


def list_middleware(settings: Settings) -> list[Middleware]:
    """Name what each request goes through, the outermost first; all of it is plain ASGI."""
    observe = RequestMetrics().observe if settings.metrics_port else None
    return [
        Middleware(Watched),
        # Before all that follow, so that nobody sees another address than the client's own.
        Middleware(ProxyHeadersMiddleware, trusted_hosts=[*settings.trusted_proxies]),
        Middleware(ResponseHeaders, only_https=settings.in_production),
        Middleware(RequestEvents, observe=observe),
        *([_allow_origins(settings.cors_origins)] if settings.cors_origins else []),
        Middleware(OneHost),
        Middleware(WebSocketErrors),
        Middleware(LastResort),
        Middleware(SessionLifetime),
        Middleware(BodyLimit, size=MAX_BODY_SIZE),
        Middleware(HeadAsGet),
    ]


def _allow_origins(origins: tuple[str, ...]) -> Middleware:
    """Let pages of these origins call the API; they send the token themselves, never a cookie."""
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=("Authorization", "Content-Type", "X-Request-ID"),
        expose_headers=("X-Request-ID", "Retry-After", "WWW-Authenticate"),
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open what lasts as long as the process, and close it; yield what the server is to know."""
    conceal_requests()
    settings: Settings = app.state.settings
    app.state.revisions = read_revisions()
    app.state.hasher = create_hasher(settings)
    async with AsyncExitStack() as stack:
        stack.callback(app.state.hasher.close)
        url = stack.enter_context(settings.open_database_url())
        database = app.state.database = create_database(url, settings, settings.database_pool_size)
        stack.push_async_callback(database.dispose)
        app.state.limits = RateLimits(database)
        if settings.mail_worker:
            await stack.enter_async_context(running(create_mail_worker(settings, database)))
        if settings.metrics_port:
            await stack.enter_async_context(sampling(**create_samples(app)))
        stack.enter_context(delayed_shutdown(app, settings.shutdown_delay))
        yield {"connections": create_connections(settings)}
