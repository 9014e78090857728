"""Alert rules of monitoring itself, and whatever the node exporter tells of a machine."""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue.alert import DAY, HOUR, MINUTE, NODE, Alert, Severity, W, critical, down, logs, warning

WATCHER = f"./webitel ssh {NODE} -- journalctl -u webitel-watch"
TOLD = ("backup", "calls", "certificate", "log server", "reboot", "recordings' backup", "security updates")
"""Checks of the machine with a rule of their own."""
UNTOLD = "allowance"
"""Counted since the machine started: it would ring until the next one."""

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
            WATCHER,
        ),
        warning(
            "ReportMissing",
            'up{job="node-exporter"} == 1 unless on (node) node_textfile_mtime_seconds{file=~".*/webitel.prom"}',
            5 * MINUTE,
            "The node program has told nothing yet, or nothing that can be read: alerts about this node are blind.",
            WATCHER,
        ),
        warning(
            "CheckFails",
            "webitel_machine_healthy == 0",
            5 * MINUTE,
            "A check of the machine fails; calls may go on, but what it watches stops some day.",
        ),
        warning(
            "CheckWarns",
            f'webitel_machine_warning{{check!~"{"|".join((*TOLD, UNTOLD))}"}} == 1',
            HOUR,
            "Something is worth a look that stops nothing yet.",
        ),
        warning(
            "UpdatesWait",
            'webitel_machine_warning{check=~"security updates|reboot"} == 1',
            7 * DAY,
            "Security updates, or the restart that a new kernel needs, have waited for a week.",
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
            f"./webitel ssh {NODE} -- du -xh -d2 /",
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
