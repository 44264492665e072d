"""Reads FIELDS: `title:str(255) done:bool=false due:date? owner:user`."""

import keyword
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import SQLModel

from tools.domain.kind import Default, Kind
from tools.domain.kinds import TYPE_NAMES, TYPES, make_kind
from tools.domain.references import Target
from tools.domain.words import LONGEST_IDENTIFIER, Noun, UsageError, to_class_name

_FIELD = re.compile(
    r"(?P<name>[^:]*):(?P<type>[A-Za-z_]\w*)(\((?P<arguments>[^()]*)\))?(?P<optional>\?)?"
    r"(=(?P<default>.*?))?(?P<options>(:(unique|index))*)",
    re.DOTALL,
)
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_EXAMPLE = 'FIELDS="title:str(255) done:bool=false due:date? slug:str(80):unique owner:user"'
# What each domain has, and the types that its classes are annotated with.
_TAKEN = {"id", "created_at", "updated_at", "awaitable_attrs"}
_TYPES = {"bool", "date", "datetime", "dict", "int", "str", "uuid"}
# What the endings of a name promise, as those of the shipped tables do.
_ENDINGS = {"_at": "datetime", "_id": "uuid", "_email": "email"}


@dataclass(frozen=True)
class Field:
    """One field that clients send and receive; of a reference, the column with the key."""

    name: str
    kind: Kind
    optional: bool
    default: Default | None
    unique: bool
    index: bool
    target: Target | None = None

    @property
    def is_required(self) -> bool:
        return self.default is None and not self.optional

    @property
    def word(self) -> str:
        return self.name.removesuffix("_id").replace("_", " ")

    @property
    def has_least_length(self) -> bool:
        return self.kind.is_text and not self.optional and self.default_value != ""

    def takes(self, text: str) -> bool:
        """Tell whether a text is short enough for the field."""
        return self.kind.length is None or len(text) <= self.kind.length

    @property
    def default_value(self) -> Any:
        return None if self.default is None else self.default.value


@dataclass(frozen=True)
class Definition:
    """A domain: its name, its fields, and whether each row has an owner."""

    noun: Noun
    fields: tuple[Field, ...]
    is_owned: bool

    @property
    def searched(self) -> list[Field]:
        return [field for field in self.fields if field.kind.is_text]

    @property
    def joined_by(self) -> str:
        """What both ends of the owner's relationship add, where another field is a user too."""
        if not any(field.target and field.target.table == "user" for field in self.fields):
            return ""
        columns = f'"{self.noun.class_name}.owner_id"'
        return f', sa_relationship_kwargs={{"foreign_keys": {columns}}}'

    @property
    def checked(self) -> list[Field]:
        """The references to what users own, of which each may have some only."""
        return [
            field
            for field in self.fields
            if self.is_owned and field.target and field.target.is_owned
        ]


def read_definition(noun: Noun, text: str, targets: Mapping[str, Target]) -> Definition:
    """Judge all fields, or raise `UsageError`."""
    try:
        words = shlex.split(text)
    except ValueError:
        raise UsageError("FIELDS has a quote that nothing closes") from None
    fields = [_read_field(noun, word, targets) for word in words]
    names = [field.name for field in fields]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"FIELDS has {twice[0]} twice")
    owned = [field for field in fields if field.name == "owner_id"]
    others = tuple(field for field in fields if field.name != "owner_id")
    if not [field for field in others if field.target is None]:
        raise UsageError(f"FIELDS has nothing to say about {noun.a}: {_EXAMPLE}")
    if owned:
        _require_plain_owner(owned[0])
    return Definition(noun, others, is_owned=bool(owned))


def _read_field(noun: Noun, word: str, targets: Mapping[str, Target]) -> Field:
    match = _FIELD.fullmatch(word)
    if match is None:
        raise UsageError(f"{_shown(word)} is no field: {_EXAMPLE}")
    name, type_ = match["name"], match["type"]
    _judge_name(noun, name)
    try:
        return _make_field(noun, match, targets)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
    except KeyError:
        tables = ", ".join(sorted(targets))
        raise UsageError(
            f"{name}: there is no type and no table {type_}; types are {TYPES}, and tables {tables}"
        ) from None


def _make_field(noun: Noun, match: re.Match[str], targets: Mapping[str, Target]) -> Field:
    name, type_, arguments = match["name"], match["type"], match["arguments"]
    optional, options = bool(match["optional"]), match["options"]
    target = None
    if type_ not in TYPE_NAMES:
        target = targets[type_]
        if arguments is not None or match["default"] is not None:
            raise ValueError("a reference has no default and no arguments")
        if target.factory is None:
            raise ValueError(
                f"the tests have no make_{type_}: write `async def make_{type_}(session:"
                f" AsyncSession, **attributes: Any)` in tests/{target.domain}/factories.py, which"
                " adds one, commits, and returns it"
            )
        if match["options"] == ":unique" and not optional:
            raise ValueError("a unique reference is optional")
        if target.table == noun.one and not optional:
            raise ValueError(f"a reference to {noun.a} itself is optional: {name}:{type_}?")
        name, kind = f"{name.removesuffix('_id')}_id", target.kind
    else:
        kind = make_kind(type_, arguments, noun.class_name + to_class_name(name))
        _judge_ending(name, type_)
    default = None if match["default"] is None else kind.read(match["default"])
    field = Field(name, kind, optional, default, "unique" in options, "index" in options, target)
    _judge_options(noun, field)
    return field


def _judge_options(noun: Noun, field: Field) -> None:
    if field.unique and not field.kind.numbered:
        raise ValueError("there are too few values of this type for `unique`")
    if (field.unique or field.index) and not field.kind.can_be_indexed:
        raise ValueError("text without a length, or with more than 600, has no index")
    constraint = f"uq_{noun.one}_{field.name}"
    if len(constraint) > LONGEST_IDENTIFIER:
        raise ValueError(f"the name is too long: PostgreSQL would cut off {constraint}")


def _judge_name(noun: Noun, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{_shown(name)} is no name of a field: letters a to z, digits, _ between words"
        )
    if name in _TAKEN:
        raise UsageError(f"{name} is a field that {noun.a} has by itself")
    if keyword.iskeyword(name) or name in _TYPES:
        raise UsageError(f"{name} is a word of Python; call the field otherwise")
    if hasattr(SQLModel, name) or name.startswith("model_") or name == "registry":
        raise UsageError(f"{name} is what a model's own attribute is called; take another name")


def _judge_ending(name: str, type_: str) -> None:
    for ending, promised in _ENDINGS.items():
        if f"_{name}".endswith(ending) and type_ != promised:
            raise ValueError(f"what ends in {ending} is of the type {promised}")


def _require_plain_owner(owner: Field) -> None:
    is_user = owner.target is not None and owner.target.table == "user"
    if not is_user or owner.optional or owner.unique or owner.index:
        raise UsageError("the owner is a user, and nothing else: owner:user")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 40 else f"{text[:40]}...")  # noqa: PLR2004  # of a line
