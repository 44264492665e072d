from project import Project
from upgrade.processes import run_killed

ADD = 'op.add_column("account", sa.Column("size", sa.Integer))'
FILL = 'op.backfill("account", {"size": sa.text("length(email)")}, batch=300, pause=0)'
WRONG = "SELECT count(*) FROM account WHERE size IS DISTINCT FROM length(email)"


def test_rows_are_filled(project: Project) -> None:
    project.write_revision(f"{ADD}\n{FILL}")
    project.upgrade()
    assert project.scalar(WRONG) == 0


def test_killed_before_each_statement_fills_each_row_once(project: Project) -> None:
    project.write_revision(
        'op.backfill("pet", {"age": sa.text("age + 1")}, where=sa.text("id > 5 OR id < 3"),'
        " batch=400, pause=0)",
        'op.execute("UPDATE pet SET age = id % 20")',
    )
    statement = 1
    while run_killed(project.ini, statement, "upgrade", "head"):
        project.upgrade()
        wrong = "SELECT id FROM pet WHERE age <> id % 20 + (id > 5 OR id < 3)\\:\\:int ORDER BY id"
        assert project.rows(wrong) == []
        project.downgrade()
        statement += 1
    assert statement > 15
