-- Least privilege: `app_owner` runs the migrations, `app_service` is what the service signs in as.
--
-- Run it in the database as a superuser, or as whoever may create roles there, before the first
-- migration; once more after it, and the service can no longer write what Alembic keeps. Running
-- it again changes nothing. Passwords are yours to set: \password app_owner, \password app_service
-- The same second run leaves it no right to change or delete what has been noted in audit_event.
--
-- In a schema of our own (DATABASE_SCHEMA), which it makes, and where both roles then look:
--     psql -c "SET roles.schema = 'accounts'" -f migration/roles.sql
--
-- It first says all that it is going to change. To only see that:
--     psql -c BEGIN -f migration/roles.sql -c ROLLBACK
-- Rights are given on the tables of app_owner alone. Where anybody else has tables, views or
-- functions in the database, nothing is taken from PUBLIC, by whose rights they may be using it.

DO $$
DECLARE
    role text;
    other text;
    own record;
    changes text[] := '{}';
    change text;
    ours text := coalesce(nullif(current_setting('roles.schema', true), ''), 'public');
BEGIN
    FOREACH role IN ARRAY ARRAY['app_owner', 'app_service'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            changes := changes || format('CREATE ROLE %I LOGIN', role);
        END IF;
        changes := changes
            || format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
    END LOOP;

    SELECT format('%s %I.%I belongs to %I', kind, nspname, name, rolname) INTO other
    FROM (
        SELECT 'pg_class'::regclass AS class, oid, 'relation' AS kind, relnamespace AS schema,
            relname AS name, relowner AS owner
        FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL
        SELECT 'pg_proc'::regclass, oid, 'function', pronamespace, proname, proowner FROM pg_proc
    ) AS object
    JOIN pg_namespace AS n ON n.oid = schema JOIN pg_roles AS r ON r.oid = owner
    WHERE nspname !~ '^(pg_|information_schema$)' AND rolname <> 'app_owner'
      AND NOT EXISTS (
          SELECT FROM pg_depend
          WHERE classid = class AND objid = object.oid AND deptype = 'e'  -- of an extension
      )
    LIMIT 1;
    IF other IS NULL THEN
        -- Otherwise every role of the server may connect, and make temporary tables.
        changes := changes
            || format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database())
            || 'REVOKE ALL ON SCHEMA public FROM PUBLIC'::text;
    ELSE
        RAISE NOTICE 'nothing is taken from PUBLIC: %', other;
    END IF;

    IF ours <> 'public' THEN
        IF to_regnamespace(quote_ident(ours)) IS NULL THEN
            changes := changes || format('CREATE SCHEMA %I AUTHORIZATION app_owner', ours);
        END IF;
        FOREACH role IN ARRAY ARRAY['app_owner', 'app_service'] LOOP
            -- Said by the role too, for a pooler that passes no such setting on.
            changes := changes || format('ALTER ROLE %I IN DATABASE %I SET search_path = %I',
                role, current_database(), ours);
        END LOOP;
    END IF;
    changes := changes || ARRAY[
        format('GRANT USAGE, CREATE ON SCHEMA %I TO app_owner', ours),
        format('GRANT USAGE ON SCHEMA %I TO app_service', ours),
        -- The limits that the service asks for itself, for a pooler that does not pass them on.
        'ALTER ROLE app_service SET statement_timeout = ''5s''',
        'ALTER ROLE app_service SET lock_timeout = ''2s''',
        'ALTER ROLE app_service SET idle_in_transaction_session_timeout = ''10s''',
        'ALTER ROLE app_service SET timezone = ''UTC''',
        -- What is to come.
        format('ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA %I'
            ' GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app_service', ours),
        format('ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA %I'
            ' GRANT USAGE ON SEQUENCES TO app_service', ours)
    ];
    -- What is there.
    FOR own IN
        SELECT c.oid::regclass AS name, relkind FROM pg_class AS c JOIN pg_roles AS r
            ON r.oid = relowner AND rolname = 'app_owner'
        WHERE relnamespace = to_regnamespace(quote_ident(ours)) AND relkind IN ('r', 'p', 'v', 'm', 'S')
        ORDER BY relname
    LOOP
        changes := changes || CASE
            WHEN own.relkind = 'S'
                THEN format('GRANT USAGE ON SEQUENCE %s TO app_service', own.name)
            WHEN own.name = to_regclass(quote_ident(ours) || '.alembic_version')
                THEN format('REVOKE INSERT, UPDATE, DELETE ON %s FROM app_service', own.name)
            WHEN own.name = to_regclass(quote_ident(ours) || '.audit_event')
                THEN format('GRANT SELECT, INSERT ON %1$s TO app_service;'
                    ' REVOKE UPDATE, DELETE ON %1$s FROM app_service', own.name)
            ELSE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO app_service', own.name)
        END;
    END LOOP;

    FOREACH change IN ARRAY changes LOOP
        RAISE NOTICE '%', change;
    END LOOP;
    FOREACH change IN ARRAY changes LOOP
        EXECUTE change;
    END LOOP;
    SELECT format('%I owns alembic_version: let it give app_owner the tables', rolname) INTO other
    FROM pg_class AS c JOIN pg_roles AS r ON r.oid = relowner
    WHERE c.oid = to_regclass(quote_ident(ours) || '.alembic_version') AND rolname <> 'app_owner';
    IF other IS NOT NULL THEN
        RAISE NOTICE '%', other;
    END IF;
END
$$;
