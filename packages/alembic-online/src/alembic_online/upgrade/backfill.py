"""`op.backfill`: what a revision says, and the one UPDATE that it is where nobody else is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations, ops
from alembic.util import CommandError
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.expression import Grouping

Values = Mapping[str, Any]


@Operations.register_operation("backfill")
@dataclass(eq=False)
class BackfillOp(ops.MigrateOperation):
    """Columns of the rows that a table has already, and the expressions that give their values."""

    table_name: str
    values: Values
    where: Any = None
    batch: int = 5_000
    pause: float = 0.05
    max_lag: float | None = None
    max_transaction: float | None = None
    schema: str | None = None

    def __post_init__(self) -> None:
        self.values = dict(self.values)
        self._check()

    @classmethod
    def backfill(  # noqa: PLR0913  # the name of each says what it is
        cls,
        operations: Operations,
        table_name: str,
        values: Values,
        *,
        where: Any = None,
        batch: int = 5_000,
        pause: float = 0.05,
        max_lag: float | None = None,
        max_transaction: float | None = None,
        schema: str | None = None,
    ) -> None:
        """Give the rows of a table values, in batches that lock few rows for an instant.

        `values` has an SQL expression for each column: `{"display_name": sa.text("full_name")}`.
        Rows that `where` excludes stay as they are. A transaction takes at most `batch` rows, fewer
        where they take long, and `pause` seconds lie between two. It waits while a replica lags
        more than `max_lag` seconds, and while a transaction is open for `max_transaction`.
        """
        operations.invoke(
            cls(
                table_name,
                values,
                where=where,
                batch=batch,
                pause=pause,
                max_lag=max_lag,
                max_transaction=max_transaction,
                schema=schema,
            )
        )

    @property
    def column_name(self) -> str:
        """Name the columns, for the journal and for those who read along."""
        return ", ".join(self.values)

    @property
    def table(self) -> sa.TableClause:
        return sa.table(self.table_name, *map(sa.column, self.values), schema=self.schema)

    def update(self, *conditions: sa.ColumnElement[bool] | sa.TextClause) -> sa.Update:
        """Return the UPDATE of the rows that are wanted and that the conditions hold for."""
        # Whoever writes `a OR b` means the whole of it.
        wanted = [] if self.where is None else [Grouping(self.where)]
        return sa.update(self.table).values(self.values).where(*conditions, *wanted)

    def sql(self, *conditions: sa.ColumnElement[bool] | sa.TextClause) -> str:
        """Write the UPDATE out, values and all, for PostgreSQL itself."""
        dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # not typed there
        return str(
            self.update(*conditions).compile(
                dialect=dialect, compile_kwargs={"literal_binds": True}
            )
        )

    def _check(self) -> None:
        if not self.values:
            raise self.refusal("names no column")
        where = {} if self.where is None else {"where": self.where}
        for name, given in ({**self.values, **where}).items():
            if not isinstance(given, sa.ClauseElement):
                raise self.refusal(
                    f"{name}: {given!r} is no SQL. Write an expression as sa.text({given!r}),"
                    f" a value as sa.literal({given!r})"
                )
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or self.batch < 1:
            raise self.refusal(f"batch={self.batch!r}: it is a number of rows, 1 or more")
        for name in ("pause", "max_lag", "max_transaction"):
            seconds = getattr(self, name)
            if seconds is not None and not (isinstance(seconds, int | float) and seconds >= 0):
                raise self.refusal(f"{name}={seconds!r}: it is a number of seconds, 0 or more")

    def refusal(self, reason: str) -> CommandError:
        return CommandError(f"op.backfill of {self.table_name}: {reason}.")


def update_at_once(operations: Operations, operation: BackfillOp) -> None:
    """Fill all rows by one statement: in a transaction of somebody else, or on SQLite."""
    operations.migration_context.execute(operation.update())
