"""Grafana's dashboards: what is on each, and the files that Grafana reads (`cloud_init/bundles/dashboards/`)."""

from __future__ import annotations

import json
from pathlib import Path

from cloud_init.dashboard import Dashboard, describe, lines, listing, number
from cloud_init.dashboard_agents import AGENTS

FOLDER = Path(__file__).parent / "bundles" / "dashboards"

TONIGHT = Dashboard(
    "tonight",
    "Tonight",
    (
        number("Nodes not healthy", "sum(webitel_node_healthy == bool 0) or vector(0)", alarms=1),
        number("Nodes silent", 'sum(up{job="node-exporter"} == bool 0)', alarms=1),
        number("Calls", "sum(webitel_opensips_dialogs)"),
        number("Phones registered", "sum(webitel_opensips_registered_users)"),
        number("Disk full in", "min(webitel_disk_days_until_full)", unit="d", warns=7, alarms=3),
        number("Certificate", "min(webitel_certificate_days)", unit="d", warns=14, alarms=3),
        listing(
            "Alerts",
            'ALERTS{alertstate="firing",severity!="heartbeat"}',
            note="What fires. `./webitel status` says what each means for callers, and where to look.",
        ),
        listing(
            "Questions not answered", "webitel_probe_success == 0", note="The probe that fails and what that means.", columns=16
        ),
        listing("Units not active", "webitel_unit_active == 0", columns=8),
        lines("Calls", ("sum(webitel_opensips_dialogs)", "calls"), ("sum(webitel_rtpengine_sessions)", "with audio")),
        lines(
            "Audio (MOS)", ("rate(webitel_rtpengine_mos_total[10m]) / rate(webitel_rtpengine_mos_samples_total[10m])", "{{node}}")
        ),
        lines(
            "Errors of ours",
            ('sum by (node) (rate(webitel_opensips_answers_total{code="5xx"}[5m]))', "{{node}} 5xx a second"),
            ("sum by (node) (rate(webitel_rtpengine_packet_errors_total[5m]))", "{{node}} packets not relayed"),
        ),
        lines("Messages that wait", ("sum by (node) (rabbitmq_queue_messages_ready)", "{{node}}")),
        lines("Database leader", ("patroni_primary", "{{node}}"), note="One line at 1, all others at 0."),
        lines(
            "Processors",
            ('1 - avg by (node) (rate(node_cpu_seconds_total{mode="idle"}[2m]))', "{{node}}"),
            unit="percentunit",
        ),
    ),
    since="now-3h",
)

CALLS = Dashboard(
    "calls",
    "Calls",
    (
        number("Calls", "sum(webitel_opensips_dialogs)"),
        number("New calls a second", "sum(rate(webitel_opensips_dialogs_total[5m]))", unit="cps"),
        number(
            "Answered",
            "1 - sum(rate(webitel_opensips_failed_dialogs_total[15m])) / sum(rate(webitel_opensips_dialogs_total[15m]))",
            unit="percentunit",
            note="Of the calls of the last 15 minutes.",
        ),
        number(
            "Audio (MOS)",
            "sum(rate(webitel_rtpengine_mos_total[15m])) / sum(rate(webitel_rtpengine_mos_samples_total[15m]))",
            note="1 to 5; below 3.6 callers complain.",
        ),
        number(
            "Legs of the limit",
            "max(webitel_freeswitch_sessions / webitel_freeswitch_sessions_limit)",
            unit="percentunit",
            alarms=0.8,
        ),
        number("Phones registered", "sum(webitel_opensips_registered_users)"),
        lines(
            "Calls at once",
            ("webitel_opensips_dialogs", "{{node}} SIP"),
            ("webitel_rtpengine_sessions", "{{node}} audio"),
            ("webitel_freeswitch_sessions", "{{node}} legs"),
        ),
        lines("New calls a second", ("rate(webitel_opensips_dialogs_total[5m])", "{{node}}"), unit="cps"),
        lines("Answers by code", ("sum by (code) (rate(webitel_opensips_answers_total[5m]))", "{{code}}"), unit="reqps"),
        lines(
            "Audio (MOS)", ("rate(webitel_rtpengine_mos_total[10m]) / rate(webitel_rtpengine_mos_samples_total[10m])", "{{node}}")
        ),
        lines(
            "Audio that failed",
            ("increase(webitel_rtpengine_one_way_total[10m])", "{{node}} one way"),
            ("increase(webitel_rtpengine_timeouts_total[10m])", "{{node}} ended without audio"),
            note="Within ten minutes.",
        ),
        lines(
            "Packets",
            ("rate(webitel_rtpengine_packets_total[2m])", "{{node}}"),
            ("rate(webitel_rtpengine_packet_errors_total[2m])", "{{node}} not relayed"),
            unit="pps",
        ),
        lines("Ports free", ("webitel_rtpengine_ports_free", "{{node}} {{interface}}")),
        lines(
            "Memory of OpenSIPS",
            ("webitel_opensips_memory_used_bytes", "{{node}}"),
            ("webitel_opensips_memory_total_bytes", "{{node}} in all"),
            unit="bytes",
        ),
        lines("Packets that no program took", ("rate(node_netstat_Udp_RcvbufErrors[5m])", "{{node}}"), unit="pps"),
    ),
)

NODES = Dashboard(
    "nodes",
    "Nodes",
    (
        listing("Services not healthy", "webitel_service_healthy == 0", columns=12),
        listing("Checks of the machine", "webitel_machine_warning == 1 or webitel_machine_healthy == 0", columns=12),
        lines(
            "Processors",
            ('1 - avg by (node) (rate(node_cpu_seconds_total{mode="idle"}[2m]))', "{{node}}"),
            unit="percentunit",
        ),
        lines(
            "Processors given to others",
            ('avg by (node) (rate(node_cpu_seconds_total{mode="steal"}[5m]))', "{{node}}"),
            unit="percentunit",
        ),
        lines(
            "Memory in use", ("1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", "{{node}}"), unit="percentunit"
        ),
        lines(
            "Boot disk in use",
            ('1 - node_filesystem_avail_bytes{mountpoint="/"} / node_filesystem_size_bytes{mountpoint="/"}', "{{node}}"),
            unit="percentunit",
        ),
        lines(
            "Data disks in use",
            ("1 - webitel_disk_free_bytes / webitel_disk_size_bytes", "{{node}} {{disk}}"),
            unit="percentunit",
        ),
        lines("Disks, writes", ("sum by (node) (rate(node_disk_written_bytes_total[2m]))", "{{node}}"), unit="Bps"),
        lines(
            "Network",
            ("sum by (node) (rate(node_network_receive_bytes_total[2m]))", "{{node}} in"),
            ("sum by (node) (rate(node_network_transmit_bytes_total[2m]))", "{{node}} out"),
            unit="Bps",
        ),
        lines("Clock", ("webitel_clock_offset_seconds", "{{node}}"), unit="s"),
        lines("Security updates that wait", ("webitel_security_updates", "{{node}}")),
    ),
)

DATABASE = Dashboard(
    "database",
    "Database",
    (
        lines("Leader", ("patroni_primary", "{{node}}"), note="One line at 1, all others at 0."),
        lines(
            "Behind the leader",
            ("(scalar(max(patroni_xlog_location)) - patroni_xlog_replayed_location) and patroni_replica == 1", "{{node}}"),
            unit="bytes",
        ),
        lines("Written", ("rate(patroni_xlog_location[2m]) and patroni_primary == 1", "{{node}}"), unit="Bps"),
        lines(
            "Sessions",
            ("webitel_database_connections", "{{node}}"),
            ("webitel_database_connections_limit", "{{node}} limit"),
        ),
        lines(
            "Transactions a second",
            ("rate(webitel_database_commits_total[5m])", "{{node}}"),
            ("rate(webitel_database_rollbacks_total[5m])", "{{node}} rolled back"),
        ),
        lines("Size", ("webitel_database_size_bytes", "{{node}}"), unit="bytes"),
        lines("Consul seen before", ("time() - patroni_dcs_last_seen", "{{node}}"), unit="s"),
        lines("Waits for a restart", ("patroni_pending_restart", "{{node}}")),
        lines(
            "Sessions through HAProxy",
            ('haproxy_backend_current_sessions{proxy="sql"}', "{{node}}"),
            note="By the node of the callers.",
        ),
        lines(
            "Disk in use",
            ('1 - webitel_disk_free_bytes{disk="database"} / webitel_disk_size_bytes', "{{node}}"),
            unit="percentunit",
        ),
    ),
)

BROKER = Dashboard(
    "broker",
    "Broker",
    (
        lines("Messages that wait", ("sum by (node) (rabbitmq_queue_messages_ready)", "{{node}}")),
        lines("Not acknowledged", ("sum by (node) (rabbitmq_queue_messages_unacked)", "{{node}}")),
        lines(
            "Messages a second",
            ("sum by (node) (rate(rabbitmq_global_messages_received_total[2m]))", "{{node}} in"),
            ("sum by (node) (rate(rabbitmq_global_messages_delivered_total[2m]))", "{{node}} out"),
        ),
        lines("Connections", ("rabbitmq_connections", "{{node}}")),
        lines("Consumers", ("rabbitmq_consumers", "{{node}}")),
        lines("Queues", ("rabbitmq_queues", "{{node}}")),
        lines(
            "Memory",
            ("rabbitmq_process_resident_memory_bytes", "{{node}}"),
            ("rabbitmq_resident_memory_limit_bytes", "{{node}} limit"),
            unit="bytes",
        ),
        lines(
            "Disk left",
            ("rabbitmq_disk_space_available_bytes", "{{node}}"),
            ("rabbitmq_disk_space_available_limit_bytes", "{{node}} limit"),
            unit="bytes",
        ),
        lines("Sessions through HAProxy", ('haproxy_backend_current_sessions{proxy="amqp"}', "{{node}}")),
    ),
)

DASHBOARDS = (TONIGHT, CALLS, AGENTS, NODES, DATABASE, BROKER)


def render_dashboards() -> dict[str, str]:
    """Render every dashboard: name of the file and its text."""
    return {f"{one.name}.json": json.dumps(describe(one), indent=1) + "\n" for one in DASHBOARDS}


def write_dashboards() -> None:
    """Write the files anew."""
    for name, text in render_dashboards().items():
        (FOLDER / name).write_text(text)
