"""The place on a hypervisor where machines are made: `webitel:site`. Where machines are of a cloud, there is nothing to say."""

from __future__ import annotations

from ipaddress import IPv4Address

from pydantic import BaseModel, ConfigDict, Field

EVERYWHERE = ("network", "gateway", "name_servers", "store", "data_store", "public_addresses")
"""Parts that are of use on every hypervisor; of the others a cloud's facts name those that it has."""


class Site(BaseModel):
    """Stores, network and hosts of a hypervisor, by the names that its owner gave them."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    pool: str = Field(
        default="", description="The pool that nodes stand in, on xen; empty = the names below are unique.", examples=["office"]
    )
    network: str = Field(
        default="",
        description="The bridge or virtual network that nodes stand in; empty = the hypervisor's usual one.",
        examples=["vmbr0"],
    )
    datacenter: str = Field(default="", description="Datacenter of vCenter; empty = `Datacenter`.", examples=["Frankfurt"])
    folder: str = Field(
        default="",
        description="Folder of vCenter for the machines, which has to be there; empty = the datacenter's own.",
        examples=["telephony/webitel"],
    )
    drs: bool = Field(
        default=True,
        description="Whether clusters of vCenter have DRS, whose rules keep members of a role on different hosts.",
    )
    core_mhz: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="MHz of a core of the hosts (vSphere), with which nodes with SIP or media get all of their CPU reserved, and "
        "latency sensitivity `high`; 0 = a higher share only.",
        examples=[2600],
    )
    vlan: int = Field(default=0, ge=0, le=4094, description="VLAN of the nodes on that bridge; 0 = none.", examples=[20])
    gateway: IPv4Address | None = Field(
        default=None, description="Router of `webitel:network`; empty = its first address.", examples=["10.20.0.1"]
    )
    name_servers: tuple[IPv4Address, ...] = Field(
        default=(), description="Name servers of the nodes; empty = the gateway.", examples=[["10.20.0.1"]]
    )
    store: str = Field(
        default="", description="Where boot disks are; empty = the hypervisor's usual store.", examples=["local-lvm"]
    )
    data_store: str = Field(default="", description="Where data disks are; empty = as boot disks.", examples=["ceph"])
    files_store: str = Field(
        default="",
        description="Where images and first files of machines are, on proxmox with content types import and snippets; empty = "
        "the hypervisor's usual store.",
        examples=["local"],
    )
    hosts: dict[str, str] = Field(
        default={},
        description="Endpoint by host of `webitel:zones`, on libvirt; one host may be without, the one at `libvirt:uri`.",
        examples=[{"kvm-1": "qemu+ssh://root@kvm-1/system"}],
    )
    public_addresses: dict[str, IPv4Address] = Field(
        default={},
        description="Public address by node that your router translates to its private one, 1:1; empty = nodes are reached by "
        "their private addresses.",
        examples=[{"edge-1": "203.0.113.5"}],
    )
    image_checksum: str = Field(
        default="",
        pattern=r"^([0-9a-f]{64}|[0-9a-f]{128})?$",
        description="SHA-256 or SHA-512 of `webitel:image` where that is a URL.",
        examples=["0" * 128],
    )
    first_id: int = Field(
        default=0,
        ge=0,
        le=999_990_000,
        description="First number of machines on proxmox, which has to have the next 10,000 free; 0 = made of the stack's name.",
        examples=[20000],
    )
    cpu: str = Field(
        default="",
        description="CPU that machines see; empty = that of their host, with which none moves to a host of another kind.",
        examples=["x86-64-v3"],
    )
