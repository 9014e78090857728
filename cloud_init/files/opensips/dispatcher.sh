#!/bin/sh
# Makes set 1 of the dispatcher what the plan says: `start` before OpenSIPS reads it, `reload` while it runs.
set -eu
export PGPASSFILE=/etc/opensips/pgpass PGCONNECT_TIMEOUT=3 PGAPPNAME=webitel-setup PGSSLMODE=verify-full PGSSLROOTCERT={{ context.nodes_root }} PGSSLCERT=/nonexistent

# At the first configuration OpenSIPS does not run yet: its own start does it.
[ "$1" = start ] || systemctl is-active -q opensips || exit 0
{{ postgresql_bin }}/psql -X -q -v ON_ERROR_STOP=1 -f /etc/opensips/dispatcher.sql "host=127.0.0.1 port={{ port("haproxy", "sql") }} dbname=webitel user=opensips"
[ "$1" = start ] || /usr/lib/webitel/setup/opensips.sh ds_reload
