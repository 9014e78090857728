#!/bin/sh
# Roles, database and schema, on the leader only. Safe at any time; the schema is loaded exactly once, whole or not at all.
set -eu
SCHEMA=/usr/share/postgresql/15/webitel
# Not Debian's wrapper: its Perl takes five times as long as psql itself, and here it is asked every second.
psql() { {{ postgresql_bin }}/psql -X -q -v ON_ERROR_STOP=1 "$@"; }

REST=http://{{ bind("postgresql", "rest") }}:{{ port("postgresql", "rest") }}

tries=0
until recovers=$(psql -Atc 'select pg_is_in_recovery()' postgres 2>/dev/null || true); [ "$recovers" = f ]; do
  # A replica has nothing to make: what the leader made arrives by replication.
  [ "$recovers" = t ] && exit
  tries=$((tries + 1))
  [ $tries -lt 600 ] || { echo "PostgreSQL did not answer on its socket for 10 minutes" >&2; exit 1; }
  sleep 1
done

if [ "$(psql -Atc "select count(*) from pg_roles where rolname = 'opensips'" postgres)" = 0 ]; then
  psql -c 'create role opensips login' postgres
fi
if [ "$(psql -Atc "select count(*) from pg_database where datname = 'webitel'" postgres)" = 0 ]; then
  psql -c 'create database webitel owner opensips' postgres
fi
psql -f /etc/webitel/roles.sql webitel
if [ "$(psql -Atc "select count(*) from pg_database where datname = 'grafana'" postgres)" = 0 ]; then
  psql -c 'create database grafana owner grafana_store' postgres
fi

if [ "$(psql -Atc "select to_regclass('webitel_setup.done') is not null" webitel)" = f ]; then
  [ -f "$SCHEMA/webitel-db-schema.sql" ] || { echo "no schema in $SCHEMA: is package webitel-postgresql-15 installed?" >&2; exit 1; }
  echo "loading the schema of the vendor's package"
  { echo 'begin;'
    cat "$SCHEMA/webitel-db-schema.sql"
    echo 'reset all;'
    [ ! -f "$SCHEMA/webitel-db-data.sql" ] || cat "$SCHEMA/webitel-db-data.sql"
    echo 'reset all;'
    echo 'create schema webitel_setup; create table webitel_setup.done (at timestamptz not null default now());'
    echo 'grant usage on schema webitel_setup to opensips; grant select on webitel_setup.done to opensips;'
    echo 'insert into webitel_setup.done default values; commit;'
  } | psql -f - webitel >/dev/null
fi

psql -f /etc/webitel/grafana.sql webitel

# The cluster's settings are kept in Consul and were read from the file at the first bootstrap only.
# Right after that bootstrap Patroni answers 502 and 503 until it has looked again, and while it takes new settings nothing at all.
rest() { curl -sSf --retry 60 --retry-all-errors --retry-delay 1 "$@" "$REST/config"; }
before=$(rest)
rest -K /etc/webitel/patroni.curl -o /dev/null -X PATCH -d @/etc/webitel/patroni-dcs.json
# Members say only after their next look at it that they need a restart.
[ "$before" = "$(rest)" ] || sleep 6
