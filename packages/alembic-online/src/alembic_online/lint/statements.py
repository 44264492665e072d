"""What raw SQL does to rows, to those who wait, and to the version that runs."""

import re
from collections.abc import Iterator

_NAME = r'((?:"(?:[^"]|"")+"|[\w?]+)(?:\.(?:"(?:[^"]|"")+"|[\w?]+))?)'
_IF = r"(?:if\s+(?:not\s+)?exists\s+)?"
_TABLE = rf"alter\s+table\s+{_IF}(?:only\s+)?{_NAME}\s.*?"
_NO_COLUMN = r"(?!constraint|default|not|expression|identity|column)"
_CONSTRAINT = r"(?:constraint|check|foreign|unique|primary|exclude)\b"
# Comments, literals, and the bodies of functions: nothing of them is carried out here.
_ASIDE = re.compile(
    r"--[^\n]*|/\*.*?\*/|(?<=[\s(,=|])E?'(?:[^']|'')*'|(\$\w*\$).*?\1", re.DOTALL | re.IGNORECASE
)
_DO = re.compile(r"\s*do\s+(\$\w*\$)(.*)\1", re.DOTALL | re.IGNORECASE)

_RULES = [
    (kind, re.compile(rf"\b{pattern}", re.DOTALL | re.IGNORECASE), what)
    for kind, pattern, what in (
        ("DESTRUCTIVE", rf"drop\s+table\s+{_IF}{_NAME}", "loses the table's rows"),
        ("DESTRUCTIVE", rf"drop\s+schema\s+{_IF}{_NAME}", "loses what is in the schema"),
        ("DESTRUCTIVE", rf"truncate\s+(?:table\s+)?(?:only\s+)?{_NAME}", "loses the table's rows"),
        ("DESTRUCTIVE", rf"delete\s+from\s+(?:only\s+)?{_NAME}", "loses rows"),
        (
            "DESTRUCTIVE",
            rf"{_TABLE}\bdrop\s+(?:column\s+{_IF}|{_NO_COLUMN}){_NAME}",
            "loses the column's values",
        ),
        ("BREAKING", rf"{_TABLE}\brename\s+to\b", "takes the table from who uses its name"),
        (
            "BREAKING",
            rf"{_TABLE}\brename\s+(?:column\s+|(?!constraint|to\b)){_NAME}\s+to\b",
            "takes the column from who uses its name",
        ),
        ("BREAKING", rf"alter\s+type\s+{_NAME}\s+rename\b", "takes a name from who uses it"),
        ("BREAKING", rf"drop\s+(?:materialized\s+)?view\s+{_IF}{_NAME}", "takes the view away"),
        (
            "BLOCKING",
            rf"{_TABLE}\balter\s+(?:column\s+)?{_NAME}\s+(?:set\s+data\s+)?type\b",
            "writes the whole table anew, if PostgreSQL must",
        ),
        (
            "BLOCKING",
            rf"{_TABLE}\balter\s+(?:column\s+)?{_NAME}\s+set\s+not\s+null",
            "keeps others out while rows are read; op.alter_column does not",
        ),
        (
            "BLOCKING",
            rf"{_TABLE}\badd\s+{_CONSTRAINT}(?!.*\b(?:not\s+valid|using\s+index)\b)",
            "keeps others out while rows are read; Alembic's directive does not",
        ),
        (
            "BLOCKING",
            rf"create\s+(?:unique\s+)?index\s+(?!concurrently)(?:{_IF}{_NAME}\s+)?on\b",
            "keeps writers out; op.create_index does not",
        ),
        ("BLOCKING", rf"reindex\s+(?!.*concurrently)\w+\s+{_NAME}", "keeps writers out"),
        ("BLOCKING", rf"(?:vacuum\s+full|cluster|lock)\s+(?:table\s+)?{_NAME}", "keeps others out"),
        (
            "BLOCKING",
            rf"refresh\s+materialized\s+view\s+(?!concurrently){_NAME}",
            "keeps readers out",
        ),
        (
            "BLOCKING",
            rf"(?<!for )(?<!on )(?<!do )update\s+(?:only\s+)?{_NAME}\s+set\b(?!.*\bwhere\b)",
            "locks every row until it is done; op.backfill does not",
        ),
    )
]


def judge_sql(sql: str) -> Iterator[tuple[str, str, str]]:
    """Yield kind, subject and effect of what SQL does that ought to be said."""
    if block := _DO.match(sql):
        sql = block[2]
    for statement in _ASIDE.sub(" ", sql).split(";"):
        for kind, pattern, what in _RULES:
            if found := pattern.search(statement):
                yield kind, ".".join(_plain(name) for name in found.groups() if name), what


def _plain(name: str) -> str:
    return re.sub(r'"((?:[^"]|"")+)"', lambda quoted: quoted[1].replace('""', '"'), name)
