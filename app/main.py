"""The application: `uvicorn app.main:create_app --factory`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from alembic.script import ScriptDirectory
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.auth.pages import router as auth_pages
from app.auth.password_policy import PasswordPolicy
from app.auth.passwords import PasswordHasher
from app.auth.purge import purge_expired
from app.auth.router import router as auth_router
from app.database import Database
from app.database_url import database_url
from app.errors import install_error_handlers, problem_response
from app.health import router as health_router
from app.items.router import router as items_router
from app.mail.messages import Composer
from app.mail.worker import MailWorker, running
from app.middleware import BodyLimit, ResponseHeaders
from app.models import load_models
from app.openapi import DocumentedAPI
from app.pages.rendering import Pages
from app.settings import PROJECT, Settings, read_settings
from app.smtp import Console, SMTPOutlet
from app.users.router import router as users_router

API = "/api/v1"
NAME = "User service"
MAX_BODY_SIZE = 64 * 1024  # bytes


class Service(DocumentedAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """Put what every answer carries around all else: around the answer 500 too."""
        stack = ResponseHeaders(super().build_middleware_stack())
        # Outermost, so that nobody sees another address than the client's own.
        trusted = [*self.state.settings.trusted_proxies]
        return ProxyHeadersMiddleware(stack, trusted)  # type: ignore[arg-type, return-value]  # uvicorn's own types say the same


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application. Raises `SettingsError` if a setting is missing or wrong."""
    load_models()
    app = Service(
        title=NAME,
        version="0.1.0",
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        responses={422: problem_response("The request is not valid")},
    )
    app.state.settings = settings or read_settings()
    app.state.pages = Pages(
        service=NAME, password_min_length=app.state.settings.password_min_length
    )
    app.add_middleware(BodyLimit, size=MAX_BODY_SIZE)
    install_error_handlers(app)
    app.include_router(health_router)
    app.include_router(auth_router, prefix=API)
    app.include_router(users_router, prefix=API)
    app.include_router(items_router, prefix=API)
    app.include_router(auth_pages)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what lasts as long as the process, and close it."""
    settings: Settings = app.state.settings
    app.state.revisions = find_revisions()
    app.state.hasher = create_hasher(settings)
    with database_url(settings.given_database_url) as url:
        app.state.database = Database(url, pool_size=settings.database_pool_size)
        worker = create_mail_worker(settings, app.state.database)
        try:
            async with running(worker) if settings.mail_worker else nullcontext():
                yield
        finally:
            await app.state.database.dispose()
            app.state.hasher.close()


def create_hasher(settings: Settings) -> PasswordHasher:
    return PasswordHasher(
        memory=settings.password_hash_memory,
        threads=settings.password_hash_threads,
        policy=PasswordPolicy(min_length=settings.password_min_length, application=NAME),
    )


def create_mail_worker(settings: Settings, database: Database) -> MailWorker:
    """Make what sends the mail, and tidies up each hour."""
    server = settings.smtp_server
    outlet = Console() if server is None else SMTPOutlet(server)
    composer = Composer(public_url=settings.public_url, sender=settings.mail_sender)
    return MailWorker(database, outlet, composer, tidy=purge_expired)


def find_revisions() -> frozenset[str]:
    """Return the newest revisions that this release was built with; one, unless they branch."""
    return frozenset(ScriptDirectory(str(PROJECT / "migration")).get_heads())


def _operation_id(route: APIRoute) -> str:
    return f"{route.tags[0]}-{route.name}"
