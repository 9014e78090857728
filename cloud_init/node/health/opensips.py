"""OpenSIPS, asked through its management interface."""

import http.client
import json
import re
import time
from collections.abc import Mapping

from ..ask.view import TIMEOUT_SECONDS, View
from ..manifest import ProbeEntry
from ..system import Unhealthy


def check_rtpengines(probe: ProbeEntry, _: View) -> None:
    """Check that OpenSIPS considers no rtpengine disabled."""
    compact = ask_opensips(probe, "rtpengine_show").replace('"', "")
    if "disabled:0" not in compact or "disabled:1" in compact:
        raise Unhealthy(compact[:200])


def enable_rtpengines(probe: ProbeEntry) -> list[str]:
    """Have OpenSIPS test every rtpengine that it considers disabled; return their addresses."""
    disabled = re.findall(r'"url":"([^"]+)"[^}]*"disabled":1', ask_opensips(probe, "rtpengine_show"))
    for url in disabled:
        ask_opensips(probe, "rtpengine_enable", {"url": url, "enable": 1})
    return disabled


def ask_opensips(probe: ProbeEntry, method: str, parameters: Mapping[str, object] | None = None) -> str:
    """Send OpenSIPS' management interface one command; return the answer without blanks."""
    body: dict[str, object] = {"jsonrpc": "2.0", "id": int(time.time()), "method": method}
    if parameters:
        body["params"] = parameters
    connection = http.client.HTTPConnection(probe["address"], probe["port"], timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", "/mi", json.dumps(body), {"Content-Type": "application/json"})
        return "".join(connection.getresponse().read().decode(errors="replace").split())
    finally:
        connection.close()
