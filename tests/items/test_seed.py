from sqlalchemy import URL

from app.database.url import libpq_uri
from tests.commands import IN_PRODUCTION, NOWHERE, Run, database, query, run

__all__ = ["database", "run"]  # fixtures


def test_seed_adds_users_with_items(run: Run, database: URL) -> None:
    arguments = ("seed", "--users", "150", "--items-per-user", "3")
    done = run(*arguments, DATABASE_URL=libpq_uri(database))
    assert done.code == 0
    assert "150 users with 3 items each; sign in as demo-" in done.output
    owners = query(database, "SELECT count(*), count(DISTINCT owner_id) FROM item")
    assert owners == [(450, 150)]


def test_seed_is_not_for_production(run: Run) -> None:
    done = run("seed", ENVIRONMENT="production", DATABASE_URL=NOWHERE, **IN_PRODUCTION)
    assert done.code == "app: demo data is not for production"
