"""Statements that are built once, when a module is imported, and only sent from then on.

Around a statement of the ORM, SQLAlchemy spends several times what it takes psycopg to send it. So
what requests send all the time is a `Statement`, which `Session.fetch` runs on psycopg itself; all
else is the ORM's: `session.exec`, `session.add`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from psycopg import adapters
from psycopg.sql import Literal
from sqlalchemy import ColumnElement, Float, inspect
from sqlalchemy.dialects.postgresql.psycopg import dialect
from sqlalchemy.orm.attributes import instance_state
from sqlmodel import UTCDateTime

_T = TypeVar("_T")
_Row = Sequence[Any]
_Process = Callable[[Any], Any]
_Read = Callable[[_Row], Any]
_PARAMETER: Final = re.compile(r"%(?:%|\((\w+)\)s)")
_DIALECT: Final = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no type for it


class Statement(Generic[_T]):
    """A SELECT, or what has a RETURNING; its `bindparam`s get their values when it is run.

    `Statement[Item](select(Item), Item)` gives objects of the model, which belong to no session:
    `session.add` makes it write what changes. If values are selected behind the model, or several
    without one, a row is a tuple of them all.
    """

    def __init__(self, statement: Any, model: type[Any] | None = None) -> None:
        self.statement = statement
        self.model = model

    @cached_property
    def _compiled(self) -> "_Compiled":
        """Compile at the first use: then all models are there that this one refers to."""
        return _Compiled(self.statement, self.model)

    @property
    def sql(self) -> str:
        return self._compiled.sql

    def bind(self, parameters: dict[str, Any]) -> tuple[Any, ...] | dict[str, Any]:
        """Return the values of all parameters, as psycopg takes them, or raise `TypeError`."""
        compiled = self._compiled
        if parameters.keys() != compiled.names:
            raise TypeError(f"takes {sorted(compiled.names)}, was given {sorted(parameters)}")
        for name, process in compiled.bind_processors:
            parameters[name] = process(parameters[name])
        if compiled.is_by_place:
            return tuple([parameters[name] for name in compiled.order])
        return parameters

    def read(self, rows: Iterable[_Row]) -> list[_T]:
        """Return what the rows stand for."""
        return list(map(self._compiled.read, rows))


class _Compiled:
    """SQL as psycopg takes it, and what SQLAlchemy's types do with the values on both ways."""

    def __init__(self, statement: Any, model: type[Any] | None) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        if compiled.prefetch:
            raise TypeError("a default that Python makes needs a `bindparam` of its own")
        if compiled.post_compile_params:
            raise TypeError("a list for IN has no fixed text; compare with `any_` of an array")
        self.sql = str(compiled)
        self.names: set[str] = set()
        self.bind_processors: list[tuple[str, _Process]] = []
        for parameter, name in compiled.bind_names.items():
            process = parameter.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
            if not parameter.required:
                value = parameter.effective_value
                self._write_constant(name, process(value) if process else value)
                continue
            self.names.add(name)
            if process:
                self.bind_processors.append((name, process))
        self.order = [name for name in _PARAMETER.findall(self.sql) if name]
        if {*self.order} != self.names:
            raise TypeError(f"the names of parameters must be words: {sorted(self.names)}")
        self.is_by_place = len(self.order) == len(self.names)
        if self.is_by_place:  # as PostgreSQL knows them; psycopg would find out each time
            self.sql = _PARAMETER.sub(lambda found: "%s" if found[1] else "%%", self.sql)
        self.read = _make_reader(list(statement.exported_columns), model)

    def _write_constant(self, name: str, value: Any) -> None:
        """Put a value into the SQL that is always the same, and need not be sent apart."""
        literal = Literal(value).as_string().replace("%", "%%")
        self.sql = self.sql.replace(f"%({name})s", literal)


def _make_reader(columns: list[ColumnElement[Any]], model: type[Any] | None) -> _Read:
    load = _make_loader(columns, model) if model else None
    width = len(inspect(model).column_attrs) if model else 0
    values = [(n, _result_processor(columns[n])) for n in range(width, len(columns))]
    if load and not values:
        return load
    is_single = len(values) == 1 and not load

    def read(row: _Row) -> Any:
        read = [process(row[n]) if process else row[n] for n, process in values]
        if load:
            read.insert(0, load(row))
        return read[0] if is_single else tuple(read)

    return read


def _make_loader(columns: list[ColumnElement[Any]], model: type[Any]) -> _Read:
    """Return what makes an object of a row: detached, with every column loaded."""
    mapper = inspect(model)
    if any(attribute.deferred for attribute in mapper.column_attrs):
        raise TypeError(f"{model.__name__} has columns that are loaded later: use `session.exec`")
    names = [attribute.key for attribute in mapper.column_attrs]
    key = [mapper.get_property_by_column(each).key for each in mapper.primary_key]
    processors = [
        (name, process)
        for name, column in zip(names, columns[: len(names)], strict=True)
        if (process := _result_processor(column))
    ]

    def load(row: _Row) -> Any:
        loaded = mapper.class_manager.new_instance()
        values = loaded.__dict__
        values.update(zip(names, row, strict=False))
        for name, process in processors:
            values[name] = process(values[name])
        identity = mapper.identity_key_from_primary_key([values[name] for name in key])
        instance_state(loaded).key = identity
        return loaded

    return load


def _result_processor(column: ColumnElement[Any]) -> _Process | None:
    # Of all types, those of numbers ask what PostgreSQL calls theirs.
    name = "float8" if isinstance(column.type, Float) else "numeric"
    type_ = column.type.dialect_impl(_DIALECT)
    process = type_.result_processor(_DIALECT, adapters.types[name].oid)
    return _in_utc(process) if process and type(column.type) is UTCDateTime else process


def _in_utc(process: _Process) -> _Process:
    """Spare instants that psycopg gives in UTC, as it does unless somebody has set another zone."""

    def process_others(value: Any) -> Any:
        return value if value is None or value.tzinfo is UTC else process(value)

    return process_others
