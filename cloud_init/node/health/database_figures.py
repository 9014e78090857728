"""What the database of this node says of itself: connections, size, transactions. Asked with the services' own role."""

import json
from collections.abc import Iterator

from ..ask.view import View, query
from ..manifest import Manifest
from ..system import Unhealthy
from .call_figures import Sample

HELP = {
    "webitel_database_connections": "Sessions in the database.",
    "webitel_database_connections_limit": "Sessions at which the database refuses services.",
    "webitel_database_size_bytes": "Size of the database webitel.",
    "webitel_database_commits_total": "Transactions that were committed.",
    "webitel_database_rollbacks_total": "Transactions that were rolled back.",
    "webitel_database_deadlocks_total": "Transactions that were ended because they waited for one another.",
    "webitel_database_transaction_age": "Transactions since the oldest row not frozen; writes stop at two thousand million.",
}

STATEMENT = """
select json_build_object(
  'webitel_database_connections', (select sum(numbackends) from pg_stat_database),
  'webitel_database_connections_limit',
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
  'webitel_database_size_bytes', pg_database_size('webitel'),
  'webitel_database_commits_total', (select sum(xact_commit) from pg_stat_database),
  'webitel_database_rollbacks_total', (select sum(xact_rollback) from pg_stat_database),
  'webitel_database_deadlocks_total', (select sum(deadlocks) from pg_stat_database),
  'webitel_database_transaction_age', (select max(age(datfrozenxid)) from pg_database))
"""
"""Nothing of it needs more rights than to log in."""


def ask(manifest: Manifest, view: View) -> Iterator[Sample]:
    """Ask this node's database, where it has one; without an answer there are no figures, and its probe tells why."""
    kinds = {probe["kind"] for service in manifest["services"] for probe in service["probes"]}
    if "patroni" not in kinds:
        return
    try:
        said: dict[str, float] = json.loads(query(view, STATEMENT, own=True))
    except (OSError, ValueError, Unhealthy):
        return
    for name, value in said.items():
        yield name, {}, float(value)
