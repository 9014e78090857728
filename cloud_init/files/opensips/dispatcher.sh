#!/bin/sh
# Makes set 1 of the dispatcher what the plan says: `start` before OpenSIPS reads it, `reload` while it runs.
set -eu
export PGPASSFILE=/etc/opensips/pgpass PGCONNECT_TIMEOUT=3 PGAPPNAME=webitel-setup
mi() { curl -sS -m 5 -H 'Content-Type: application/json' -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$1\"}" "http://{{ bind("opensips", "mi") }}:{{ port("opensips", "mi") }}/mi"; }

# At the first configuration OpenSIPS does not run yet: its own start does it.
[ "$1" = start ] || mi version >/dev/null 2>&1 || exit 0
psql -X -q -v ON_ERROR_STOP=1 -f /etc/opensips/dispatcher.sql "host=127.0.0.1 port={{ port("haproxy", "sql") }} dbname=webitel user=opensips"
[ "$1" = start ] || mi ds_reload
