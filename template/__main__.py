"""`python -m template mine`, `shape` and `update`, as the Makefile calls them."""

import argparse
import signal
import sys
from pathlib import Path

from template.errors import TemplateError
from template.record import Record


def main() -> None:
    """Run a command; what its user can mend is said in a line."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    arguments = _read_arguments()
    try:
        arguments.run(arguments)
    except TemplateError as error:
        sys.exit(f"{arguments.command}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{arguments.command}: interrupted; nothing has been changed")


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="template")
    commands = parser.add_subparsers(dest="command", required=True)
    mine = commands.add_parser("mine", help="make a clone of the template your own")
    mine.add_argument("--name", required=True, help="what people read: Acme Notes")
    mine.add_argument("--slug", default="", help="the package: acme-notes, unless told otherwise")
    mine.add_argument("--without", default="", help="features to leave out, by their names")
    mine.add_argument("--yes", action="store_true", help="do not ask")
    mine.set_defaults(run=_make_mine)
    shape = commands.add_parser("shape", help="do so to a folder of files, as FILE says")
    shape.add_argument("record", type=Path)
    shape.set_defaults(run=_shape)
    update = commands.add_parser("update", help="take what is new in the template")
    update.add_argument("source", help="a commit of the template: template/main")
    update.set_defaults(run=_update)
    return parser.parse_args()


def _make_mine(arguments: argparse.Namespace) -> None:
    from template.mine import ask, make_mine  # noqa: PLC0415  # imports the service

    without = arguments.without.replace(",", " ").split()
    confirm = None if arguments.yes else ask
    make_mine(arguments.name, arguments.slug, without, confirm)


def _shape(arguments: argparse.Namespace) -> None:
    from template.shape import shape  # noqa: PLC0415  # like the other

    shape(Path.cwd(), Record.read(arguments.record.read_text("utf-8")))


def _update(arguments: argparse.Namespace) -> None:
    from template.update import update  # noqa: PLC0415  # like the others

    update(arguments.source)


if __name__ == "__main__":
    main()
