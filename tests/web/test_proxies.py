"""Which address and scheme a request has: what a trusted proxy says, and nobody else."""

from typing import Any

import pytest
from fastapi import FastAPI, Request
from httpx2 import ASGITransport, AsyncClient

from app.main import create_app
from app.settings import Settings

PROXY, CLIENT = "10.0.0.1", "198.51.100.7"


def make_app(*trusted: str) -> FastAPI:
    app = create_app(Settings(_env_file=None, trusted_proxies=trusted))

    @app.get("/origin", tags=["test"])
    async def tell_origin(request: Request) -> dict[str, Any]:
        assert request.client
        return {"address": request.client.host, "scheme": request.url.scheme}

    return app


async def find_origin(app: FastAPI, *, peer: str, **headers: str) -> tuple[str, str]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    transport = ASGITransport(app, client=(peer, 1))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        origin = (await client.get("/origin", headers=names)).json()
    return origin["address"], origin["scheme"]


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8",)])
async def test_asvs_4_1_3_forwarded_headers_of_a_stranger_are_ignored(
    trusted: tuple[str, ...],
) -> None:
    forged = {
        "x_forwarded_for": "192.0.2.1",
        "x_forwarded_proto": "https",
        "x_real_ip": "192.0.2.1",
    }
    origin = await find_origin(make_app(*trusted), peer=CLIENT, **forged)
    assert origin == (CLIENT, "http")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"192.0.2.1, {CLIENT}", CLIENT),  # what stands left is the client's claim
        (PROXY, f"192.0.2.1, {CLIENT}, 10.2.3.4", CLIENT),
        (PROXY, f"10.9.9.9, {CLIENT}", CLIENT),  # a claim to be a proxy
        (PROXY, f"{CLIENT}:4711", CLIENT),
        (PROXY, "[2001:db8::7]:4711", "2001:db8::7"),
        (PROXY, "2001:db8::7", "2001:db8::7"),
        (PROXY, "", PROXY),
        ("fd00::1", CLIENT, CLIENT),
    ],
)
async def test_asvs_15_3_4_the_address_is_the_last_that_is_no_proxys(
    peer: str, forwarded: str, address: str
) -> None:
    app = make_app("10.0.0.0/8", "fd00::/8")
    headers = {"x_forwarded_for": forwarded, "x_forwarded_proto": "https"}
    assert await find_origin(app, peer=peer, **headers) == (address, "https")


async def test_malformed_forwarded_scheme_is_ignored() -> None:
    app = make_app("10.0.0.0/8")
    origin = await find_origin(app, peer=PROXY, x_forwarded_proto="javascript")
    assert origin == (PROXY, "http")
