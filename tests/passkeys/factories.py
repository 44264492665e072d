"""Users with passkeys."""

from typing import Any, Final

from httpx2 import AsyncClient, Response
from pydantic import Secret
from sqlmodel.ext.asyncio.session import AsyncSession
from webauthn.helpers import encode_cbor

from app.passkeys.login import derive_challenge
from app.passkeys.models import Passkey
from app.passkeys.service import make_challenge
from app.users.models import User
from tests.passkeys.authenticator import Authenticator, encode

PASSKEYS: Final = "/api/v1/users/me/passkeys"
LOGIN: Final = "/api/v1/auth/login/passkey"
SECOND_STEP: Final = "/api/v1/auth/login/second-factor/passkey"


async def add_passkey(session: AsyncSession, user: User) -> tuple[Authenticator, Passkey]:
    """Give the user a passkey; return the authenticator that holds it."""
    holder = Authenticator(user_handle=user.id.bytes)
    passkey = Passkey(
        user_id=user.id,
        credential_id=holder.credential_id,
        public_key=encode_cbor(holder.public_key()),
        sign_count=holder.sign_count,
        is_backed_up=False,
        name="Laptop",
    )
    session.add(passkey)
    await session.commit()
    await session.refresh(passkey)
    return holder, passkey


async def make_passkey_objects(
    session: AsyncSession, user: User, login_challenge: str
) -> dict[str, Any]:
    """Return what the routes of passkeys take: a passkey of the user, and what browsers send."""
    holder, passkey = await add_passkey(session, user)
    of_login = encode(await make_challenge(session))
    of_second_step = encode(derive_challenge(Secret(login_challenge)))
    options = {"user": {"id": encode(user.id.bytes)}}
    new = Authenticator().create(
        options | {"challenge": encode(await make_challenge(session, user.id))}
    )
    await session.commit()
    return {
        "passkey_id": passkey.id,
        "new_passkey": new,
        "passkey_login": holder.get({"challenge": of_login}),
        "passkey_second_step": holder.get({"challenge": of_second_step}),
    }


async def ask(client: AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    """Return what a browser is asked for."""
    answer = await client.post(f"{path}/options", json=body or None)
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.json()["options"]
    return options


async def register(client: AsyncClient, holder: Authenticator, name: str = "Laptop") -> Response:
    credential = holder.create(await ask(client, PASSKEYS))
    return await client.post(PASSKEYS, json={"name": name, "credential": credential})


async def log_in(client: AsyncClient, holder: Authenticator) -> Response:
    return await client.post(LOGIN, json={"credential": holder.get(await ask(client, LOGIN))})
