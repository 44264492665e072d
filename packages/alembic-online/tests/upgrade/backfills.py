"""Back-fills, and what would show that they went wrong."""

ADD = 'op.add_column("account", sa.Column("size", sa.Integer))'
FILL = 'op.backfill("account", {"size": sa.text("length(email)")}, batch=300, pause=0)'
# What would show a row that is filled twice; OR has to stay in its brackets.
AGE = """op.backfill("pet", {"age": sa.text("age + 1")}, where=sa.text("id > 5 OR id < 3"),
                     batch=1000, pause=0)"""
ADD_AGE = AGE.replace("pet", "account").replace("age", "size")
# Names and keys that have to be written with care.
HOSTILE = """
    CREATE TABLE "a ""%% :b" ("K %%s" char(3), ":k" timestamptz, "C%%" text, old text,
                              PRIMARY KEY (":k", "K %%s"));
    INSERT INTO "a ""%% :b" (":k", "K %%s", old)
        SELECT timestamptz '2026-01-01' + i / 40 * interval '1.1 s', mod(i, 40), i || ':x%%'
        FROM generate_series(0, 999) AS i
"""
FILL_HOSTILE = r"""
op.backfill('a "% :b', {"C%": sa.text("old || '\\:x%' || :y").bindparams(y=":z%'")}, batch=170,
            pause=0, where=sa.text("old LIKE '%x\\%'"))
"""
WRONG_HOSTILE = r"""
    SELECT count(*) FROM "a ""% \:b" WHERE "C%" IS DISTINCT FROM old || '\:x%\:z%''' """
WRONG = "SELECT count(*) FROM account WHERE size IS NULL OR size <> length(email)"
CONVERT = 'op.backfill("account", {"size": sa.text("CAST(email AS int)")}, batch=300, pause=0)'
