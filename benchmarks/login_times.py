"""Whether time tells if an account exists: medians of interleaved logins, refused, and resets.

The service runs as one process, with its own database and the real cost of a password.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

import psycopg

from app.database.embedded import running_server
from app.database.url import libpq_uri
from benchmarks.login_flood import ACCOUNT, ROOT, Connection, sign_up, tell
from tests.servers import running_app

# Each with a password that is wrong, except where the account is what is wrong.
KINDS = {
    "known": (ACCOUNT["username"], "a wrong password"),
    "unknown": ("nobody@example.com", "a wrong password"),
    "malformed": ("no address", "a wrong password"),
    "inactive": ("inactive@example.com", ACCOUNT["password"]),
    "without a password": ("invited@example.com", "a wrong password"),
}
RESET = "POST /api/v1/auth/password-reset"
_OTHERS = """
    INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser)
    SELECT gen_random_uuid(), 'inactive@example.com', hashed_password, false, false FROM "user"
    UNION ALL SELECT gen_random_uuid(), 'invited@example.com', '!', true, false
"""


async def measure(url: str, database: str, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of every try of each kind."""
    await sign_up(url)
    times: dict[str, list[float]] = {}
    connection = await Connection.open(url)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(_OTHERS)
        for _ in range(rounds):
            owner.execute("TRUNCATE rate_limit")
            for kind in random.sample(list(KINDS), len(KINDS)):
                username, password = KINDS[kind]
                started = time.perf_counter()
                status, _ = await connection.log_in({"username": username, "password": password})
                assert status == 401, status  # noqa: PLR2004, S101  # Unauthorized
                times.setdefault(f"login, {kind}", []).append(take(started))
                started = time.perf_counter()
                body = json.dumps({"email": username})
                status, _ = await connection.request(
                    RESET, "Content-Type: application/json", body=body
                )
                assert status == 202, status  # noqa: PLR2004, S101  # Accepted
                times.setdefault(f"reset, {kind}", []).append(take(started))
    return times


def take(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=200)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as database:
        given = libpq_uri(database)
        cost = {"PASSWORD_HASH_MEMORY": "47104", "MAIL_WORKER": "false"}
        with running_app(folder=ROOT, DATABASE_URL=given, **cost) as server:
            times = asyncio.run(measure(server.url, given, rounds))
    for kind, each in sorted(times.items()):
        usual = statistics.median(times[f"{kind.partition(',')[0]}, known"])
        median = statistics.median(each)
        tell(f"{kind:26} median {median:6.2f} ms  {median / usual - 1:+6.1%}")


if __name__ == "__main__":
    main()
