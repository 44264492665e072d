"""The pages for whoever is not signed in yet, the way in, and the way out."""

from typing import Annotated

from fastapi import Form, Request, Response

from app.auth import login as signing_in
from app.auth import service, sessions
from app.auth.dependencies import (
    AttemptDep,
    ClientDep,
    GateDep,
    HasherDep,
    LimitsDep,
    limit_sign_up,
)
from app.site.assets import ASSETS
from app.site.dependencies import CookieDep, VisitDep
from app.site.entering import EntranceDep
from app.site.forms import SignUpForm
from app.site.routing import go, new_router, read_path
from app.web.errors import NotFound
from app.web.session import SessionDep

router = new_router()
_FOREVER = "public, max-age=31536000, immutable"


class AssetNotFound(NotFound):
    """No file has this name."""


@router.get("/")
async def show_home(request: Request, visit: VisitDep) -> Response:
    """Say what this is."""
    return visit.show("home.html", docs=request.app.state.settings.serves_docs)


@router.get("/assets/{name}")
async def get_asset(name: str) -> Response:
    """Return a file that pages load; its name changes with what is in it."""
    asset = ASSETS.get(name.rpartition(".")[2])
    if asset is None or asset.path != name:
        raise AssetNotFound
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": _FOREVER})


@router.get("/sign-up")
async def ask_for_account(visit: VisitDep) -> Response:
    """Show the form that makes an account."""
    return visit.show("forms/sign_up.html")


@router.post("/sign-up")
async def sign_up(
    hasher: HasherDep,
    limits: LimitsDep,
    client: ClientDep,
    form: Annotated[SignUpForm, Form()],
    entrance: EntranceDep,
) -> Response:
    """Create an account, and sign in to it."""
    await limit_sign_up(hasher, limits, client, form)
    session = entrance.session
    user = await service.sign_up(session, hasher, form)
    token = await sessions.start_session(session, user.id, client)
    await signing_in.remember_device(session, user.id, client)
    return await entrance.enter(token)


@router.get("/sign-in")
async def ask_for_login(visit: VisitDep, next: str | None = None) -> Response:  # noqa: A002  # its name in the address
    """Show the form to sign in with; also to who is signed in, and must show it again."""
    path = read_path(next)
    if visit.caller and (next is None or visit.caller.is_recent):
        return go(path)
    typed = {"username": visit.caller.user.email} if visit.caller else {}
    return visit.show("forms/sign_in.html", next_path=path, typed=typed)


@router.post("/sign-in")
async def sign_in(
    hasher: HasherDep,
    limits: LimitsDep,
    gate: GateDep,
    attempt: AttemptDep,
    entrance: EntranceDep,
) -> Response:
    """Sign in with a password, and be asked for a second factor where there is one."""
    token = await signing_in.log_in(entrance.session, hasher, limits, gate, attempt)
    return await entrance.enter(token)


@router.post("/sign-out")
async def sign_out(session: SessionDep, visit: VisitDep, cookie: CookieDep) -> Response:
    """End the login session, and have the browser forget it; nothing of it stays in the cache."""
    if visit.caller:
        await sessions.log_out(session, visit.caller)
    answer = go("/")
    cookie.remove(answer)
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer
