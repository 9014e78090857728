"""A host that is given: somebody else made it, and a deployment of ours is put on it."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ACCEPT = "accept"
"""What stands in the place of a host key that is taken at the first contact, whichever it is, and checked ever after."""


class Host(BaseModel):
    """A host with Debian 12, and what its owner says about it."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    address: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?$")] = Field(
        description="Where its SSH answers: an IPv4 address or a name, with :port where that is not 22."
    )
    role: str = Field(description="What it is for: a role of the tier. The first host of a role is its first node, and so on.")
    private_address: IPv4Address | None = Field(
        None, description="Its address among the hosts; empty = `address`. The host has it already, and keeps it."
    )
    public_address: IPv4Address | None = Field(
        None, description="The address by which browsers, phones and carriers reach it; empty = `address`."
    )
    translated: bool = Field(
        False, description="A router translates `public_address` 1:1 to `private_address`; else the host has both itself."
    )
    host_key: str = Field(
        "",
        description="Its SSH host key, as /etc/ssh/ssh_host_ed25519_key.pub has it; accept = take the one that answers at the "
        "first contact.",
    )
    devices: dict[Literal["database", "recordings"], str] = Field(
        {},
        description="Where its data go, by purpose: an empty disk or partition such as /dev/disk/by-id/..., or a directory, "
        "which shares the fate of the disk that it is on.",
    )
    accepts: tuple[str, ...] = Field(
        (),
        description="Checks of `hosts check` that refuse this host and that you take upon yourself, such as memory or "
        "other programs; never those of data disks and of another deployment's node.",
    )

    @property
    def host(self) -> str:
        """The address without its port."""
        return self.address.partition(":")[0]

    @property
    def private(self) -> str:
        """Its address among the hosts, as far as that is said: a name of a host is none."""
        return str(self.private_address or self.host)

    @property
    def public(self) -> str:
        """The address by which it is reached from outside, where it is."""
        return str(self.public_address or self.host)


def read_address(text: str) -> IPv4Address | None:
    """Read an address; None where it is a name."""
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None
