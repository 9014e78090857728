"""Alert rules of what stands on every node."""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue.alert import HOUR, MINUTE, Alert, C, W, critical, down, logs, warning

ALERTS: Mapping[str, tuple[Alert, ...]] = {
    "chrony": (
        down("chrony", W, "The clock is not kept: recordings, statistics and log lines get wrong times."),
        warning(
            "ClockOff",
            "abs(webitel_clock_offset_seconds) > 0.1",
            5 * MINUTE,
            "The clock is wrong: times of calls and recordings do not fit together, beyond a second log-ins fail.",
        ),
        warning(
            "ClockUnknown",
            'webitel_machine_healthy{check="clock"} unless on (node) webitel_clock_offset_seconds',
            HOUR,
            "No time server answers this node: nobody knows how far its clock is off.",
            logs("chrony"),
        ),
    ),
    "nftables": (down("nftables", C, "The node's firewall is not loaded: it may be open, or closed to its peers."),),
    "ssh": (down("ssh", W, "Nobody can log in, and `up` cannot change this node; calls go on."),),
    "mesh": (down("mesh", C, "What other nodes send to this one through WireGuard may be lost: its calls fail."),),
    "audit-records": (
        down("audit-records", W, "What is done on this node is not recorded; calls go on."),
        warning(
            "RecordsNotSent",
            'webitel_machine_warning{check="log server"} == 1',
            10 * MINUTE,
            "The log server takes no records: they wait on the node, and whoever breaks in there can change them.",
        ),
    ),
    "consul": (down("consul", C, "Services on this node do not find the others: its calls fail."),),
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
}
