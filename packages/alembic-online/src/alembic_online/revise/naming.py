"""A message for a revision that was given none: what the revision does."""

from alembic.operations import ops

from alembic_online.revise.effects import words_of
from alembic_online.revise.walking import each, table_of

_NAMED = 3


def message_of(upgrade: ops.UpgradeOps) -> str:
    """Return such as "create table answer, question"; what comes with a new table is its own."""
    tables = [op for op in each(upgrade) if isinstance(op, ops.CreateTableOp)]
    new = {table_of(table) for table in tables}
    others = [op for op in each(upgrade) if table_of(op) not in new]
    return _shortened([words_of(op) for op in (*tables, *others)])


def _shortened(described: list[str]) -> str:
    parts: dict[str, list[str]] = {}
    for words in described[:_NAMED]:
        verb, _, name = words.rpartition(" ")
        parts.setdefault(verb, []).append(name)
    more = len(described) - _NAMED
    text = ", ".join(f"{verb} {' and '.join(names)}" for verb, names in parts.items())
    return f"{text} and {more} more" if more > 0 else text
