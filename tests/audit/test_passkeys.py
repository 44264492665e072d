"""What is noted of a passkey that somebody has copied."""

from httpx2 import AsyncClient
from sqlmodel.ext.asyncio.session import AsyncSession

from app.users.models import User
from tests.audit.test_trail import OWN, read
from tests.passkeys.factories import add_passkey, log_in
from tests.problems import read_problem


async def test_copy_of_a_passkey_is_told_to_its_owner(
    client: AsyncClient, user_client: AsyncClient, session: AsyncSession, user: User
) -> None:
    holder, passkey = await add_passkey(session, user)
    holder.sign_count = 7
    assert (await log_in(client, holder)).status_code == 200
    holder.sign_count = 3
    read_problem(await log_in(client, holder), 401, "passkey_refused")
    holder.sign_count, holder.origin = 3, "https://evil.example"
    read_problem(await log_in(client, holder), 401, "passkey_refused")
    events = await read(user_client, OWN)
    assert sorted((each["outcome"], each["details"]) for each in events) == [
        ("done", {"second_factor": "passkey"}),
        ("passkey_refused", {"passkey_copied": str(passkey.id)}),
    ]
