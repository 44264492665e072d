"""The primary key of a table, along which a back-fill walks; its values are text, as journalled."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from alembic_online import postgresql

# Written out, a type takes back what its text was made of: `character(3)`, `bpchar`.
_COLUMNS = sa.text("""
    SELECT attname, format_type(atttypid, atttypmod) AS type
    FROM pg_index, unnest(indkey) WITH ORDINALITY AS part(attnum, place)
    JOIN pg_attribute AS a USING (attnum)
    WHERE indisprimary AND indrelid = to_regclass(:table) AND attrelid = indrelid
    ORDER BY place
""")

Values = tuple[str, ...]


class _Named(sa.types.UserDefinedType[Any]):
    """A type of the database, by its name."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        return self.name


@dataclass(frozen=True)
class Key:
    table: sa.TableClause
    names: tuple[str, ...]
    types: tuple[str, ...]

    def beyond(self, values: Values) -> sa.ColumnElement[bool]:
        return self._columns() > self._row(values)

    def up_to(self, values: Values) -> sa.ColumnElement[bool]:
        return self._columns() <= self._row(values)

    def end(self, rows: int, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
        """Return the query for how many rows there are next, at most `rows`, and the last's key."""
        columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in self.names]
        found = (
            sa.select(*columns)
            .select_from(self.table)
            .where(*conditions)
            .order_by(*columns)
            .limit(rows)
            .subquery("next_rows")
        )
        place = sa.func.row_number().over(order_by=list(found.c))
        texts = (sa.cast(column, sa.Text) for column in found.c)
        return sa.select(place, *texts).order_by(place.desc()).limit(1)

    def shown(self, values: Values) -> str:
        """Return such as "id = 5"."""
        if len(values) == 1:
            return f"{self.names[0]} = {values[0]}"
        return f"({', '.join(self.names)}) = ({', '.join(values)})"

    def _columns(self) -> sa.Tuple:
        return sa.tuple_(*map(sa.column, self.names))

    def _row(self, values: Values) -> sa.Tuple:
        typed = zip(values, self.types, strict=True)
        return sa.tuple_(*(sa.cast(sa.literal(value), _Named(name)) for value, name in typed))


def find_key(connection: sa.Connection, table: sa.TableClause) -> Key | None:
    """Return the table's primary key, if it has one."""
    quoted = postgresql.quoted(connection.dialect, table)
    rows = connection.execute(_COLUMNS, {"table": quoted}).all()
    if not rows:
        return None
    names, types = zip(*((row.attname, row.type) for row in rows), strict=True)
    return Key(table, names, types)
