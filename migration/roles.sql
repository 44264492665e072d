-- Least privilege: `app_owner` runs the migrations, `app_service` is what the service signs in as.
--
-- Run it in the database as a superuser, or as whoever may create roles there, before the first
-- migration; once more after it, and the service can no longer write what Alembic keeps. Running
-- it again changes nothing. Passwords are yours to set: \password app_owner, \password app_service

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['app_owner', 'app_service'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
    END LOOP;
    -- Otherwise every role of the server may connect, and make temporary tables.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO app_owner;
GRANT USAGE ON SCHEMA public TO app_service;

-- The limits that the service asks for itself, for a pooler that does not pass them on.
ALTER ROLE app_service SET statement_timeout = '5s';
ALTER ROLE app_service SET lock_timeout = '2s';
ALTER ROLE app_service SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE app_service SET timezone = 'UTC';

-- What is there, if somebody else has run the first migrations, and what is to come.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app_service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app_service;
ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app_service;
ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO app_service;

DO $$
BEGIN
    IF to_regclass('public.alembic_version') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON public.alembic_version FROM app_service;
    END IF;
END
$$;
