"""`python -m alembic_online.rehearse URL`: try the pending revisions on a copy of a database."""

import argparse
import signal
import sys
from collections.abc import Sequence

from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from alembic_online.postgresql import reason
from alembic_online.rehearse import rehearse
from alembic_online.rehearse.copies import copied, usable_url
from alembic_online.rehearse.report import stops, table
from alembic_online.rehearse.statements import THRESHOLD

INTERRUPTED = 130  # as a shell says it of Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 0 if nothing would keep clients waiting."""
    options = _parser().parse_args(arguments)
    for each in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C, to remove the copy
        signal.signal(each, signal.default_int_handler)
    try:
        return _rehearse(options)
    except KeyboardInterrupt:
        return _fail("interrupted; the copy has been removed", INTERRUPTED)
    except CommandError as error:
        return _fail(str(error))
    except DBAPIError as error:
        return _fail(reason(error))
    except SQLAlchemyError as error:
        return _fail(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m alembic_online.rehearse", description=__doc__)
    parser.add_argument("url", help="the database; it is only read")
    parser.add_argument("--server", help="URL of the server on which the copy is made")
    parser.add_argument("-c", "--config", default="alembic.ini", help="default: alembic.ini")
    return parser


def _rehearse(options: argparse.Namespace) -> int:
    source = usable_url(options.url)
    server = usable_url(options.server) if options.server else None
    found: dict[str, str] = {}
    with copied(source, server) as copy:
        runs = 0
        for title, statements in rehearse(Config(options.config), copy):
            runs += 1
            _say(f"\n{title}")
            for line in table(statements):
                _say(line)
            for sql, line in stops(statements):
                found.setdefault(sql, f"{title}: {line}")  # once is enough, of two upgrades
    _say(_verdict(runs, list(found.values())))
    return 1 if found else 0


def _verdict(runs: int, found: list[str]) -> str:
    if not runs:
        return "Nothing to rehearse: the database is at the newest revision."
    limit = f"{THRESHOLD * 1000:.0f} ms"
    if not found:
        return f"\nNo client would have waited for longer than {limit}."
    return f"\nClients would wait for longer than {limit}:\n" + "\n".join(found)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # what it is for


def _fail(reason_: str, status: int = 1) -> int:
    sys.stderr.write(f"rehearse: {reason_}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
