"""Alert rules of SIP and media."""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue.alert import MINUTE, STATUS, Alert, C, W, critical, down, logs, warning

ALERTS: Mapping[str, tuple[Alert, ...]] = {
    "sip-address": (down("sip-address", C, "No node has the address of SIP: no call comes in or goes out.", does_it="locks"),),
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
            STATUS,
        ),
        warning(
            "CallRateNearLimit",
            "webitel_freeswitch_new_sessions / webitel_freeswitch_new_sessions_limit > 0.8",
            MINUTE,
            "Nearly as many new calls a second as FreeSWITCH takes: beyond that callers are refused.",
            STATUS,
        ),
    ),
}
