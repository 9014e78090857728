"""Taking a FreeSWITCH out of service without hanging up a call."""

import re
import time
from typing import Any

from . import sip
from .manifest import ApplyError, Tell
from .view import View

PAUSE = 2.0


def drain(manifest: dict[str, Any], tell: Tell) -> None:
    """Pause new calls (the dispatcher sees the 503 and takes the node out) and wait until the running ones have ended.

    At most `drain_timeout` seconds; then calls are let in again and the change is given up.
    """
    arguments = next(
        probe for service in manifest["services"] for probe in service["probes"] if probe["kind"] == "freeswitch")
    view = View(manifest)
    deadline = time.monotonic() + float(manifest["drain_timeout"])
    sip.ask_freeswitch(arguments, view, "fsctl pause inbound")
    while True:
        said = sip.ask_freeswitch(arguments, view, "show calls count")
        found = re.search(r"(\d+) total", said)
        calls = int(found[1]) if found else -1
        if calls == 0:
            return
        tell("services", f"draining: {calls if calls >= 0 else 'an unknown number of'} calls still run")
        if time.monotonic() > deadline:
            sip.ask_freeswitch(arguments, view, "fsctl resume inbound")
            raise ApplyError(
                f"{calls} calls still run after {manifest['drain_timeout']} s (webitel:drain_timeout); nothing was restarted, "
                "new calls are let in again: run `webitel up` again when fewer calls run", "freeswitch")
        time.sleep(PAUSE)
