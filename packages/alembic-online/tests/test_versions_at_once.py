"""Clients of the old and the new version write at the same time while a revision is carried out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.errors import UndefinedColumn, UndefinedTable

from project import ONLINE_ENV, Project

Values = Callable[[int], Any]

ROWS = 3_000
MODELS = """
class Item(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str | None = Field(max_length=20, unique=True)
    age: str
"""
RENAMED = MODELS.replace("title", "name")
RETYPED = MODELS.replace("age: str", "age: int = Field(sa_column_kwargs={'name': 'age_int'})")
TABLE = MODELS.replace("class Item", "class Task")


class Version:
    """A client that writes rows of its own, all the time, and knows what they have to be."""

    def __init__(self, url: str, place: tuple[str, str], values: Values, others: str) -> None:
        self._url, self._values = url, values
        table, column = place
        self._update = f"UPDATE {table} SET {column} = %s WHERE id = %s RETURNING {column}"
        self._insert = f"INSERT INTO {table} ({column}{others} RETURNING id"
        self.mine: dict[int, Any] = {}
        self.written, self.errors = Event(), list[Exception]()
        self._stop, self._turn = Event(), 0

    @contextmanager
    def running(self, first: int) -> Iterator[None]:
        thread = Thread(target=self._run, args=(first,))
        self._stop.clear()
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self, first: int) -> None:
        """Begin as soon as there is what this version uses."""
        with psycopg.connect(self._url, autocommit=True, prepare_threshold=1) as client:
            while not self._stop.is_set():
                try:
                    self._write(client, first + 7 * (self._turn % 100))
                    self.written.set()
                except Exception as error:  # noqa: BLE001  # they are what is looked for
                    if self.written.is_set() or not isinstance(error, _NOT_YET):
                        self.errors.append(error)
                self._turn += 1

    def _write(self, client: psycopg.Connection, key: int) -> None:
        value = self._values(10_000 * key + self._turn)
        assert client.execute(self._update, (value, key)).fetchone() == (value,)
        self.mine[key] = value
        if self._turn % 10 == 0:
            value = self._values(10_000 * key + self._turn + 5_000)
            (added,) = client.execute(self._insert, (value,)).fetchone() or (0,)
            self.mine[added] = value


_NOT_YET = (UndefinedColumn, UndefinedTable)
CASES = {
    "rename": (RENAMED, "expand=item.title:name", ("item", "title"), ("item", "name")),
    "type": (RETYPED, "expand=item.age:int", ("item", "age"), ("item", "age_int")),
    "table": (TABLE, "expand=item:task", ("item", "title"), ("task", "title")),
}


@pytest.mark.parametrize("case", CASES)
def test_no_statement_fails_and_no_value_differs(
    tmp_path: Path, empty_database: sa.URL, case: str
) -> None:
    project = Project(tmp_path, empty_database, env=ONLINE_ENV)
    project.write_models(MODELS)
    project.revise()
    project.upgrade()
    project.execute(
        "INSERT INTO item (title, age) SELECT 't' || i, i FROM generate_series(1, :rows) AS i",
        rows=ROWS,
    )
    models, answer, before, after = CASES[case]
    project.write_models(models)
    project.revise(answer)
    url = empty_database.set(drivername="postgresql").render_as_string(hide_password=False)
    old, new = _version(url, before, case, "old"), _version(url, after, case, "new")
    with old.running(1), new.running(2):
        project.alembic("-x", "phase=expand", "upgrade", "head")
        assert new.written.wait(10)
    with new.running(3):
        project.upgrade()
        project.downgrade()
    with old.running(4), new.running(5):
        for client in (old, new):
            client.written.clear()
            assert client.written.wait(10)
    assert [*old.errors, *new.errors] == []
    expected = {key: _as(case, value, "old") for key, value in (old.mine | new.mine).items()}
    for side, (table, column) in (("old", before), ("new", after)):
        wanted = {key: _as(case, value, side) for key, value in expected.items()}
        rows = project.rows(f"SELECT id, {column} FROM {table}")
        assert {key: value for key, value in rows if key in wanted} == wanted
    kept = f"SELECT id FROM {after[0]} WHERE {after[1]} IS NULL"
    assert {key for (key,) in project.rows(kept)} == {
        key for key, value in expected.items() if value is None
    }
    project.upgrade()
    project.check()
    project.downgrade("-2")
    found = dict(project.rows(f"SELECT id, {before[1]} FROM item"))
    assert {key: found[key] for key in expected} == expected
    project.upgrade()


def _version(url: str, place: tuple[str, str], case: str, side: str) -> Version:
    def number(value: int) -> Any:
        return str(value) if side == "old" else value

    def text(value: int) -> Any:
        return None if value % 5 == 0 else f"{side}{value}"

    if case == "type":
        return Version(url, place, number, ") VALUES (%s)")
    return Version(url, place, text, ", age) VALUES (%s, 1)")


def _as(case: str, value: Any, side: str) -> Any:
    """Return a value as the column of one side has it."""
    if case != "type":
        return value
    return str(value) if side == "old" else int(value)
