"""Alert rules by the service that they watch: the expression, for how long, how bad, what it means for callers, where to look.

`cloud_init/bundles/alerts/rules.yml` is written from here (`python -m tools.pages`), the same for every deployment: what one
does not have never fires. Each rule has its firing and its clearing series in `tests/sandbox/alert_cases.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue.alert import Alert, Severity, critical, down, logs, warning

MINUTE, HOUR = 60, 3600
C, W = Severity.CRITICAL, Severity.WARNING

ALERTS: Mapping[str, tuple[Alert, ...]] = {
    "node-exporter": (
        critical(
            "NodeSilent",
            'up{job="node-exporter"} == 0',
            MINUTE,
            "Nothing answers on this node: whatever it carries is lost until another node has it.",
        ),
        warning(
            "ReportStale",
            'time() - node_textfile_mtime_seconds{file=~".*/webitel.prom"} > 180',
            MINUTE,
            "The node program tells nothing any more: alerts about this node are blind, and nothing restarts what hangs.",
            "./webitel ssh {{ $labels.node }} journalctl -u webitel-watch",
        ),
        warning(
            "CheckFails",
            "webitel_machine_healthy == 0",
            5 * MINUTE,
            "A check of the machine fails; calls may go on, but what it watches stops some day.",
        ),
        warning(
            "ProcessorBusy",
            '1 - avg by (node, role) (rate(node_cpu_seconds_total{mode="idle"}[5m])) > 0.9',
            10 * MINUTE,
            "Processors have no time left: audio stutters and calls take longer to be set up.",
        ),
        warning(
            "ProcessorStolen",
            'avg by (node, role) (rate(node_cpu_seconds_total{mode="steal"}[5m])) > 0.02',
            15 * MINUTE,
            "The machine's host gives its processors to others: audio stutters. Dedicated machine types do not have this.",
        ),
        warning(
            "MemoryShort",
            "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes > 0.9",
            10 * MINUTE,
            "Memory runs out: the kernel will end a program, and the calls that it carries.",
        ),
        critical(
            "BootDiskFull",
            'node_filesystem_avail_bytes{mountpoint="/"} / node_filesystem_size_bytes{mountpoint="/"} < 0.1',
            5 * MINUTE,
            "Services stop writing when the boot disk is full: logs first, then calls fail.",
            "./webitel ssh {{ $labels.node }} du -xh -d2 /",
        ),
        critical(
            "DataDiskMissing",
            "webitel_disk_healthy == 0",
            MINUTE,
            "The data disk is not there: database or recordings are away until it is.",
        ),
        critical(
            "DataDiskFull",
            "webitel_disk_free_bytes / webitel_disk_size_bytes < 0.1",
            5 * MINUTE,
            "A full database disk stops every call's routing, a full recordings disk every recording.",
        ),
        warning(
            "DataDiskFillsSoon",
            "webitel_disk_days_until_full < 3",
            HOUR,
            "By its growth this data disk is full within three days.",
        ),
        warning(
            "AudioDropped",
            "rate(node_netstat_Udp_RcvbufErrors[5m]) > 1",
            5 * MINUTE,
            "The kernel throws packets away because no program takes them in time: callers hear gaps.",
        ),
    ),
    "chrony": (
        down("chrony", W, "The clock is not kept: recordings, statistics and log lines get wrong times."),
        warning(
            "ClockOff",
            "abs(webitel_clock_offset_seconds) > 0.1",
            5 * MINUTE,
            "The clock is wrong: times of calls and recordings do not fit together, beyond a second log-ins fail.",
        ),
    ),
    "nftables": (down("nftables", C, "The node's firewall is not loaded: it may be open, or closed to its peers."),),
    "ssh": (down("ssh", W, "Nobody can log in, and `up` cannot change this node; calls go on."),),
    "audit-records": (down("audit-records", W, "What is done on this node is not recorded; calls go on."),),
    "consul": (down("consul", C, "Services on this node do not find the others: its calls fail."),),
    "consul-server": (
        down("consul-server", C, "One Consul server is away; without two of three no database leader can be chosen."),
    ),
    "haproxy": (
        down("haproxy", C, "Services on this node reach neither database nor broker: its calls and log-ins fail."),
        critical(
            "BackendGone",
            'haproxy_backend_active_servers{proxy=~"sql|amqp"} == 0',
            MINUTE,
            "From this node no database or no broker is reached: calls are not routed.",
            logs("haproxy"),
        ),
    ),
    "locks": (down("locks", W, "This node cannot take over services that move."),),
    "postgresql": (
        down("postgresql", C, "This node's database does not serve, or follows nobody; with it gone no call is routed."),
        critical(
            "DatabaseLeaderless",
            "(sum(patroni_primary) or vector(0)) != 1",
            30,
            "No database takes writes: new calls and log-ins fail.",
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
            "./webitel backups",
        ),
        warning(
            "DatabaseRestartDue",
            "patroni_pending_restart == 1",
            HOUR,
            "A changed setting of the database waits for a restart.",
            "./webitel up",
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
    "redis": (
        down("redis", W, "Calls in progress would end with rtpengine: nothing else keeps them."),
        warning(
            "CallsNotKept",
            'webitel_machine_warning{check="calls"} == 1',
            10 * MINUTE,
            "Calls in progress would end with rtpengine, or its restart waits for them.",
        ),
    ),
    "rtpengine": (
        down("rtpengine", C, "New calls have no audio."),
        critical(
            "AudioPortsShort",
            "sum by (node) (webitel_rtpengine_ports_free) / sum by (node) (webitel_rtpengine_ports_total) < 0.2",
            2 * MINUTE,
            "Ports for audio run out: soon calls are refused.",
            logs("rtpengine"),
        ),
        warning(
            "AudioPoor",
            "increase(webitel_rtpengine_mos_total[10m]) / increase(webitel_rtpengine_mos_samples_total[10m]) < 3.6",
            5 * MINUTE,
            "Callers hear bad audio: loss or jitter between here and the phones or trunks.",
            logs("rtpengine"),
        ),
        warning(
            "AudioOneWay",
            "increase(webitel_rtpengine_one_way_total[15m]) > 0.1 * increase(webitel_rtpengine_sessions_total[15m]) > 2",
            5 * MINUTE,
            "In one of ten calls only one side is heard: an address behind NAT, a firewall, a trunk.",
            logs("rtpengine"),
        ),
        warning(
            "AudioErrors",
            "rate(webitel_rtpengine_packet_errors_total[5m]) / rate(webitel_rtpengine_packets_total[5m]) > 0.01",
            5 * MINUTE,
            "One in a hundred packets of audio is not relayed: callers hear gaps.",
            logs("rtpengine"),
        ),
    ),
    "opensips": (
        down("opensips", C, "No call comes in or goes out, and phones do not register."),
        critical(
            "SipUnreachable",
            'probe_success{look="sip"} == 0',
            MINUTE,
            "From another node SIP is not answered: phones and trunks reach nothing either.",
            logs("opensips"),
        ),
        critical(
            "SipMemoryShort",
            "webitel_opensips_memory_used_bytes / webitel_opensips_memory_total_bytes > 0.8",
            5 * MINUTE,
            "OpenSIPS' memory fills up: at its end every call is refused.",
            logs("opensips"),
        ),
        critical(
            "SipErrors",
            'sum by (node) (rate(webitel_opensips_answers_total{code="5xx"}[5m])) '
            "/ sum by (node) (rate(webitel_opensips_answers_total[5m])) > 0.1",
            5 * MINUTE,
            "One in ten requests ends with an error of ours: calls and registrations fail.",
            logs("opensips"),
        ),
        critical(
            "PhonesLost",
            "webitel_opensips_registered_users < 0.7 * (webitel_opensips_registered_users offset 5m > 10)",
            MINUTE,
            "A third of the phones has vanished within five minutes: agents cannot be called.",
            logs("opensips"),
        ),
    ),
    "sip-websocket": (down("sip-websocket", C, "Agents' phones in the browser do not connect."),),
    "fail2ban": (down("fail2ban", W, "Whoever guesses passwords is not shut out; calls go on."),),
    "freeswitch": (
        down("freeswitch", C, "This node takes no calls."),
        critical(
            "CallsNearLimit",
            "webitel_freeswitch_sessions / webitel_freeswitch_sessions_limit > 0.8",
            MINUTE,
            "Nearly as many calls as FreeSWITCH takes: beyond that callers are refused.",
            "./webitel scale",
        ),
        warning(
            "CallRateNearLimit",
            "webitel_freeswitch_new_sessions / webitel_freeswitch_new_sessions_limit > 0.8",
            MINUTE,
            "Nearly as many new calls a second as FreeSWITCH takes: beyond that callers are refused.",
            "./webitel scale",
        ),
    ),
    "webitel-app": (down("webitel-app", C, "Nobody logs in, and calls are not routed: accounts and licences come from it."),),
    "webitel-api": (down("webitel-api", C, "The web applications do not work."),),
    "webitel-uac": (down("webitel-uac", C, "Trunks that need a registration take no calls."),),
    "messages-srv": (down("messages-srv", W, "Chats stand still; calls go on."),),
    "messages-bot": (down("messages-bot", W, "No messages come in from messengers; calls go on."),),
    "engine": (down("engine", C, "Agents' desktops get no calls and no events."),),
    "call_center": (down("call_center", C, "Callers wait in queues, and no agent gets them."),),
    "flow_manager": (down("flow_manager", C, "Calls on this node follow no flow: they are hung up."),),
    "logger": (down("logger", W, "Changes by administrators are not recorded; calls go on."),),
    "cases": (down("cases", W, "Cases are away; calls go on."),),
    "storage": (down("storage", C, "Recordings are not kept, and prompts and files do not play."),),
    "nginx": (
        down("nginx", C, "The web is away: agents cannot log in or take calls in the browser."),
        critical(
            "WebUnreachable",
            'probe_success{look="web"} == 0',
            MINUTE,
            "From another node the sign-in page is not served: agents cannot log in.",
            logs("nginx"),
        ),
        critical(
            "WebSocketUnreachable",
            'probe_success{look="web_socket"} == 0',
            MINUTE,
            "From another node no SIP web socket opens: agents' phones in the browser do not connect.",
            logs("nginx"),
        ),
        warning(
            "CertificateLate",
            'webitel_machine_warning{check="certificate"} == 1',
            HOUR,
            "The certificate ends soon, and nothing has renewed it: then browsers refuse the web, and phones SIP over TLS.",
        ),
        critical(
            "CertificateEnds",
            "webitel_certificate_days < 1",
            HOUR,
            "The certificate ends within a day: browsers will refuse the web, and phones SIP over TLS.",
        ),
    ),
    "webitel-web": (down("webitel-web", C, "The sign-in page is not served."),),
    "blackbox-exporter": (down("blackbox-exporter", W, "Nobody looks at web and SIP from this node; calls go on."),),
    "alertmanager": (
        down("alertmanager", W, "One Alertmanager is away: where it is the only one, nobody is told of alerts; calls go on."),
        warning(
            "AlertsNotTold",
            "sum by (node, integration) (rate(alertmanager_notifications_failed_total[5m])) > 0",
            5 * MINUTE,
            "A target of alerts refuses them: somebody is not told.",
            logs("alertmanager"),
        ),
    ),
    "prometheus": (
        down("prometheus", W, "Nothing is measured here; calls go on."),
        Alert("Heartbeat", "vector(1)", 0, Severity.HEARTBEAT, "Alerts reach you: when this stays away, nobody is alarmed."),
        warning(
            "FiguresMissing",
            'up{job!="node-exporter"} == 0',
            5 * MINUTE,
            "A program does not give its figures: alerts made of them are blind.",
        ),
        warning(
            "RulesRefused",
            "prometheus_config_last_reload_successful == 0",
            5 * MINUTE,
            "Prometheus goes on with old rules and targets: it does not take the present files.",
            logs("prometheus"),
        ),
        warning(
            "RuleFails",
            "increase(prometheus_rule_evaluation_failures_total[5m]) > 0",
            5 * MINUTE,
            "An alert is not decided: whatever it watches goes unnoticed.",
            logs("prometheus"),
        ),
    ),
}
"""By service of the catalogue."""
