"""What the owner of the service does about second factors on the command line."""

from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.commands import Run, create_superuser, database, query, run
from tests.factories import PASSWORD

__all__ = ["database", "run"]  # fixtures


def test_command_is_for_an_account_that_is_there(run: Run, database: URL) -> None:
    url = libpq_uri(database)
    nobody = run("reset-second-factors", "nobody@example.com", DATABASE_URL=url)
    assert nobody.code == "app: No user has this id."
    run(*create_superuser("ada@example.com"), stdin=f"{PASSWORD}\n", DATABASE_URL=url)
    done = run("reset-second-factors", "Ada@example.com", DATABASE_URL=url)
    assert (done.code, done.output.splitlines()[-1]) == (0, "ada@example.com: done")
    kinds = query(database, "SELECT kind FROM outbox ORDER BY created_at")
    assert kinds[-1] == ("second_factor_changed",)
