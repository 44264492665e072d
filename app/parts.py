"""What lasts as long as the process, built from the settings."""

import resource
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from sqlalchemy import URL
from sqlmodel.ext.asyncio.session import AsyncSession

from app.audit.dependencies import AuditTrail
from app.audit.router import router as audit_router
from app.audit.service import note_command, read_own_events
from app.audit.service import purge as purge_audit
from app.auth.dependencies import TokenSource
from app.auth.export import FURTHER
from app.auth.gate import Gate
from app.auth.password_policy import PasswordPolicy
from app.auth.passwords import PasswordHasher
from app.auth.purge import Expired, purge_expired
from app.database.statements import log_statements
from app.database.transactions import Database
from app.mail.backlog import count_due_mails, get_age_of_oldest_mail
from app.mail.letters import WRITERS
from app.mail.messages import Composer
from app.mail.outlet import Console, Outlet
from app.mail.smtp import SMTPOutlet
from app.mail.worker import MailWorker
from app.observability.metrics import Sample
from app.passkeys.ceremonies import RelyingParty
from app.passkeys.factor import Passkeys
from app.passkeys.purge import EXPIRED as EXPIRED_PASSKEYS
from app.passkeys.router import router as passkeys_router
from app.roles.router import router as roles_router
from app.roles.service import has_permission
from app.second_factors.gate import OneTimeCodes, SecondFactors
from app.second_factors.keys import Keys
from app.second_factors.pages import router as second_factors_pages
from app.second_factors.purge import EXPIRED as EXPIRED_SECOND_FACTORS
from app.second_factors.reset import WRITERS as SECOND_FACTOR_WRITERS
from app.second_factors.reset import reset_at_once
from app.second_factors.router import router as second_factors_router
from app.settings import PROJECT, Settings
from app.site.cookie import SessionCookie
from app.site.router import ROUTERS as SITE_ROUTERS
from app.users.permissions import GRANTING
from app.web.connections import Connections, Patience
from app.web.health import Revisions
from app.web.router import Witness

NAME = "User service"
# What can be taken out whole has a line of its own in each of these.
FEATURES: Final[Sequence[APIRouter]] = [
    audit_router,
    roles_router,
    second_factors_router,
    passkeys_router,
]
PAGES: Final[Sequence[APIRouter]] = [
    second_factors_pages,
]
SITE: Final[Sequence[APIRouter]] = SITE_ROUTERS
SIGN_IN: Final[str | None] = "sign-in"
"""Where the pages of mails lead on."""
AccountCommand = Callable[[AsyncSession, Any, str], Awaitable[None]]
ACCOUNT_COMMANDS: Final[dict[str, AccountCommand]] = {
    "reset-second-factors": reset_at_once,
}
"""Commands of `app` about one account: each gets the session, the gate, and the address."""
WITNESSES: Final[Sequence[Witness]] = [
    AuditTrail(),
]
CommandWitness = Callable[[AsyncSession, str, str], Awaitable[None]]
COMMAND_WITNESSES: Final[Sequence[CommandWitness]] = [
    note_command,
]
"""What is told of each command about an account, in its transaction: the command, the address."""
PurgeCommand = Callable[[Database, int], Awaitable[int]]
PURGE_COMMANDS: Final[dict[str, PurgeCommand]] = {
    "purge-audit": purge_audit,
}
"""Commands of `app` that delete what is older than so many days, and return how many rows."""
EXPIRED: Final[Sequence[Expired]] = [
    *EXPIRED_SECOND_FACTORS,
    *EXPIRED_PASSKEYS,
]
FURTHER["audit_event"] = read_own_events
WRITERS.update(SECOND_FACTOR_WRITERS)
GRANTING.append(has_permission)
_OTHER_FILES: Final = 64  # that a process opens besides its connections


def create_hasher(settings: Settings) -> PasswordHasher:
    return PasswordHasher(
        memory=settings.password_hash_memory,
        threads=settings.password_hash_threads,
        policy=PasswordPolicy(min_length=settings.password_min_length, application=NAME),
    )


def create_token_sources(settings: Settings) -> Sequence[TokenSource]:
    """Name where a request may have its token besides the header."""
    return (SessionCookie.at(settings.public_url),)


def create_relying_party(settings: Settings) -> RelyingParty:
    """Say who we are to browsers that have passkeys."""
    return RelyingParty.at(
        settings.public_url,
        name=NAME,
        id_=settings.passkey_domain,
        origins=settings.passkey_origins,
    )


def create_gate(settings: Settings) -> Gate:
    """Make what a login must pass besides the password."""
    given = settings.second_factor_key_list
    return SecondFactors(
        keys=Keys(*given) if given else Keys.for_development(),
        issuer=NAME,
        required=settings.second_factor_required,
        factors=[OneTimeCodes(), Passkeys(create_relying_party(settings))],
    )


def create_database(url: URL, settings: Settings, pool_size: int) -> Database:
    prepared_statements = settings.database_prepared_statements
    database = Database(
        url,
        pool_size=pool_size,
        prepared_statements=prepared_statements,
        request_timeout=settings.request_timeout,
    )
    slow = settings.slow_statement / 1000
    log_statements(database.engine, every=settings.log_sql, slow=slow)
    return database


def create_connections(settings: Settings) -> Connections:
    """Bound what clients may hold, so that the process never runs out of file descriptors."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    spare = max(1, files - settings.database_pool_size - _OTHER_FILES)
    patience = Patience(
        idle=settings.keep_alive_timeout,
        head=settings.head_timeout,
        body=settings.body_timeout,
        send=settings.send_timeout,
    )
    return Connections(patience, min(settings.max_connections, spare))


def read_revisions() -> Revisions:
    return Revisions.read(PROJECT / "migration")


def create_outlet(settings: Settings) -> Outlet:
    server = settings.smtp_server
    return Console() if server is None else SMTPOutlet(server)


def create_composer(settings: Settings) -> Composer:
    return Composer(public_url=settings.public_url, sender=settings.mail_sender)


def create_mail_worker(settings: Settings, database: Database) -> MailWorker:
    """Make what sends the mail, and tidies up each hour."""
    tidy = partial(purge_expired, of_features=EXPIRED)
    return MailWorker(database, create_outlet(settings), create_composer(settings), tidy)


def create_samples(app: FastAPI) -> dict[str, Sample]:
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
