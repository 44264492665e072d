"""Writes fields as Python: in the model, in the schemas, and in the tests."""

import re
from typing import Any

from tools.domain.defaults import LARGEST
from tools.domain.fields import Field
from tools.domain.parameters import to_member

_LONGEST_VALUE = 20  # letters


def write_sample(field: Field) -> str:
    return write_unique(field) if field.unique else write_value(field.kind.sample)


def write_unique(field: Field) -> str:
    """Write the code that makes another value for each `number`."""
    return field.kind.numbered.replace("{label}", field.word.capitalize())


def list_wrong(field: Field) -> list[str]:
    wrong = [write_value(each) for each in field.kind.wrong]
    return wrong + ['""'] * field.has_least_length + ["None"] * (not field.optional)


def write_value(value: Any) -> str:
    """Write a value as a person would: no line of 256 letters, no number of 20 digits."""
    if isinstance(value, str) and len(value) > _LONGEST_VALUE and len({*value}) == 1:
        return f'"{value[0]}" * {len(value)}'
    if isinstance(value, int) and abs(value) >= LARGEST:
        power = f"2**{abs(value).bit_length() - 1}"
        return power if value > 0 else f"-({power})"
    return repr(value)


def show(field: Field, row: str) -> str:
    """Write the code that has the row's value as JSON has it."""
    value = f"{row}.{field.name}"
    shown = field.kind.shown.format(value)
    return f"{value} and {shown}" if field.optional and shown != value else shown


def write_in_model(field: Field) -> str:
    """Write the annotation and default of a field, as the model's base class has them."""
    annotation = f"{field.kind.inside} | None" if field.optional else field.kind.inside
    default = field.default.code if field.default else "None" if field.optional else None
    if default == "{}":
        arguments = ["default_factory=dict"]
    else:
        arguments = [] if default is None else [f"default={default}"]
    arguments += _constraints(field)
    if arguments == [f"default={default}"]:
        return f"{annotation} = {default}"
    return f"{annotation} = Field({', '.join(arguments)})" if arguments else annotation


def write_in_update(field: Field) -> str:
    """Write them as a change has them, whose fields may all be left out."""
    annotation = f"{field.kind.inside} | MISSING{' | None' if field.optional else ''}"
    limits = _limits(field)
    if not limits:
        return f"{annotation} = MISSING"
    return f"{annotation} = Field(default=MISSING, {', '.join(limits)})"


def _limits(field: Field) -> list[str]:
    return ["min_length=1"] * field.has_least_length + [*field.kind.limits]


def _constraints(field: Field) -> list[str]:
    """List what the model says besides: keys, indexes and types of the database."""
    arguments = ["unique=True"] * field.unique + ["index=True"] * field.index + _limits(field)
    if field.target:
        on_delete = "SET NULL" if field.optional else "CASCADE"
        arguments += [f'foreign_key="{field.target.table}.id"', f'ondelete="{on_delete}"']
        arguments += ["index=True"] * (not field.unique and not field.index)
    elif field.kind.column == ("sa_type=JSON",) and field.optional:
        arguments.append("sa_column=Column(JSON(none_as_null=True))")  # else it is JSON's null
    elif not field.target:
        arguments += field.kind.column
    return arguments


def to_snake(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


FILTERS = {
    "code": write_value,
    "in_model": write_in_model,
    "in_update": write_in_update,
    "member": to_member,
    "sample": write_sample,
    "shown": show,
    "snake": to_snake,
    "wrong": list_wrong,
}
