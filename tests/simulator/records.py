"""What every cloud's DNS refuses in a record set (`facts/clouds.md` 0)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address

from tests.simulator.world import Refused

SRV = re.compile(r"(\d{1,5}) (\d{1,5}) (\d{1,5}) (\S+\.)")


def check_record(name: str, zone: str, type: str, values: Sequence[str]) -> None:
    """Refuses a name outside the zone, a set without values and values that are none of the type; names are whole and
    without the final dot."""
    if name != zone and not name.endswith(f".{zone}"):
        raise Refused(f"record {name} is not in zone {zone}")
    if not values:
        raise Refused(f"record {name} {type} has no value")
    for value in values:
        if type == "A":
            try:
                IPv4Address(value)
            except AddressValueError as error:
                raise Refused(f"record {name} A: {value} is no IPv4 address") from error
        if type == "SRV" and not SRV.fullmatch(value):
            raise Refused(f"record {name} SRV: {value} is not `priority weight port target.`")
