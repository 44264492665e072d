"""The application: `uvicorn app.main:create_app --factory`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from alembic.script import ScriptDirectory
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from app.auth.passwords import PasswordHasher
from app.auth.router import router as auth_router
from app.database import Database, database_url
from app.docs import router as docs_router
from app.errors import install_error_handlers, problem_response
from app.events import LastResort, RequestEvents
from app.health import router as health_router
from app.items.router import router as items_router
from app.logging import configure_logging
from app.mail.backlog import count_due_mails, get_age_of_oldest_mail
from app.metrics import RequestMetrics, Sample, sampling
from app.middleware import BodyLimit, ResponseHeaders
from app.models import load_models
from app.openapi import DocumentedAPI
from app.routing import name_operation
from app.settings import PROJECT, Settings, read_settings
from app.telemetry import conceal_requests, configure_telemetry
from app.users.router import router as users_router

API = "/api/v1"
MAX_BODY_SIZE = 64 * 1024  # bytes


class Service(DocumentedAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """Put what concerns every answer around all else: around the answer 500 too."""
        settings: Settings = self.state.settings
        app: ASGIApp = LastResort(super().build_middleware_stack())
        if settings.cors_origins:
            app = _allow_origins(app, settings.cors_origins)
        in_production = settings.environment == "production"
        observe = RequestMetrics().observe if settings.metrics_port else None
        return ResponseHeaders(RequestEvents(app, observe), only_https=in_production)


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
    in_production = settings.environment == "production"
    configure_logging(as_json=in_production, level=settings.log_level)
    load_models()
    app = Service(
        title="User service",
        version="0.1.0",
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=configure_telemetry(),
        openapi_url=None,  # app/docs.py serves it, and pages that show it
        generate_unique_id_function=name_operation,
        responses={422: problem_response("The request is not valid")},
    )
    app.state.settings = settings
    app.add_middleware(BodyLimit, size=MAX_BODY_SIZE)
    install_error_handlers(app)
    app.include_router(health_router)
    app.include_router(auth_router, prefix=API)
    app.include_router(users_router, prefix=API)
    app.include_router(items_router, prefix=API)
    if settings.serves_docs:
        app.include_router(docs_router)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what lasts as long as the process, and close it."""
    conceal_requests()
    settings: Settings = app.state.settings
    app.state.revisions = find_revisions()
    app.state.hasher = PasswordHasher(
        memory=settings.password_hash_memory, threads=settings.password_hash_threads
    )
    with database_url(settings.given_database_url) as url:
        app.state.database = Database(url, pool_size=settings.database_pool_size)
        try:
            async with sampling(**_samples(app) if settings.metrics_port else {}):
                yield
        finally:
            await app.state.database.dispose()
            app.state.hasher.close()


def _samples(app: FastAPI) -> dict[str, Sample]:
    """Name what metrics show of the process's and the database's state."""
    database: Database = app.state.database
    hasher: PasswordHasher = app.state.hasher

    async def count_connections() -> float:
        return database.connections_in_use

    async def count_passwords() -> float:
        return hasher.queue_length

    return {
        "connections": count_connections,
        "passwords": count_passwords,
        "mails": partial(database.transact, count_due_mails, read_only=True),
        "mail_age": partial(database.transact, get_age_of_oldest_mail, read_only=True),
    }


def find_revisions() -> frozenset[str]:
    """Return the newest revisions that this release was built with; one, unless they branch."""
    return frozenset(ScriptDirectory(str(PROJECT / "migration")).get_heads())
