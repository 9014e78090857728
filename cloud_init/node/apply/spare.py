"""Another node has the calls before something restarts here for a change.

`up` changes the node that stands by first and then has this one hand over (`cli/nodes/standby_first.py`). Whoever else brings a
change here, such as the engine by itself, or a run that goes on after one that was cut off, comes to this.
"""

from collections.abc import Collection

from ..clusters import locks, sip_address
from ..health import kept_calls
from ..manifest import Manifest
from ..system import ApplyError, Tell
from .units import list_resting

NEXT = "Once that is mended, run the same command again; --disruptive changes it where it is"


def hand_over_first(manifest: Manifest, actions: Collection[str], disruptive: bool, tell: Tell) -> None:
    """Have another node take over what these actions would restart here. Raises ApplyError where calls would suffer; with
    `disruptive` what cannot be handed over is restarted."""
    units = [unit for service in manifest["services"] if service.get("hands_over_first") for unit in service["units"]]
    wanted = [unit for unit in units if f"restart {unit}" in actions]
    if not wanted or len(list_resting(wanted)) == len(wanted):
        return
    try:
        hand_over(manifest, tell, only_spared=not disruptive)
    except ApplyError as error:
        if not disruptive:
            raise ApplyError(f"{' and '.join(wanted)} was left as it is: {error}. {NEXT}", error.unit) from error
        tell("services", f"not handed over: {error}")


def hand_over(manifest: Manifest, tell: Tell, *, only_spared: bool) -> None:
    """Have other nodes run what moves; whoever has it keeps it, and this node stands by. `only_spared`: only
    where all calls in progress go on. Raises ApplyError."""
    if only_spared and (why := describe_obstacle(manifest)):
        raise ApplyError(why, locks.UNIT)
    try:
        locks.hand_over(manifest, tell)
    finally:
        locks.take_again()


def describe_obstacle(manifest: Manifest) -> str:
    """Say which calls in progress would not go on elsewhere; "" = all would, or none is here."""
    address = manifest.get("sip_address")
    if not address or not sip_address.is_here(address):
        return ""
    return kept_calls.describe_obstacle(manifest) or sip_address.describe_missing_copy(manifest)
