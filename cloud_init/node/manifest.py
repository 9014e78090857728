"""The wall between the host and a node: everything that a node is given, as types, and where it keeps it.

`cloud_init/manifest.py` makes a `Manifest`, the provider sends it in a `Configuration`, and this program reads it; `report.py`
has what it answers. A node runs a program of one version and, until its next
`up`, a manifest of the same one; the watcher and the keeper of locks read the next one with the old program for a moment. So a
key may be added to a required one, and a key that is no longer read may go, but no key changes its meaning.
"""

import json
import pathlib
from typing import NotRequired, TypedDict

MANIFEST = pathlib.Path("/etc/webitel/node.json")
PROBE_SECRETS = pathlib.Path("/etc/webitel/probe.json")
LOCK = pathlib.Path("/run/webitel/apply.lock")
PROGRAM = pathlib.Path("/usr/lib/webitel/node")
CERTIFICATE = "/etc/ssl/private/webitel.pem"
"""What nginx and OpenSIPS show, with its key."""
BUNDLES = pathlib.Path("/usr/share/webitel/bundles")

BASE = ("ssh", "nftables", "chrony")
"""Services that run from boot for as long as the machine does."""


class DiskEntry(TypedDict):
    """A data disk."""

    purpose: str
    mount: str
    size_gib: int


class DirectoryEntry(TypedDict):
    """A directory on the data disk of that purpose, or on the share."""

    path: str
    owner: str
    mode: str
    disk: str
    changed_owner: NotRequired[bool]


class ShareEntry(TypedDict):
    """The share, where it is mounted and by which unit of systemd's."""

    source: str
    mount: str
    unit: str


class MemberEntry(TypedDict):
    """A member of a cluster."""

    key: str
    name: str
    address: str


class PeerEntry(TypedDict):
    """Another node of the mesh, and its public key."""

    key: str
    address: str
    public: str


class ApartEntry(TypedDict):
    """What goes past the mesh: one port, or a range such as `10000-19999`."""

    protocol: str
    ports: str


class MeshEntry(TypedDict):
    """WireGuard among the nodes. `sends`: packets for the others go through it; where not, only what comes by it is taken."""

    port: int
    sends: bool
    peers: list[PeerEntry]
    apart: list[ApartEntry]


class CandidateEntry(TypedDict):
    """A node that may run a service that moves."""

    key: str
    address: str
    leaving: NotRequired[bool]


class UnitEntry(TypedDict):
    """A unit, without `.service`: what it waits for, the mounts it needs, and what stands in its drop-in.
    `speaks_outside`: it does not run while the deployment is quiet (`quiet.py`)."""

    name: str
    service: str
    mounts: list[str]
    waits: list[str]
    unit_lines: list[str]
    service_lines: list[str]
    oneshot: bool
    moves: NotRequired[bool]
    speaks_outside: NotRequired[bool]


class ProbeEntry(TypedDict):
    """A question of the health check; `says` is what a failure means, the other keys are parameters of its kind."""

    kind: str
    says: str
    restart_cures: NotRequired[bool]
    address: NotRequired[str]
    port: NotRequired[int]
    protocol: NotRequired[str]
    # consul_entry; `ttl` and `deregister`, in seconds, of an entry that its program never makes again
    name: NotRequired[str]
    id: NotRequired[str]
    ttl: NotRequired[int]
    deregister: NotRequired[int]
    # database_sessions, schema
    application: NotRequired[str]
    minimum: NotRequired[int]
    unit: NotRequired[str]
    # queue, binding, own_queues
    queue: NotRequired[str]
    source: NotRequired[str]
    destination: NotRequired[str]
    key: NotRequired[str]
    type: NotRequired[str]
    to: NotRequired[str]
    exchange: NotRequired[str]
    least: NotRequired[int]
    most: NotRequired[int]
    # http, https, disk_space
    path: NotRequired[str]
    status: NotRequired[int]
    not_status: NotRequired[int]
    contains: NotRequired[str]
    percent: NotRequired[int]
    # sip
    method: NotRequired[str]
    accept: NotRequired[str]
    credentials: NotRequired[str]


class ServiceEntry(TypedDict):
    """A service with its units and its questions; `candidates` where it moves, `lock` where by another service's,
    `hands_over_first` where another node has it before it restarts for a change."""

    name: str
    title: str
    units: list[str]
    probes: list[ProbeEntry]
    restarts_when_deaf: bool
    calls_freeswitch: NotRequired[bool]
    candidates: NotRequired[list[CandidateEntry]]
    lock: NotRequired[str]
    hands_over_first: NotRequired[bool]


class VersionEntry(TypedDict):
    """A package's version, what another one does to which unit; `lower` where the new one may be the lower one, `part` where the
    package is changed but never installed for this."""

    version: str
    actions: list[str]
    lower: NotRequired[bool]
    part: NotRequired[bool]


class PortsEntry(TypedDict):
    """Listeners of the catalogue that this program itself asks, `<service>_<listener>`."""

    consul_http: int
    haproxy_sql: int
    haproxy_amqp: int
    haproxy_management: int
    postgresql_sql: int
    postgresql_rest: int
    rabbitmq_amqp: int
    rabbitmq_management: int
    nginx_https: int
    rtpengine_cli: int
    redis_calls: int


class OrderEntry(TypedDict):
    """The public certificate that this node shows: its names, the issuer's ACME directory and whom that writes to; `actions`
    are what a new one does to services."""

    names: list[str]
    server: str
    email: str
    actions: list[str]


class BackupEntry(TypedDict):
    """How the database is backed up: the deployment, where the bucket answers, when by the clock, after how many days a full one
    is due, and after how many all that is there is read and compared (0 = never)."""

    stack: str
    host: str
    port: int
    at: str
    full_days: int
    verify_days: NotRequired[int]


class FilesEntry(TypedDict):
    """The files that are copied to the bucket: where it answers, their folder, the unit that writes them, and for how many days
    they are kept there (0 = for ever)."""

    host: str
    port: int
    folder: str
    unit: str
    days: int


class MoveEntry(TypedDict):
    """How the cloud moves the address of SIP: the cloud's way, the public address that goes with it, and what the cloud knows
    that by (AWS: an allocation's id; Google: the paths of the rules that forward it; Hetzner: a floating address' id). `beside`:
    this node's own address on the interface where the public one has to be, where no cloud translates it."""

    by: str
    public: str
    handle: str
    beside: NotRequired[str]


class Manifest(TypedDict):
    """What the program knows of its node. Texts hold placeholders until the node fills them."""

    node: str
    key: str
    id: int
    stack: str
    address: str
    packages: list[str]
    install_units: list[str]
    versions: dict[str, VersionEntry]
    disks: list[DiskEntry]
    directories: list[DirectoryEntry]
    units: list[UnitEntry]
    services: list[ServiceEntry]
    clusters: dict[str, list[MemberEntry]]
    ports: PortsEntry
    bundle_actions: dict[str, list[str]]
    probe_secrets: list[str]
    drain_timeout: int
    share: NotRequired[ShareEntry]
    mesh: NotRequired[MeshEntry]
    sip_address: NotRequired[str]
    address_move: NotRequired[MoveEntry]
    emergency_numbers: NotRequired[list[str]]
    time_zone: NotRequired[str]
    parts: NotRequired[list[str]]
    renewed: NotRequired[list[str]]
    leaving: NotRequired[bool]
    largest_packet: NotRequired[int]
    order: NotRequired[OrderEntry]
    operators: NotRequired[list[str]]
    users: NotRequired[dict[str, int]]
    backup: NotRequired[BackupEntry]
    backup_files: NotRequired[FilesEntry]
    given: NotRequired[bool]


class FileEntry(TypedDict):
    """How a file is written and what its change does; `check` is a command with `{path}` that validates it first. What is a
    `seed` is written where there is none: the node itself goes on from there."""

    mode: str
    owner: str
    actions: list[str]
    check: NotRequired[str]
    seed: NotRequired[bool]


class Login(TypedDict):
    """Who the deployment logs in as, and type and text of its public key."""

    user: str
    key: str


class Configuration(TypedDict):
    """The document `configuration.json` that the provider sends; `disruptive`: nothing waits for calls."""

    files: dict[str, str]
    attributes: dict[str, FileEntry]
    manifest: Manifest
    bundles: dict[str, str]
    devices: dict[str, str]
    login: Login
    disruptive: NotRequired[bool]


def empty_manifest() -> Manifest:
    """Return what a node knows of itself before its first configuration."""
    return {
        "node": "",
        "key": "",
        "id": 0,
        "stack": "",
        "address": "",
        "packages": [],
        "install_units": [],
        "versions": {},
        "disks": [],
        "directories": [],
        "units": [],
        "services": [],
        "clusters": {},
        "bundle_actions": {},
        "probe_secrets": [],
        "drain_timeout": 0,
        "ports": {
            "consul_http": 0,
            "haproxy_sql": 0,
            "haproxy_amqp": 0,
            "haproxy_management": 0,
            "postgresql_sql": 0,
            "postgresql_rest": 0,
            "rabbitmq_amqp": 0,
            "rabbitmq_management": 0,
            "nginx_https": 0,
            "rtpengine_cli": 0,
            "redis_calls": 0,
        },
    }


def load_manifest() -> Manifest:
    """Read the node's manifest; return an empty one before the first configuration."""
    if not MANIFEST.exists():
        return empty_manifest()
    manifest: Manifest = json.loads(MANIFEST.read_text())
    return manifest
