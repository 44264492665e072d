"""All that the templates know of a definition."""

from collections.abc import Callable
from typing import Any

from tools.domain.fields import Definition, Field
from tools.domain.references import Target
from tools.domain.sentences import describe_functions
from tools.domain.words import to_class_name

_SEARCHED = "A blue\\ sky%"  # what a test looks for


def describe(definition: Definition) -> dict[str, Any]:
    """Name what the templates of the domain and those of its tests are filled with."""
    noun, fields, owned = definition.noun, definition.fields, definition.is_owned
    foreign = _find_foreign(definition)
    own_errors, errors = _list_errors(definition, foreign)
    missing = f"{noun.class_name}NotFound"
    return {
        "one": noun.one,
        "many": noun.many,
        "Class": noun.class_name,
        "path": noun.path,
        "word": noun.word,
        "words": noun.words,
        "a": noun.a,
        "owned": owned,
        "joined_by": definition.joined_by,
        "fields": fields,
        "enums": [field for field in fields if field.kind.members],
        "references": [field for field in fields if field.target],
        "uniques": [field for field in fields if field.unique],
        "foreign": foreign,
        "checked": definition.checked,
        "searched": definition.searched,
        "flush": any(field.target or field.unique for field in fields),
        "own_errors": own_errors,
        "create_errors": f", responses=problems({', '.join(errors)})" if errors else "",
        "update_errors": ", ".join(dict.fromkeys([missing, *errors[1:]])),  # which has no id
        "again": AGAIN[owned],
        "gone": " or ".join(f'violates(error, "{each}")' for each in _list_gone(definition)),
        "taken": lambda field: _name_taken(definition, field),
        **_describe_callers(owned=owned),
        **_describe_tests(definition),
        **_describe_bodies(definition),
        **describe_functions(definition, errors),
    }


AGAIN = {
    True: "Who has left meanwhile, or has sent it twice at once, is told when it runs again.",
    False: "Who has sent it twice at once is told when it runs again.",
}


def _list_gone(definition: Definition) -> list[str]:
    """Name the constraints whose violation another try does not meet again."""
    one = definition.noun.one
    return [f"fk_{one}_owner_id"] * definition.is_owned + [f"pk_{one}"]


def _find_foreign(definition: Definition) -> list[Target]:
    """Return the other tables that are referred to, each once."""
    targets = {field.target.table: field.target for field in definition.fields if field.target}
    return [target for table, target in targets.items() if table != definition.noun.one]


def _list_errors(definition: Definition, foreign: list[Target]) -> tuple[list[str], list[str]]:
    """Name the errors that the service defines, and all that writing a row can end with."""
    own = [f"{definition.noun.class_name}IdTaken"]
    own += [_name_taken(definition, field) for field in definition.fields if field.unique]
    own += [each.not_found for each in foreign if not each.error]
    others = [each.not_found for each in foreign if each.error]
    refers_to_itself = any(
        field.target and field.target.table == definition.noun.one for field in definition.fields
    )
    return own, own + others + [f"{definition.noun.class_name}NotFound"] * refers_to_itself


def _name_taken(definition: Definition, field: Field) -> str:
    return f"{definition.noun.class_name}{to_class_name(field.name)}Taken"


def _describe_callers(*, owned: bool) -> dict[str, str]:
    """Say who reads and writes, in the parameters of functions and of tests."""
    return {
        "session_user": "session: AsyncSession, user: User" if owned else "session: AsyncSession",
        "user": "user, " if owned else "",
        "reader": "user: CurrentUser" if owned else "_: CurrentUser",
        "writer": "user: CurrentUser" if owned else "_: Superuser",
        "client": "user_client" if owned else "superuser_client",
        "listing": "superuser_client" if owned else "user_client",
        "user_fixture": ", user: User" if owned else "",
        "and_user": ", user" if owned else "",
    }


def _describe_tests(definition: Definition) -> dict[str, Any]:
    fields = definition.fields
    searched = [each for each in definition.searched if each.takes(_SEARCHED)]
    return {
        "changed": next(field for field in fields if not field.target),
        "numbered": any(field.unique and not field.target for field in fields),
        "required": [field for field in fields if field.is_required],
        "left_out": [field for field in fields if not field.is_required],
        "found_in": searched[0].name if searched else None,
        "found_is_unique": searched[0].unique if searched else False,
    }


def _describe_bodies(definition: Definition) -> dict[str, Any]:
    """Say what the tests' bodies need to be made: rows to refer to, of an owner perhaps."""
    one, owned = definition.noun.one, definition.is_owned
    referring = [each for each in definition.fields if each.target and each.target.table != one]
    takes_owner = any(each.target and each.target.takes_owner for each in referring)
    needs_owner = owned and takes_owner
    parameters = ["session: AsyncSession"] * bool(referring) + ["owner: User"] * needs_owner
    return {
        "referring": referring,
        "sent": [each for each in definition.fields if not each.target] + referring,
        "needs_owner": needs_owner,
        "body_parameters": ", ".join(parameters),
        "body_fixtures": "session: AsyncSession, " * bool(referring) + "user: User, " * needs_owner,
        "make_body": _make_body_writer(one, is_async=bool(referring), needs_owner=needs_owner),
        "make_target": lambda target: _write_make(target, owned=owned),
    }


def _make_body_writer(one: str, *, is_async: bool, needs_owner: bool) -> Callable[[str], str]:
    def write(owner: str) -> str:
        arguments = ["session"] * is_async + [owner] * needs_owner
        return f"{'await ' * is_async}make_{one}_body({', '.join(arguments)})"

    return write


def _write_make(target: Target, *, owned: bool) -> str:
    owner = "owner" if owned else "await make_user(session)"
    arguments = ["session"] + [owner] * target.takes_owner
    return f"await make_{target.table}({', '.join(arguments)})"
