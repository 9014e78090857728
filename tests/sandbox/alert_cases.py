"""For each alert rule series with which it fires, and then clears: a sample a minute, in promtool's notation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from components.model.catalogue.alert import Alert
from components.model.catalogue.alerts import ALERTS


@dataclass(frozen=True)
class Case:
    """`series` by what they are written as; minutes at which the rule fires and at which it has cleared (None = never), and the
    labels of the alert beside the rule's own. At the first minute nothing fires."""

    series: Mapping[str, str]
    fires: int
    clears: int | None
    labels: Mapping[str, str] = field(default_factory=lambda: {"node": "edge-1"})
    why: str = ""


NODE = {"node": "edge-1", "role": "edge"}


def gauge(series: str, good: str, bad: str, minutes: int, **labels: str) -> Case:
    """A figure that is bad for some minutes, by name."""
    of = {"node": "edge-1", **labels}
    inner = ",".join(f'{name}="{value}"' for name, value in of.items())
    return Case({f"{series}{{{inner}}}": f"{good}x1 {bad}x{minutes + 2} {good}x9"}, minutes + 3, minutes + 7, of)


def share(part: str, whole: str, good: str, bad: str, minutes: int, **labels: str) -> Case:
    """A part of 100 that is bad for some minutes."""
    case = gauge(part, good, bad, minutes, **labels)
    inner = next(iter(case.series)).removeprefix(part)
    return Case({**case.series, whole + inner: "100x99"}, case.fires, case.clears, case.labels)


def stuck(series: str) -> Case:
    """A time that stands still from the third minute to the tenth."""
    return Case({f'{series}{{node="edge-1"}}': "0+60x3 180x6 660+60x9"}, 8, 13)


def counted(series: str, **others: str) -> Case:
    """Something that is counted from the sixth minute to the twenty-first."""
    return Case({f'{series}{{node="edge-1"}}': "0x5 100+100x15 1600x20", **others}, 18, 32)


def service_down(name: str) -> Case:
    """A service whose second probe fails for six minutes."""
    return Case(
        {
            f'webitel_service_healthy{{service="{name}",node="edge-1"}}': "1x1 0x5 1x9",
            f'webitel_probe_success{{service="{name}",node="edge-1",says="it is deaf"}}': "1x1 0x5 1x9",
            f'webitel_probe_success{{service="{name}",node="edge-2",says="another node"}}': "0x20",
        },
        6,
        10,
        {"node": "edge-1", "service": name},
        "it is deaf",
    )


def unless_there(given: str, figure: str, minutes: int, value: str = "1", **labels: str) -> Case:
    """Something that works, and a figure of it that comes late, is there, and is gone at the end; Prometheus looks back for five
    minutes. `given` is what says that it works, with a `%s` for more labels."""
    inner = ",".join(f'{name}="{text}"' for name, text in {"node": "edge-1", **labels}.items())
    late = minutes + 3
    series = {given % 'node="edge-1"': f"_ 1x{late + 30}", figure % inner: f"_x{late + 2} {value}x9"}
    return Case(series, late, late + 4, labels_of(given))


def labels_of(series: str) -> dict[str, str]:
    """The labels of a series as it is written, with this node's."""
    return {**dict(re.findall(r'(\w+)="([^"]*)"', series)), "node": "edge-1"}


def figures_unknown(alert: Alert) -> Case:
    """All figures that a service's rules are made of are there but one, which comes late."""
    names = next(iter(re.findall(r'__name__=~"([^"]*)"', alert.expression))).split("|")
    given = next(iter(re.findall(r"^(\w+\{[^}]*)\}", alert.expression)))
    late = 13
    shown = {f'{name}{{node="edge-1",x="{number}"}}': f"1x{late + 20}" for name in names[1:] for number in range(2)}
    series = {f'{given},node="edge-1"}}': f"0x0 1x{late + 20}", f'{names[0]}{{node="edge-1"}}': f"_x{late + 1} 1x20", **shown}
    return Case(series, late, late + 4, labels_of(given))


OPENSIPS_ANSWERS = "webitel_opensips_answers_total"

CASES: Mapping[str, Case] = {
    **{rules[0].name: service_down(name) for name, rules in ALERTS.items() if rules[0].name.endswith("Down")},
    **{rule.name: figures_unknown(rule) for rules in ALERTS.values() for rule in rules if "__name__" in rule.expression},
    "NodeSilent": gauge("up", "1", "0", 1, job="node-exporter", role="edge"),
    "ReportStale": Case(
        {'node_textfile_mtime_seconds{node="edge-1",file="/run/webitel-metrics/webitel.prom"}': "0+60x3 180x6 660+60x9"},
        8,
        13,
        {"node": "edge-1", "file": "/run/webitel-metrics/webitel.prom"},
    ),
    "ReportMissing": unless_there(
        'up{job="node-exporter",%s}', 'node_textfile_mtime_seconds{%s,file="/run/webitel-metrics/webitel.prom"}', 5
    ),
    "CheckWarns": gauge("webitel_machine_warning", "0", "1", 60, check="emergency calls"),
    "UpdatesWait": gauge("webitel_machine_warning", "0", "1", 7 * 24 * 60, check="reboot"),
    "CheckFails": gauge("webitel_machine_healthy", "1", "0", 5, check="clock"),
    "ProcessorBusy": Case(
        {'node_cpu_seconds_total{mode="idle",cpu="0",node="edge-1",role="edge"}': "0+54x5 271+1x25 350+54x30"}, 22, 45, NODE
    ),
    "ProcessorStolen": Case(
        {'node_cpu_seconds_total{mode="steal",cpu="0",node="edge-1",role="edge"}': "0x5 6+6x30 186x30"}, 30, 50, NODE
    ),
    "MemoryShort": share("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes", "50", "5", 10),
    "BootDiskFull": share("node_filesystem_avail_bytes", "node_filesystem_size_bytes", "50", "5", 5, mountpoint="/"),
    "DataDiskMissing": gauge("webitel_disk_healthy", "1", "0", 1, disk="database"),
    "DataDiskFull": share("webitel_disk_free_bytes", "webitel_disk_size_bytes", "50", "5", 5, disk="database"),
    "DataDiskFillsSoon": gauge("webitel_disk_days_until_full", "10", "2", 60, disk="database"),
    "AudioDropped": counted("node_netstat_Udp_RcvbufErrors"),
    "ClockOff": gauge("webitel_clock_offset_seconds", "0.001", "-0.5", 5),
    "ClockUnknown": unless_there('webitel_machine_healthy{check="clock",%s}', "webitel_clock_offset_seconds{%s}", 60),
    "RecordsNotSent": gauge("webitel_machine_warning", "0", "1", 10, check="log server"),
    "RecordingsNotBackedUp": gauge("webitel_machine_warning", "0", "1", 10, check="recordings' backup"),
    "BackendGone": gauge("haproxy_backend_active_servers", "1", "0", 1, proxy="sql"),
    "DatabaseLeaderless": Case({'patroni_primary{node="db-1"}': "1x1 0x4 1x9", 'patroni_primary{node="db-2"}': "0x20"}, 4, 8, {}),
    "DatabaseTwice": Case({'patroni_primary{node="db-1"}': "1x20", 'patroni_primary{node="db-2"}': "0x1 1x4 0x9"}, 5, 8, {}),
    "ReplicaLags": Case(
        {
            'patroni_xlog_location{node="db-1"}': "200000000x20",
            'patroni_xlog_location{node="db-2"}': "0x20",
            'patroni_xlog_replayed_location{node="db-1"}': "0x20",
            'patroni_xlog_replayed_location{node="db-2"}': "200000000x1 1000x5 200000000x9",
            'patroni_replica{node="db-1"}': "0x20",
            'patroni_replica{node="db-2"}': "1x20",
        },
        6,
        10,
        {"node": "db-2"},
    ),
    "DatabaseAlone": stuck("patroni_dcs_last_seen"),
    "CallsNotKept": gauge("webitel_machine_warning", "0", "1", 10, check="calls"),
    "DatabaseConnectionsShort": share("webitel_database_connections", "webitel_database_connections_limit", "10", "90", 2),
    "DatabaseUnfrozen": gauge("webitel_database_transaction_age", "1000", "1600000000", 60),
    "BackupLate": gauge("webitel_machine_warning", "0", "1", 10, check="backup"),
    "DatabaseRestartDue": gauge("patroni_pending_restart", "0", "1", 60),
    "BrokerBlocked": Case(
        {
            'rabbitmq_alarms_memory_used_watermark{node="edge-1"}': "0x1 1x3 0x9",
            'rabbitmq_alarms_free_disk_space_watermark{node="edge-1"}': "0x20",
        },
        4,
        7,
    ),
    "MessagesWait": gauge("rabbitmq_queue_messages_ready", "5", "5000", 5),
    "AudioPortsShort": share("webitel_rtpengine_ports_free", "webitel_rtpengine_ports_total", "90", "10", 2),
    "AudioPoor": Case(
        {
            'webitel_rtpengine_mos_total{node="edge-1"}': "0+42x10 440+20x15 782+42x30",
            'webitel_rtpengine_mos_samples_total{node="edge-1"}': "0+10x60",
        },
        22,
        40,
    ),
    "AudioOneWay": Case(
        {
            'webitel_rtpengine_one_way_total{node="edge-1"}': "0x10 5+5x20 105x40",
            'webitel_rtpengine_sessions_total{node="edge-1"}': "0+20x80",
        },
        28,
        60,
    ),
    "AudioErrors": counted(
        "webitel_rtpengine_packet_errors_total", **{'webitel_rtpengine_packets_total{node="edge-1"}': "0+3000x60"}
    ),
    "SipMemoryShort": share("webitel_opensips_memory_used_bytes", "webitel_opensips_memory_total_bytes", "10", "90", 5),
    "SipErrors": Case(
        {
            f'{OPENSIPS_ANSWERS}{{node="edge-1",code="5xx"}}': "0x5 10+10x15 160x20",
            f'{OPENSIPS_ANSWERS}{{node="edge-1",code="2xx"}}': "0+20x60",
        },
        18,
        32,
    ),
    "PhonesLost": Case({'webitel_opensips_registered_users{node="edge-1"}': "100x6 50x20"}, 9, 14),
    "CallsNearLimit": share("webitel_freeswitch_sessions", "webitel_freeswitch_sessions_limit", "10", "90", 1),
    "CallRateNearLimit": share("webitel_freeswitch_new_sessions", "webitel_freeswitch_new_sessions_limit", "1", "90", 1),
    "WebUnreachable": gauge("probe_success", "1", "0", 1, look="web"),
    "WebSocketUnreachable": gauge("probe_success", "1", "0", 1, look="web_socket"),
    "SipUnreachable": gauge("probe_success", "1", "0", 1, look="sip"),
    "CertificateLate": gauge("webitel_machine_warning", "0", "1", 60, check="certificate"),
    "CertificateUnseen": unless_there('webitel_machine_healthy{check="certificate",%s}', "webitel_certificate_days{%s}", 10),
    "CertificateEnds": gauge("webitel_certificate_days", "30", "0.5", 60),
    "AlertsNotTold": Case(
        {'alertmanager_notifications_failed_total{node="edge-1",integration="email"}': "0x5 1+1x15 16x20"},
        18,
        32,
        {"node": "edge-1", "integration": "email"},
    ),
    "Heartbeat": Case({"anything": "1x9"}, 0, None, {}),
    "FiguresMissing": gauge("up", "1", "0", 5, job="haproxy", role="edge"),
    "RulesRefused": gauge("prometheus_config_last_reload_successful", "1", "0", 5),
    "RuleFails": counted("prometheus_rule_evaluation_failures_total"),
}
