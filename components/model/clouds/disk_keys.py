"""Keys of one's own for the disks of a cloud."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class DiskKeys:
    """How the cloud names a key: a regular expression whose group `region` is where it lies, and an example for `{region}`.

    `anywhere` are the regions whose keys every other one takes."""

    shape: str
    example: str
    anywhere: tuple[str, ...] = ()

    def explain(self, key: str, region: str) -> str:
        """Return what is wrong with a key for disks in a region, and a correct example; "" = nothing."""
        found = re.fullmatch(self.shape, key)
        use = f"use one such as {self.example.format(region=region)}"
        if not found:
            return f"not a key; {use}"
        place = found.groupdict().get("region") or region
        return "" if place in (region, *self.anywhere) else f"its region is {place}, the disks are in {region}; {use}"
