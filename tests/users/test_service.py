import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from app.users.schemas import UserCreate
from app.users.service import create_user, find_user_by_email
from tests.factories import make_invitation, new_user


async def test_find_user_by_email_finds_only_the_canonical_form(
    session: AsyncSession, user: User
) -> None:
    assert await find_user_by_email(session, user.email) is user
    assert await find_user_by_email(session, user.email.upper()) is None


@pytest.mark.parametrize("email", ["Ada@example.com", "ada@EXAMPLE.com"])
async def test_database_refuses_an_address_that_is_not_canonical(
    session: AsyncSession, email: str
) -> None:
    session.add(new_user(email))
    with pytest.raises(IntegrityError, match="ck_user_email_is_canonical"):
        await session.flush()


async def test_create_user_passes_on_what_is_not_about_the_address(session: AsyncSession) -> None:
    unchecked = UserCreate.model_construct(**make_invitation("Ada@example.com"))
    with pytest.raises(IntegrityError, match="ck_user_email_is_canonical"):
        await create_user(session, unchecked)
