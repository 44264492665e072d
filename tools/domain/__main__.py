"""`python -m tools.domain NAME FIELDS [PLURAL]`, which `make domain` calls."""

import sys
from pathlib import Path

from app.database.tables import ModelError
from tools.domain.fields import Definition, read_definition
from tools.domain.files import write_all
from tools.domain.places import require_names, require_place
from tools.domain.references import describe_self, find_targets
from tools.domain.registers import edit
from tools.domain.rendering import render
from tools.domain.words import UsageError, read_noun

ROOT = Path(__file__).parents[2]


def main(name: str = "", fields: str = "", plural: str = "", *, root: Path = ROOT) -> None:
    """Write a domain, and say what comes next; what is wrong is said in a line."""
    try:
        definition = define(root, name, fields, plural)
        files = prepare(root, definition)
        write_all(root, files.items())
    except (ModelError, OSError, UsageError) as error:
        sys.exit(f"make domain: {error}")
    except KeyboardInterrupt:
        sys.exit("make domain: interrupted; all is as it was")
    print(*files, sep="\n")
    print(f'Next: make revision m="Add {definition.noun.words}", then make migrate')


def define(root: Path, name: str, fields: str, plural: str = "") -> Definition:
    """Read what the domain is to be, in the light of what there is."""
    noun = read_noun(name, plural)
    require_place(root, noun)
    itself = describe_self(noun, is_owned="owner:user" in fields.split())
    definition = read_definition(noun, fields, {noun.one: itself} | find_targets(root))
    require_names(definition)
    return definition


def prepare(root: Path, definition: Definition) -> dict[Path, str]:
    """Make the texts of all files, the new and the changed."""
    files = render(definition)
    models = files[Path("app", definition.noun.many, "models.py")]
    return files | edit(root, definition, models)


if __name__ == "__main__":
    main(*sys.argv[1:])
