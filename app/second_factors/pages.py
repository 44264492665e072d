"""The page to which the mail leads that removes second factors."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Response

from app.auth.dependencies import limit_mail_tokens
from app.second_factors import reset
from app.second_factors.dependencies import SecondFactorsDep
from app.second_factors.schemas import SecondFactorReset
from app.web.pages.routing import FORM_RULES, PageRoute, PagesDep
from app.web.session import SessionDep

router = APIRouter(
    tags=["pages"], route_class=PageRoute, dependencies=FORM_RULES, include_in_schema=False
)


@router.get("/reset-second-factors")
async def ask_for_reset(pages: PagesDep) -> Response:
    """Show the form to which the link leads."""
    return pages.render("reset_second_factors.html")


@router.post("/reset-second-factors", dependencies=[Depends(limit_mail_tokens)])
async def confirm_reset(
    session: SessionDep,
    gate: SecondFactorsDep,
    pages: PagesDep,
    form: Annotated[SecondFactorReset, Form()],
) -> Response:
    """Remove all second factors of the user whose code it is."""
    await reset.confirm_reset(session, gate, form)
    return pages.render("second_factors_reset.html")
