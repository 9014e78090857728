"""The wall between this machine and a given host: what the program there is asked, and the facts that it prints as JSON.

Dataclasses, not typed dictionaries: whoever reads them checks them by the same types (`cli/hosts/ask.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """What to look at. `address` is the host's private one, `peers` those of the others, `devices` disks or directories by
    purpose, `urls` what it installs from, `packages` patterns of names. `measure`: load it for a few seconds. `shared` is the
    address that it has in turn with the hosts `turns`, "" = none."""

    stack: str
    address: str
    peers: tuple[str, ...] = ()
    devices: dict[str, str] = field(default_factory=dict)
    urls: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    measure: bool = False
    shared: str = ""
    turns: tuple[str, ...] = ()


@dataclass(frozen=True)
class System:
    """`ours` is the node that it is already, `ours_stack` of which deployment; "" = none."""

    release: str
    architecture: str
    kernel: str
    headers: bool
    init: str
    systemd: int
    unified_cgroups: bool
    virtualisation: str
    container: bool
    root: bool
    sudo: bool
    python: str
    machine_id: str
    host_keys: tuple[str, ...]
    cloud_init: str
    ours: str
    ours_stack: str


@dataclass(frozen=True)
class Cpu:
    """`cores` are whole ones; `steal_percent` is what others took while every vCPU was busy, None where that was not tried."""

    vcpus: int
    cores: int
    numa_nodes: int
    mhz: float | None
    flags: tuple[str, ...]
    governor: str
    steal_percent: float | None


@dataclass(frozen=True)
class Memory:
    """Bytes; `huge_pages` is the choice of transparent ones, "" where the kernel has none."""

    total: int
    swap: int
    swap_used: int
    swappiness: int
    huge_pages: str


@dataclass(frozen=True)
class FileSystem:
    """What a directory stands on. Bytes."""

    path: str
    device: str
    kind: str
    size: int
    free: int
    noexec: bool


@dataclass(frozen=True)
class Device:
    """A disk or directory that the settings name. `kind` is `block`, `unreadable`, `directory`, `other` or `missing`; `holds` is
    everything that was found on it, `label` that of its file system; `on_root`: it shares the disk, or the file system, of /."""

    purpose: str
    path: str
    kind: str
    size: int
    free: int
    holds: tuple[str, ...]
    label: str
    mounted: str
    on_root: bool
    stable: bool


@dataclass(frozen=True)
class Sync:
    """How long a small write takes until it is on the disk; `slowest` is what one of a hundred exceeds. Milliseconds."""

    path: str
    device: str
    writes: int
    middle: float
    slowest: float


@dataclass(frozen=True)
class Nic:
    """The interface that has the private address; megabits a second, None where its driver does not say."""

    name: str
    driver: str
    mtu: int
    speed: int | None
    duplex: str
    queues: int
    received: int
    dropped: int
    virtual: bool


@dataclass(frozen=True)
class Listener:
    """Something that listens."""

    protocol: str
    address: str
    port: int
    process: str


@dataclass(frozen=True)
class Source:
    """An apt source as apt has read it."""

    uri: str
    suite: str
    origin: str
    codename: str
    priority: int


@dataclass(frozen=True)
class Software:
    """`packages` of the patterns asked for, with their state; `left` are those of them that a deployment left here; `firewalls`
    that are active, `tables` of nftables there are."""

    packages: dict[str, str]
    left: tuple[str, ...]
    sources: tuple[Source, ...]
    held: tuple[str, ...]
    pins: tuple[str, ...]
    broken: tuple[str, ...]
    firewalls: tuple[str, ...]
    tables: tuple[str, ...]
    app_armor: bool
    selinux: bool


@dataclass(frozen=True)
class Clock:
    """`daemons` that keep the time, `offset` in milliseconds as chrony knows it."""

    daemons: tuple[str, ...]
    synchronised: bool | None
    source: str
    offset: float | None
    zone: str


@dataclass(frozen=True)
class Names:
    """What names mean there; `servers` are the name servers."""

    host: str
    full: str
    localhost: tuple[str, ...]
    servers: tuple[str, ...]


@dataclass(frozen=True)
class Reached:
    """Whether something to install from answers; `problem` "" = it does."""

    url: str
    milliseconds: int
    problem: str


@dataclass(frozen=True)
class Peer:
    """Another host as this one sees it: round trips, and whether packets of the interface's whole size arrive."""

    address: str
    sent: int
    answered: int
    middle: float | None
    whole_packets: bool


@dataclass(frozen=True)
class SharedAddress:
    """An address that nodes have in turn: `network` is that of the host's own, `is_here` whether this host has it, `owner` the
    hardware address of another one that says to have it, "" = nobody, and `node` that one's address if it is one of them."""

    address: str
    network: str
    is_here: bool
    owner: str
    node: str


@dataclass(frozen=True)
class Network:
    """`connections` that the kernel may track, None where it tracks none. `shared` is None where it has none in turn."""

    nic: Nic | None
    listeners: tuple[Listener, ...]
    connections: int | None
    peers: tuple[Peer, ...]
    shared: SharedAddress | None = None


@dataclass(frozen=True)
class Storage:
    """`sync` is None where it was not tried."""

    systems: tuple[FileSystem, ...]
    devices: tuple[Device, ...]
    sync: Sync | None


@dataclass(frozen=True)
class Facts:
    """A host. A part that could not be looked at is None, and `problems` says why by its name."""

    system: System | None = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    storage: Storage | None = None
    network: Network | None = None
    software: Software | None = None
    clock: Clock | None = None
    names: Names | None = None
    reached: tuple[Reached, ...] | None = None
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """What came of the packets that one host sent another at an even rate. Milliseconds; `late` is the largest gap beyond the
    sender's own."""

    sent: int
    received: int
    jitter: float
    late: float
