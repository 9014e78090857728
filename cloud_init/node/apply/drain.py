"""Taking a FreeSWITCH out of service without hanging up a call, and letting calls in again."""

import re
import time
from dataclasses import dataclass, field

from ..ask import consul, sip
from ..ask.view import View
from ..manifest import Manifest, ProbeEntry
from ..system import ApplyError, Tell

PAUSE_SECONDS = 2.0
LEG = re.compile(r"^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}),", re.MULTILINE)
TOTAL = re.compile(r"^(\d+) total\.", re.MULTILINE)


def drain(manifest: Manifest, tell: Tell) -> None:
    """Take no new calls and wait until none is left; at the end FreeSWITCH is paused in both directions.

    New calls from outside are refused with 503 at once: the dispatcher has them answered elsewhere. What Webitel itself
    begins goes on at first, because the agent's leg of a running call is such a call; when all calls of before have ended,
    Consul is told that this FreeSWITCH is out of service, and diallers and desktops choose another one. Their running calls
    can still get an agent. Not sooner: calls of what Consul does not show can be neither held nor transferred nor queued.
    At most `drain_timeout` seconds; then calls are taken again and the change is abandoned.
    """
    switch = Switch(manifest)
    deadline = time.monotonic() + float(manifest["drain_timeout"])
    try:
        switch.ask("fsctl pause inbound")
        while not is_empty(switch):
            tell("services", switch.describe())
            if time.monotonic() > deadline:
                calls = switch.count_calls()
                raise ApplyError(
                    f"{calls} calls are still in progress after {manifest['drain_timeout']} s (webitel:drain_timeout); "
                    "nothing was restarted and new calls are taken again: run `./webitel up` again when there are fewer calls",
                    "freeswitch",
                )
            time.sleep(PAUSE_SECONDS)
    except BaseException:
        admit(manifest)
        raise


def admit(manifest: Manifest) -> None:
    """Take calls again; a FreeSWITCH that was restarted meanwhile is not paused, one that is down is left alone."""
    switch = Switch(manifest)
    switch.tell_consul(False)
    try:
        switch.ask("fsctl resume")
    except OSError:
        return


def is_empty(switch: "Switch") -> bool:
    """Tell whether the last leg is gone and no new one can begin; takes FreeSWITCH out of Consul when it is time for that."""
    legs = switch.list_legs()
    if legs is None:
        return False
    if switch.elder is None:
        switch.elder = legs
    if not legs:
        # What Webitel starts between this answer and the restart is refused, not cut off.
        switch.ask("fsctl pause")
        if switch.list_legs() == set():
            return True
        switch.ask("fsctl resume outbound")
    elif not legs & switch.elder and not switch.is_out:
        switch.tell_consul(True)
    return False


@dataclass
class Switch:
    """This node's FreeSWITCH. `elder` are the earlier legs, `is_out` says that Consul shows it as out of service."""

    manifest: Manifest
    elder: set[str] | None = None
    is_out: bool = False
    probes: dict[str, ProbeEntry] = field(init=False)

    def __post_init__(self) -> None:
        services = self.manifest["services"]
        own = next(service for service in services if any(probe["kind"] == "freeswitch" for probe in service["probes"]))
        self.probes = {probe["kind"]: probe for probe in own["probes"]}

    def ask(self, command: str) -> str:
        """Return what the event socket answers."""
        return sip.ask_freeswitch(self.probes["freeswitch"], View(self.manifest), command)

    def list_legs(self) -> set[str] | None:
        """List every leg; None where the answer is not understood."""
        said = self.ask("show channels")
        found = set(LEG.findall(said))
        total = TOTAL.search(said)
        return found if total and int(total[1]) == len(found) else None

    def count_calls(self) -> str:
        """Say how many calls are in progress, in words."""
        found = TOTAL.search(self.ask("show calls count"))
        return found[1] if found else "an unknown number of"

    def describe(self) -> str:
        """Return the line of progress."""
        more = "; this node gets no new ones" if self.is_out else ""
        return f"draining: {self.count_calls()} calls still in progress{more}"

    def tell_consul(self, out: bool) -> None:
        """Take FreeSWITCH out of service or back; an agent that does not answer is asked again in the next round."""
        path = f"/v1/agent/service/maintenance/{self.probes['consul_entry']['id']}"
        try:
            consul.call("PUT", f"{path}?enable=true&reason=draining" if out else f"{path}?enable=false", "")
        except consul.ConsulError:
            return
        self.is_out = out
