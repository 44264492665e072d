"""docs/architecture.md without the tables that are gone."""

import re
from collections.abc import Iterable
from pathlib import Path


def drop_tables(folder: Path, tables: Iterable[str]) -> None:
    """Delete the tables from the diagram, with what refers to them."""
    page = folder / "docs" / "architecture.md"
    text = page.read_text("utf-8")
    for table in tables:
        columns = rf"^    {table} {{\n(?: {{8}}.*\n)*    }}\n"
        references = rf"^    (?:{table} \S+--\S+ \w+|\w+ \S+--\S+ {table}) :.*\n"
        text = re.sub(f"{columns}|{references}", "", text, flags=re.MULTILINE)
    page.write_text(text, "utf-8")
