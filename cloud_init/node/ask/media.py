"""Two ends of audio that rtpengine joins for a while: what sends to one of its ports arrives from the other.

Nobody is called for it: `smoke` sends audio from outside through the very path that calls take.
"""

import ipaddress
import json
import os
import re
import secrets
import sys

from ..manifest import Manifest, ProbeEntry
from ..system import Unhealthy
from . import sip

OUTSIDE = ["ext", "ext"]
"""rtpengine's name for the side with the advertised address (`cloud_init/files/rtpengine/rtpengine.conf`), for both ends."""
PORTS = 2


def join(manifest: Manifest, address: str, ports: list[int]) -> int:
    """Join two ends at an address until standard input ends, and say where they have to send: {"media": [[address, port]]}."""
    questions = [probe for service in manifest["services"] for probe in service["probes"] if probe["kind"] == "rtpengine"]
    if not questions:
        print(json.dumps({"error": "no rtpengine on this node"}))
        return 1
    call = {"call-id": f"smoke-{os.getpid()}-{secrets.token_hex(4)}", "from-tag": "one"}
    try:
        ipaddress.IPv4Address(address)
        print(json.dumps({"media": offer(questions[0], call, address, ports)}), flush=True)
        sys.stdin.read()
    except (Unhealthy, ValueError, TimeoutError) as error:
        print(json.dumps({"error": str(error) or "rtpengine does not answer on its control socket"}), flush=True)
        return 1
    finally:
        sip.ask_rtpengine(questions[0]["address"], questions[0]["port"], {**call, "command": "delete"})
    return 0


def offer(question: ProbeEntry, call: dict[str, str], address: str, ports: list[int]) -> list[tuple[str, int]]:
    """Have rtpengine take both ends; where the first one and the second one send to."""
    ends = []
    more: dict[str, object] = {"command": "offer", "direction": OUTSIDE}
    for port in ports:
        description = (
            f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        )
        asked = {**call, **more, "sdp": description, "replace": ["origin"]}
        said = sip.ask_rtpengine(question["address"], question["port"], asked)
        where = re.search(r"c=IN IP4 (\S+)", said), re.search(r"m=audio (\d+)", said)
        if not where[0] or not where[1]:
            raise Unhealthy(f"rtpengine refuses: {said[:200]}")
        ends.append((where[0][1], int(where[1][1])))
        more = {"command": "answer", "to-tag": "two"}
    # An end is told where to send by the description of the other one.
    return ends[::-1]
