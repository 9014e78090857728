"""What rtpengine, OpenSIPS and FreeSWITCH say of calls, by the interfaces that the probes use: no further port, no restart."""

import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..ask import sip
from ..ask.view import View
from ..manifest import Manifest, ProbeEntry
from ..system import Unhealthy
from .opensips import ask_opensips

Sample = tuple[str, Mapping[str, str], float]
"""Name of a figure, its labels, its value."""
Asked = Callable[[ProbeEntry, View], Iterator[Sample]]

HELP = {
    "webitel_rtpengine_sessions": "Calls whose audio goes through this rtpengine.",
    "webitel_rtpengine_ports_free": "Ports of rtpengine for audio that no call has.",
    "webitel_rtpengine_ports_total": "Ports of rtpengine for audio.",
    "webitel_rtpengine_sessions_total": "Calls that rtpengine has had.",
    "webitel_rtpengine_timeouts_total": "Calls that rtpengine ended because no audio came.",
    "webitel_rtpengine_one_way_total": "Streams of ended calls whose audio came from one side only.",
    "webitel_rtpengine_no_way_total": "Streams of ended calls without any audio.",
    "webitel_rtpengine_packets_total": "Packets of audio relayed.",
    "webitel_rtpengine_packet_errors_total": "Packets of audio that could not be relayed.",
    "webitel_rtpengine_mos_total": "Sum of the quality (MOS) over its samples.",
    "webitel_rtpengine_mos_samples_total": "Samples of the quality (MOS).",
    "webitel_opensips_dialogs": "Calls that OpenSIPS knows.",
    "webitel_opensips_dialogs_total": "Calls that OpenSIPS began.",
    "webitel_opensips_failed_dialogs_total": "Calls that OpenSIPS began and nobody answered.",
    "webitel_opensips_answers_total": "Final answers to requests, by the first digit of their code.",
    "webitel_opensips_requests_total": "Requests received.",
    "webitel_opensips_registered_users": "Accounts with a phone that is registered.",
    "webitel_opensips_memory_used_bytes": "Shared memory that OpenSIPS uses.",
    "webitel_opensips_memory_total_bytes": "Shared memory that OpenSIPS has.",
    "webitel_freeswitch_sessions": "Legs of calls in FreeSWITCH.",
    "webitel_freeswitch_sessions_limit": "Legs at which FreeSWITCH refuses calls.",
    "webitel_freeswitch_sessions_total": "Legs since FreeSWITCH started.",
    "webitel_freeswitch_new_sessions": "Legs that began within the last second.",
    "webitel_freeswitch_new_sessions_limit": "New legs a second at which FreeSWITCH refuses calls.",
}

CURRENT = {"sessionstotal": "webitel_rtpengine_sessions"}
TOTALS = {
    "managedsessions": "webitel_rtpengine_sessions_total",
    "timeoutsessions": "webitel_rtpengine_timeouts_total",
    "onewaystreams": "webitel_rtpengine_one_way_total",
    "zerowaystreams": "webitel_rtpengine_no_way_total",
    "relayedpackets": "webitel_rtpengine_packets_total",
    "relayedpacketerrors": "webitel_rtpengine_packet_errors_total",
}
MOS = {"mos_total": "webitel_rtpengine_mos_total", "mos_samples_total": "webitel_rtpengine_mos_samples_total"}

OPENSIPS = {
    "dialog:active_dialogs": "webitel_opensips_dialogs",
    "dialog:processed_dialogs": "webitel_opensips_dialogs_total",
    "dialog:failed_dialogs": "webitel_opensips_failed_dialogs_total",
    "core:rcv_requests": "webitel_opensips_requests_total",
    "usrloc:registered_users": "webitel_opensips_registered_users",
    "shmem:real_used_size": "webitel_opensips_memory_used_bytes",
    "shmem:total_size": "webitel_opensips_memory_total_bytes",
}
ANSWERS = re.compile(r"tm:(\d)xx_transactions")

FREESWITCH = {
    "webitel_freeswitch_sessions_total": r"(?m)^(\d+) session\(s\) since startup",
    "webitel_freeswitch_sessions": r"(?m)^(\d+) session\(s\) - peak",
    "webitel_freeswitch_new_sessions": r"(?m)^(\d+) session\(s\) per Sec out of max",
    "webitel_freeswitch_new_sessions_limit": r"(?m)per Sec out of max (\d+)",
    "webitel_freeswitch_sessions_limit": r"(?m)^(\d+) session\(s\) max",
}
"""The lines of `status` (`facts/calls-observed.md` 0.8)."""


def ask(manifest: Manifest, view: View) -> list[Sample]:
    """Return what the programs of calls on this node say. One that does not answer has no figures: its probes tell why."""
    found: list[Sample] = []
    for service in manifest["services"]:
        for probe in service["probes"]:
            if question := QUESTIONS.get(probe["kind"]):
                try:
                    found += question(probe, view)
                except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError, Unhealthy):
                    continue
    return found


def rtpengine(probe: ProbeEntry, _: View) -> Iterator[Sample]:
    """Ask rtpengine for its statistics (`facts/monitoring.md` 3.1)."""
    said = sip.ask_rtpengine(probe["address"], probe["port"], {"command": "statistics"})
    statistics = decode(said.encode())[0]["statistics"]
    for part, names in (("currentstatistics", CURRENT), ("totalstatistics", TOTALS), ("mos", MOS)):
        for key, name in names.items():
            yield name, {}, float(statistics[part][key])
    for row in statistics["interfaces"]:
        of = {"interface": str(row["name"])}
        yield "webitel_rtpengine_ports_free", of, float(row["ports"]["free"])
        yield "webitel_rtpengine_ports_total", of, float(row["ports"]["totals"])


def opensips(probe: ProbeEntry, _: View) -> Iterator[Sample]:
    """Ask OpenSIPS for its statistics."""
    groups = ["dialog:", "tm:", "core:", "usrloc:", "shmem:"]
    answer = json.loads(ask_opensips(probe, "get_statistics", {"statistics": groups}))
    for key, value in answer["result"].items():
        if name := OPENSIPS.get(key):
            yield name, {}, float(value)
        elif digit := ANSWERS.fullmatch(key):
            yield "webitel_opensips_answers_total", {"code": f"{digit[1]}xx"}, float(value)


def freeswitch(probe: ProbeEntry, view: View) -> Iterator[Sample]:
    """Ask FreeSWITCH's event socket for its status."""
    said = sip.ask_freeswitch(probe, view, "status")
    for name, pattern in FREESWITCH.items():
        if found := re.search(pattern, said):
            yield name, {}, float(found[1])


QUESTIONS: dict[str, Asked] = {"rtpengine": rtpengine, "opensips_rtpengine": opensips, "freeswitch": freeswitch}
"""By the kind of the probe that knows where the program is asked."""


def decode(data: bytes) -> tuple[Any, bytes]:
    """Decode rtpengine's wire format; return the first value and what follows it."""
    kind, rest = data[:1], data[1:]
    if kind == b"i":
        number, _, rest = rest.partition(b"e")
        return int(number), rest
    if kind in (b"l", b"d"):
        values = []
        while rest[:1] != b"e":
            value, rest = decode(rest)
            values.append(value)
        return values if kind == b"l" else dict(zip(values[::2], values[1::2], strict=True)), rest[1:]
    size, _, rest = data.partition(b":")
    return rest[: int(size)].decode(errors="replace"), rest[int(size) :]
