#!/bin/sh
# Runs once, when the volume is new: the roles of migration/roles.sql, with their passwords.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set owner="$(cat /run/secrets/owner_password)" \
    --set service="$(cat /run/secrets/service_password)" <<'END'
\i /run/roles.sql
ALTER ROLE app_owner PASSWORD :'owner';
ALTER ROLE app_service PASSWORD :'service';
END
