"""How the values of one column become those of another: tried on an empty copy of the table."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from alembic_online.postgresql import quote, quoted, reason, statement
from alembic_online.revise.answers import Answers
from alembic_online.revise.counting import connection_of
from alembic_online.revise.lossless import is_lossless
from alembic_online.revise.trial import empty_copy
from alembic_online.revise.walking import label
from alembic_online.revise.zones import depends_on_session, expressions_by_zone


class Conversion(NamedTuple):
    """An expression of one column, assigned to the other."""

    sql: str
    is_plain: bool  # the value itself
    is_sure: bool  # whatever the value is


class Ways(NamedTuple):
    there: Conversion
    back: Conversion


def conversions(
    context: MigrationContext,
    table: sa.TableClause,
    old: sa.Column[Any],
    new: sa.Column[Any],
    answers: Answers,
) -> Ways | None:
    """Return the way of a value from one column to the other, and back; refuse if there is none."""
    there, back = _Way(context, table, old, new), _Way(context, table, new, old)
    given = _given(there, answers)
    if given is None:
        return None
    if context.dialect.name != "postgresql":
        return Ways(there.conversion(given[0]), back.conversion(given[1]))
    found = [there.find(given[0], answers), back.find(given[1], answers)]
    return Ways(found[0], found[1]) if found[0] and found[1] else None


@dataclass
class _Way:
    """The way of a value from a column to another."""

    context: MigrationContext
    table: sa.TableClause
    source: sa.Column[Any]
    target: sa.Column[Any]

    @property
    def subject(self) -> str:
        return label(self.table.schema, self.table.name, self.source.name)

    def find(self, given: str | None, answers: Answers) -> Conversion | None:
        """Return the first expression that PostgreSQL takes."""
        problem = ""
        for tried in [given] if given else self._usual():
            if not (problem := self._problem(tried)):
                return self.conversion(tried)
        answers.refuse(self.asked(f"PostgreSQL says: {problem}"))
        return None

    def conversion(self, sql: str | None) -> Conversion:
        plain = quote(self.context.dialect, self.source.name)
        is_plain = sql in {None, plain}
        is_sure = _is_sure(self.source.type, self.target.type, self.context.dialect)
        return Conversion(sql or plain, is_plain, is_plain and is_sure)

    def asked(self, why: str) -> str:
        return (
            f"How the values of {self.subject} are converted has to be said, by SQL that names this"
            f" column alone; {why}.\n    -x using={self.subject}:EXPRESSION"
        )

    def _usual(self) -> Iterator[str]:
        column = quote(self.context.dialect, self.source.name)
        type_ = self.target.type.compile(dialect=self.context.dialect)
        yield column
        yield f"CAST({column} AS {type_})"
        if isinstance(self.source.type, sa.Enum) and isinstance(self.target.type, sa.Enum):
            yield f"CAST(CAST({column} AS text) AS {type_})"

    def _add_new(self, copy: sa.Table) -> None:
        """Add the column that the table does not have yet, whichever of the two that is."""
        found = sa.inspect(connection_of(self.context)).get_columns(
            self.table.name, self.table.schema
        )
        existing = {column["name"] for column in found}
        for column in (self.source, self.target):
            if column.name not in existing:
                bare = sa.Column(column.name, column.type)
                self.context.impl.add_column(copy.name, bare, schema=copy.schema)

    def _problem(self, expression: str) -> str:
        """Return what PostgreSQL says against the expression, if anything: it sees one column."""
        connection = connection_of(self.context)
        with empty_copy(connection, self.table) as copy:
            self._add_new(copy)
            try:
                with connection.begin_nested():
                    for sql in self._trials(copy, expression):
                        connection.execute(statement(sql))
            except DBAPIError as error:
                return reason(error)
        return ""

    def _trials(self, copy: sa.Table, expression: str) -> list[str]:
        dialect = self.context.dialect
        old, new = (quote(dialect, column.name) for column in (self.source, self.target))
        table, name = quoted(dialect, copy), quote(dialect, copy.name)
        alone = f"SELECT {expression} FROM (SELECT {old} FROM {table}) AS {name}"  # noqa: S608  # on the copy
        return [alone, f"UPDATE {table} SET {new} = {expression}"]  # noqa: S608  # on the copy


def _given(way: _Way, answers: Answers) -> tuple[str | None, str | None] | None:
    """Return what the developer says: SQL, or a time zone, where one is needed."""
    back = _Way(way.context, way.table, way.target, way.source)
    given = tuple(answers.given("using", each.subject) for each in (way, back))
    if all(given):
        return given[0], given[1]
    zoned = expressions_by_zone(way.context, way.source, way.target, way.subject, answers)
    if zoned is not None:
        return (given[0] or zoned[0], given[1] or zoned[1]) if zoned else None
    if depends_on_session(way.source.type, way.target.type, way.context.dialect):
        for each, sql in zip((way, back), given, strict=True):
            if not sql:
                answers.refuse(each.asked("the values depend on the session's settings"))
        return None
    return given[0], given[1]


def _is_sure(old: Any, new: Any, dialect: sa.Dialect) -> bool:
    """Tell whether every value fits: the type is the same, or holds more."""
    old, new = _stored(old), _stored(new)
    if old.compile(dialect=dialect) == new.compile(dialect=dialect):
        return True
    texts = [type_ for type_ in (old, new) if isinstance(type_, sa.String)]
    if len(texts) == 2 and not any(isinstance(type_, sa.Enum) for type_ in texts):  # noqa: PLR2004
        return new.length is None or (old.length is not None and old.length <= new.length)
    return is_lossless(old, new)


def _stored(type_: Any) -> Any:
    """Return what the database has of an application's type."""
    while isinstance(type_, sa.TypeDecorator):
        type_ = type_.impl_instance
    return type_
