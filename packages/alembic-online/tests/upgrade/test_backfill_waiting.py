"""A back-fill waits for those that it would hold up."""

from pathlib import Path

import sqlalchemy as sa

from project import DRIVER, Project
from server import running_pair
from upgrade.backfills import ADD, FILL, WRONG
from upgrade.conftest import ENV, TABLES
from upgrade.sessions import log_of, start, transaction, wait_until

OPEN_FOR_LONG = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND state = 'idle in transaction'
                   AND clock_timestamp() - xact_start > interval '0.2 s'"""


def said(project: Project) -> str:
    log = log_of(project)
    return log.read_text() if log.exists() else ""


def test_row_of_another_transaction_is_waited_for(project: Project) -> None:
    project.write_revision(ADD)
    project.upgrade()
    project.write_revision(FILL)
    with transaction(project, "UPDATE account SET name = 'x' WHERE id = 617") as other:
        process = start(project)
        wait_until(lambda: "trying again" in said(project))
        assert project.scalar("SELECT count(*) FROM account WHERE size > 0") == 616
        other.commit()
        process.join()
    assert process.exitcode == 0, said(project)
    assert "account is busy, the lock was not free within 300ms" in said(project)
    assert project.scalar(WRONG) == 0


def test_transaction_that_stays_open_is_waited_for(project: Project) -> None:
    project.write_revision(ADD)
    project.upgrade()
    project.write_revision(FILL.replace("pause=0", "max_transaction=0.2"))
    with transaction(project, "UPDATE pet SET age = 1 WHERE id = 1") as other:
        wait_until(lambda: project.scalar(OPEN_FOR_LONG))
        process = start(project)
        wait_until(lambda: "transactions are open for more than 0.2 s" in said(project))
        assert "UPDATE pet SET age = 1" in said(project)
        assert project.scalar("SELECT count(*) FROM account WHERE size > 0") == 0
        other.commit()
        process.join()
    assert process.exitcode == 0
    assert project.scalar(WRONG) == 0


def seconds_behind(project: Project) -> float:
    """Give the replica something to replay, without which no lag is measured."""
    project.execute("UPDATE pet SET age = age WHERE id = 1")
    lag = "SELECT extract(epoch FROM max(replay_lag)) FROM pg_stat_replication"
    return float(project.scalar(lag) or 0)


def test_replica_that_stands_still_is_waited_for(tmp_path: Path) -> None:
    with running_pair() as (primary, replica):
        project = Project(tmp_path, sa.make_url(primary).set(drivername=DRIVER), env=ENV)
        project.write_revision(TABLES)
        project.upgrade()
        project.write_revision(f"{ADD}\n{FILL.replace('pause=0', 'max_lag=0.2')}")
        url = replica.replace("postgresql:", f"{DRIVER}:")
        # A transaction that stays open would keep the replica from replaying what it could see.
        standby = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with standby.connect() as connection:
            connection.execute(sa.text("SELECT pg_wal_replay_pause()"))
            wait_until(lambda: seconds_behind(project) > 0.2)
            process = start(project)
            wait_until(lambda: "waiting, a replica is" in said(project))
            assert project.scalar("SELECT count(*) FROM account WHERE size IS NULL") > 0
            connection.execute(sa.text("SELECT pg_wal_replay_resume()"))
            process.join()
        standby.dispose()
        assert process.exitcode == 0, said(project)
        assert project.scalar(WRONG) == 0
