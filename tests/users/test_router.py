from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from tests.factories import make_user, sign_in


async def test_get_me_returns_the_account(client: AsyncClient, session: AsyncSession) -> None:
    user = await make_user(session, email="ada@example.com", full_name="Ada")
    await sign_in(client, session, user)
    response = await client.get("/api/v1/users/me")
    assert response.status_code == 200, response.text
    assert response.json() == {
        "id": str(user.id),
        "email": "ada@example.com",
        "full_name": "Ada",
        "is_active": True,
        "is_superuser": False,
        "email_verified_at": None,
        "created_at": user.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": user.updated_at.isoformat().replace("+00:00", "Z"),
    }
