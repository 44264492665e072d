"""What a PostgreSQL database consists of, as lines that can be compared."""

import sqlalchemy as sa

from project import Project

# Not the order of columns: one that a downgrade brings back is the last.
_CATALOG = sa.text(r"""
    WITH own AS (
        SELECT c.oid, relkind, c.oid::regclass AS name FROM pg_class c
        WHERE relnamespace NOT IN (
            SELECT oid FROM pg_namespace WHERE nspname ~ '^(pg_|information_schema$)'
        ) AND relname <> 'alembic_version'
    )
    SELECT format('column %s.%s %s%s%s', name, attname, format_type(atttypid, atttypmod),
            CASE WHEN attnotnull THEN ' NOT NULL' END, ' DEFAULT ' || pg_get_expr(adbin, adrelid))
        FROM own JOIN pg_attribute ON own.oid = attrelid AND attnum > 0 AND NOT attisdropped
            LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
        WHERE relkind IN ('r', 'p')
    UNION ALL
    SELECT format('constraint %s on %s %s', conname, name, pg_get_constraintdef(k.oid))
        FROM own JOIN pg_constraint k ON own.oid = conrelid WHERE contype <> 'n'
    UNION ALL
    SELECT pg_get_indexdef(indexrelid) || CASE WHEN indisvalid THEN '' ELSE ' INVALID' END
        FROM own JOIN pg_index ON own.oid = indrelid
    UNION ALL
    SELECT format('view %s %s', name, pg_get_viewdef(oid)) FROM own WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT pg_get_triggerdef(t.oid) FROM own JOIN pg_trigger AS t ON own.oid = tgrelid
        WHERE NOT tgisinternal
    UNION ALL
    SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p
        WHERE pronamespace NOT IN (
            SELECT oid FROM pg_namespace WHERE nspname ~ '^(pg_|information_schema$)'
        ) AND prokind = 'f'
    UNION ALL
    SELECT format('enum %s %s', enumtypid::regtype, array_agg(enumlabel ORDER BY enumsortorder))
        FROM pg_enum GROUP BY enumtypid
    ORDER BY 1
""")


def catalog(project: Project) -> list[str]:
    """Name every column, constraint, index, enum and view; a half-made one is called so."""
    with project.connect() as connection:
        return list(connection.scalars(_CATALOG))
