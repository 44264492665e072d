"""A back-fill as SQL for somebody else to run: a procedure that commits batch by batch.

Where it stands is a comment on the procedure, which CREATE OR REPLACE leaves: called again, it goes
on from there. The primary key is looked up by the procedure, as the writer of the SQL has no
database to ask.
"""

from zlib import crc32

import sqlalchemy as sa

from alembic_online import postgresql
from alembic_online.postgresql import literal
from alembic_online.upgrade.backfill import BackfillOp
from alembic_online.upgrade.pace import FIRST_ROWS, LOCKED_SECONDS
from alembic_online.upgrade.step import Step

_PROCEDURE = """\
CREATE OR REPLACE PROCEDURE {name}() LANGUAGE plpgsql AS $backfill$
DECLARE
    target CONSTANT regclass := {target};
    size integer := {first};
    after text[]; last text[]; key text; texts text; bound text; upto text; beyond text;
    fixed boolean := false; started timestamptz; told timestamptz := clock_timestamp();
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY place),
           string_agg(format('CAST(%I AS text)', attname), ', ' ORDER BY place),
           string_agg(format('CAST($1[%s] AS %s)', place, format_type(atttypid, atttypmod)), ', '
                      ORDER BY place)
    INTO key, texts, bound
    FROM pg_index, unnest(indkey) WITH ORDINALITY AS part(attnum, place)
    JOIN pg_attribute AS a USING (attnum)
    WHERE indisprimary AND indrelid = target AND attrelid = target;
    IF key IS NULL THEN
        RAISE EXCEPTION 'op.backfill of %: it has no primary key to walk along', target;
    END IF;
    upto := replace(bound, '$1[', '$2[');
    after := CAST(obj_description(CAST({signature} AS regprocedure), 'pg_proc') AS text[]);
    LOOP
        {throttle}
        PERFORM set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true),
            set_config('lock_timeout', CASE size WHEN 1 THEN '300ms' ELSE '{patience}' END, true);
        beyond := CASE WHEN after IS NULL THEN 'true' ELSE format('(%s) > (%s)', key, bound) END;
        EXECUTE format('SELECT ARRAY[%s] FROM (SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT $2)'
            ' AS n ORDER BY ROW(%s) DESC LIMIT 1', texts, key, target, beyond, key, key)
            INTO last USING after, size;
        EXIT WHEN last IS NULL;
        started := clock_timestamp();
        BEGIN
            EXECUTE {update} || format(' AND %s AND (%s) <= (%s)', beyond, key, upto)
                USING after, last;
            after := last;
        EXCEPTION
            WHEN lock_not_available OR deadlock_detected THEN
                size := greatest(1, size / 2);
                last := NULL;
            WHEN data_exception OR integrity_constraint_violation OR raise_exception THEN
                IF size = 1 THEN
                    RAISE EXCEPTION '% cannot be back-filled where (%) = (%): %',
                        target, key, array_to_string(last, ', '), SQLERRM;
                END IF;
                size := size / 2;
                fixed := true;
                last := NULL;
        END;
        IF last IS NOT NULL THEN
            EXECUTE format('COMMENT ON PROCEDURE %s IS %L', {signature}, after);
        END IF;
        COMMIT;
        IF last IS NOT NULL AND NOT fixed THEN
            size := greatest(1, least({batch}, 2 * size, floor(size * {locked}
                / greatest(0.001, extract(epoch FROM clock_timestamp() - started)))));
        END IF;
        IF clock_timestamp() > told + interval '5 s' THEN
            RAISE NOTICE 'back-filled % up to (%) = (%)', target, key, array_to_string(after, ', ');
            told := clock_timestamp();
        END IF;
        PERFORM pg_sleep({pause});
    END LOOP;
END $backfill$"""

_WAIT = """\
LOOP
            COMMIT;
            EXIT WHEN NOT EXISTS ({wanted});
            PERFORM pg_sleep(0.5);
        END LOOP;"""
_LAG = """\
SELECT FROM pg_stat_replication
                WHERE greatest(write_lag, flush_lag, replay_lag) > make_interval(secs => {})"""
_TRANSACTION = """\
SELECT FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                  AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)
                  AND clock_timestamp() - xact_start > make_interval(secs => {})"""


def write_procedure(step: Step, operation: BackfillOp) -> None:
    """Write the procedure, its call and its end, each a transaction of its own."""
    name = _name(step, operation)
    with step.outside_transaction():
        step.execute(_procedure(step, operation, name))
        step.note("If this ends early, run it again: it goes on from the last batch.")
        step.execute(f"CALL {name}()")
        step.execute(f"DROP PROCEDURE {name}()")
        step.execute(f"ANALYZE {step.quoted(operation.table)}")


def _name(step: Step, operation: BackfillOp) -> str:
    mark = f"_{crc32(operation.column_name.encode()):08x}"
    name = postgresql.shortened(f"backfill_{operation.table_name}", mark)
    return postgresql.quote(step.dialect, operation.schema, name)


def _procedure(step: Step, operation: BackfillOp, name: str) -> str:
    return _PROCEDURE.format(
        name=name,
        signature=literal(f"{name}()"),
        target=literal(step.quoted(operation.table)),
        update=literal(operation.sql(sa.text("true"))),
        first=min(FIRST_ROWS, operation.batch),
        batch=operation.batch,
        pause=operation.pause,
        locked=LOCKED_SECONDS,
        patience=f"{LOCKED_SECONDS * 1000:.0f}ms",
        throttle=_throttle(operation),
    )


def _throttle(operation: BackfillOp) -> str:
    limits = {_LAG: operation.max_lag, _TRANSACTION: operation.max_transaction}
    wanted = [query.format(limit) for query, limit in limits.items() if limit is not None]
    return _WAIT.format(wanted="\n                UNION ALL ".join(wanted)) if wanted else ""
