"""Alert rules of database, broker, Consul servers and reports."""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue.alert import HOUR, MINUTE, STACK, Alert, C, W, critical, down, logs, warning

ALERTS: Mapping[str, tuple[Alert, ...]] = {
    "consul-server": (
        down("consul-server", C, "One Consul server is away; without two of three no database leader can be chosen."),
    ),
    "postgresql": (
        down("postgresql", C, "This node's database does not serve, or follows nobody; with it gone no call is routed."),
        critical(
            "DatabaseLeaderless",
            "(sum(patroni_primary) or vector(0)) == 0",
            30,
            "No database takes writes: new calls and log-ins fail.",
        ),
        critical(
            "DatabaseTwice",
            "sum(patroni_primary) > 1",
            MINUTE,
            "Two databases take writes: what one of them acknowledges will be lost.",
        ),
        warning(
            "ReplicaLags",
            "(scalar(max(patroni_xlog_location)) - patroni_xlog_replayed_location) > 67108864 and patroni_replica == 1",
            2 * MINUTE,
            "A replica is more than 64 MiB behind: were the leader lost now, this one could not take over without loss.",
            logs("postgresql"),
        ),
        critical(
            "DatabaseAlone",
            "time() - patroni_dcs_last_seen > 60",
            MINUTE,
            "The database on this node has lost Consul: a leader steps down, and writes stop.",
            logs("postgresql"),
        ),
        critical(
            "DatabaseConnectionsShort",
            "webitel_database_connections / webitel_database_connections_limit > 0.8",
            2 * MINUTE,
            "Nearly as many sessions as the database has: beyond that services are refused, and calls with them. "
            "Raise webitel:max_connections.",
            logs("postgresql"),
        ),
        warning(
            "DatabaseUnfrozen",
            "webitel_database_transaction_age > 1500000000",
            HOUR,
            "Vacuum does not keep up: at two thousand million transactions the database stops writing, and calls with it.",
            logs("postgresql"),
        ),
        warning(
            "BackupLate",
            'webitel_machine_warning{check="backup"} == 1',
            10 * MINUTE,
            "There is no recent backup, or the log waits: were the database lost now, what came since would be too.",
            f"./webitel backups {STACK}",
        ),
        warning(
            "DatabaseRestartDue",
            "patroni_pending_restart == 1",
            HOUR,
            "A changed setting of the database waits for a restart.",
            f"./webitel up {STACK}",
        ),
    ),
    "rabbitmq": (
        down("rabbitmq", C, "This broker does not serve: events of calls wait, agents see nothing."),
        critical(
            "BrokerBlocked",
            "max by (node) (rabbitmq_alarms_memory_used_watermark) > 0 "
            "or max by (node) (rabbitmq_alarms_free_disk_space_watermark) > 0",
            30,
            "The broker blocks whoever publishes, on every node: queues stand still and calls are not distributed.",
            logs("rabbitmq"),
        ),
        warning(
            "MessagesWait",
            "sum by (node) (rabbitmq_queue_messages_ready) > 1000",
            5 * MINUTE,
            "Messages are not taken: agents' screens and statistics are late, or a service has gone deaf.",
        ),
    ),
    "grafana": (down("grafana", W, "Reports and dashboards are away; calls go on."),),
}
