"""What follows every way to sign in."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth import sessions
from app.auth.schemas import TokenPublic
from app.auth.sessions import InvalidToken
from app.site.cookie import SessionCookie
from app.site.dependencies import CookieDep, Visit, VisitDep
from app.site.rendering import Viewer
from app.site.routing import go, read_kept, read_path
from app.web.session import SessionDep

# Who has just signed in: only the token is known.
_SOMEBODY: Final = Viewer(email="", full_name=None, is_superuser=False, is_recent=True)


@dataclass(frozen=True, slots=True)
class Entrance:
    """The way in, with the session of the database that it takes."""

    session: AsyncSession
    visit: Visit
    cookie: SessionCookie

    async def enter(self, token: TokenPublic) -> Response:
        """Keep the token in the browser, in place of the one before, and lead on.

        Who was stopped amid a form sees again what they had typed, and sends it.
        """
        if self.visit.caller:
            with suppress(InvalidToken):
                await sessions.log_out(self.session, self.visit.caller)
        typed = self.visit.request.state.typed
        path, kept = read_path(typed.get("next")), read_kept(typed)
        answer = self._resume(path, kept) if kept else go(path)
        self.cookie.keep(answer, token)
        return answer

    def _resume(self, path: str, kept: Mapping[str, str]) -> Response:
        return self.visit.show("resume.html", next_path=path, kept=kept, viewer=_SOMEBODY)


async def get_entrance(session: SessionDep, visit: VisitDep, cookie: CookieDep) -> Entrance:
    return Entrance(session, visit, cookie)


EntranceDep = Annotated[Entrance, Depends(get_entrance)]
