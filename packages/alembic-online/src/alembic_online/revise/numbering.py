"""From one way of numbering rows to another: the next number is the one that would have come."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops

from alembic_online.postgresql import literal, quote, shortened
from alembic_online.revise.rendering import for_text


@dataclass(frozen=True)
class Serial:
    sequence: str  # quoted, with its schema, as PostgreSQL shows it


@dataclass(frozen=True)
class Plain:
    default: str | None  # SQL


Numbering = Serial | Plain | sa.Identity


@dataclass
class ChangeNumbering(ops.MigrateOperation):
    """To an Identity or from one, in SQL because Alembic has no directive for it."""

    table_name: str
    schema: str | None
    column_name: str
    type_: str
    old: Numbering
    new: Numbering

    def reverse(self) -> "ChangeNumbering":
        return replace(self, old=self.new, new=self.old)

    def sql(self, dialect: sa.Dialect) -> Iterator[str]:
        yield f"LOCK TABLE {quote(dialect, self.schema, self.table_name)}"
        if isinstance(self.old, sa.Identity) and isinstance(self.new, sa.Identity):
            yield from self._other_options(dialect, self.old, self.new)
        elif isinstance(self.new, sa.Identity):
            yield from self._to_identity(dialect, self.new)
        else:
            yield from self._from_identity(dialect)

    def _other_options(
        self, dialect: sa.Dialect, old: sa.Identity, new: sa.Identity
    ) -> Iterator[str]:
        """Bring the next number into the new range while the old one holds."""
        alter, _, own = self._names(dialect)
        if (old.minvalue, old.maxvalue) != (new.minvalue, new.maxvalue):
            number = f"least(greatest(nextval({own}), {new.minvalue}), {new.maxvalue})"
            yield f"SELECT setval({own}, {number}, false)"
        changes = [
            words.format(value=getattr(new, name))
            for name, words in _SET.items()
            if getattr(old, name) != getattr(new, name)
        ]
        if old.cycle != new.cycle:
            changes.append("SET CYCLE" if new.cycle else "SET NO CYCLE")
        if old.always != new.always:
            changes.append(f"SET GENERATED {_mode(new)}")
        yield f"{alter} {' '.join(changes)}"

    def _to_identity(self, dialect: sa.Dialect, identity: sa.Identity) -> Iterator[str]:
        alter, column, own = self._names(dialect)
        before = self._aside(dialect)
        is_up = (identity.increment or 1) > 0
        following = f"(SELECT {'max' if is_up else 'min'}({column}) + {identity.increment}"
        following += f" FROM {quote(dialect, self.schema, self.table_name)})"
        yield f"{alter} DROP DEFAULT"
        if isinstance(self.old, Serial):
            yield f"ALTER SEQUENCE {self.old.sequence} OWNED BY NONE"
            yield f"ALTER SEQUENCE {self.old.sequence} RENAME TO {_last(dialect, before)}"
            following = f"nextval({literal(before)})"
        yield f"{alter} ADD GENERATED {_mode(identity)} AS IDENTITY{_options(identity)}"
        first = f"{'greatest' if is_up else 'least'}({identity.start}, {following})"
        yield f"SELECT setval({own}, {first}, false)"
        if isinstance(self.old, Serial):
            yield f"DROP SEQUENCE {before}"

    def _from_identity(self, dialect: sa.Dialect) -> Iterator[str]:
        alter, column, own = self._names(dialect)
        if isinstance(self.new, Serial):
            before = self._aside(dialect)
            yield f"CREATE SEQUENCE {before} AS {self.type_}"
            yield f"SELECT setval({literal(before)}, nextval({own}), false)"
            yield f"{alter} DROP IDENTITY"
            yield f"ALTER SEQUENCE {before} RENAME TO {_last(dialect, self.new.sequence)}"
            yield f"{alter} SET DEFAULT nextval({literal(self.new.sequence)})"
            table = quote(dialect, self.schema, self.table_name)
            yield f"ALTER SEQUENCE {self.new.sequence} OWNED BY {table}.{column}"
        elif isinstance(self.new, Plain):
            yield f"{alter} DROP IDENTITY"
            if self.new.default:
                yield f"{alter} SET DEFAULT {self.new.default}"

    def _names(self, dialect: sa.Dialect) -> tuple[str, str, str]:
        table = quote(dialect, self.schema, self.table_name)
        column = quote(dialect, self.column_name)
        own = f"pg_get_serial_sequence({literal(table)}, {literal(self.column_name)})"
        return f"ALTER TABLE {table} ALTER COLUMN {column}", column, own

    def _aside(self, dialect: sa.Dialect) -> str:
        """Name the sequence that is there beside the identity's for a moment."""
        name = shortened(f"{self.table_name}_{self.column_name}", "_seq_moved")
        return quote(dialect, self.schema or dialect.default_schema_name, name)


def usual_range(increment: int, bits: int) -> tuple[int, int]:
    return (1, 2**bits - 1) if increment > 0 else (-(2**bits), -1)


def _mode(identity: sa.Identity) -> str:
    return "ALWAYS" if identity.always else "BY DEFAULT"


def _options(identity: sa.Identity) -> str:
    """Leave out what is usual: it goes by the column's type, also by one that comes later."""
    increment = identity.increment or 1
    ranges = [usual_range(increment, bits) for bits in (15, 31, 63)]
    least, most = identity.minvalue, identity.maxvalue
    usual = {
        "start": least if increment > 0 else most,
        "increment": 1,
        "minvalue": least if least in {low for low, _ in ranges} else None,
        "maxvalue": most if most in {high for _, high in ranges} else None,
        "cache": 1,
    }
    stated = [
        words.removeprefix("SET ").format(value=getattr(identity, name))
        for name, words in _SET.items()
        if getattr(identity, name) != usual[name]
    ]
    options = [*stated, *(["CYCLE"] if identity.cycle else [])]
    return f" ({' '.join(options)})" if options else ""


_SET = {
    "start": "SET START WITH {value}",
    "increment": "SET INCREMENT BY {value}",
    "minvalue": "SET MINVALUE {value}",
    "maxvalue": "SET MAXVALUE {value}",
    "cache": "SET CACHE {value}",
}


def _last(dialect: sa.Dialect, qualified: str) -> str:
    return quote(dialect, dialect.identifier_preparer.unformat_identifiers(qualified)[-1])


@renderers.dispatch_for(ChangeNumbering)
def _render(context: AutogenContext, op: ChangeNumbering) -> list[str]:
    return [f"op.execute({for_text(sql, context.dialect)!r})" for sql in op.sql(context.dialect)]
