"""The share: a network file system of the operator's that takes the place of the recordings disk (`webitel:recordings_share`).

All nodes of Storage's role have it mounted, so that Storage may move between them; one at a time runs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from ipaddress import AddressValueError, IPv4Address

from components.model.acme import add_account
from components.model.alerting import add_targets
from components.model.backup import add_backup
from components.model.catalogue.monitoring import OPTIONAL
from components.model.catalogue.service import Audience, Bind, DataDirectory, Egress, Placement, Ports, Service
from components.model.catalogue.services import CATALOGUE
from components.model.mesh import add_mesh
from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem
from components.model.settings import Settings
from components.model.standby import add_standby

RECORDINGS, SHARE = "recordings", "share"
"""Purposes of a place for data: the disk of one node, and what all candidates have mounted instead."""

BIND = "bind"
HOST_SOURCE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:/?[\w./-]+")
BIND_SOURCE = re.compile(r"/[\w.-]+(/[\w.-]+)*")
OPTIONS = re.compile(r"[\w.,:=/+-]*")
"""Nothing that systemd reads as a specifier, a quote or a second value."""


@dataclass(frozen=True)
class ShareType:
    """A way to mount: `file_system` for mount(8), `options` that it always has, Debian's packages that it needs, ports of its
    servers, the shape of a source and a correct one. `unwanted`: units that those packages bring and that must not run."""

    file_system: str
    source: re.Pattern[str]
    example: str
    options: str = "_netdev"
    packages: tuple[str, ...] = ()
    ports: tuple[Ports, ...] = ()
    unwanted: tuple[str, ...] = ()


SHARE_TYPES: Mapping[str, ShareType] = {
    "nfs4": ShareType(
        "nfs4",
        HOST_SOURCE,
        "files.your-company.com:/webitel",
        packages=("nfs-common",),
        ports=(Ports(2049, 2049),),
        unwanted=("rpcbind.service", "rpcbind.socket"),
    ),
    # Ports: glusterd.vol of Debian's glusterfs-server 10.3.
    "glusterfs": ShareType(
        "glusterfs",
        HOST_SOURCE,
        "files.your-company.com:/webitel",
        packages=("glusterfs-client",),
        ports=(Ports(24007, 24007), Ports(49152, 60999)),
    ),
    BIND: ShareType("none", BIND_SOURCE, "/srv/recordings", options="bind"),
}
DEFAULT_TYPE = "nfs4"


@dataclass(frozen=True)
class Share:
    """What to mount: `source` as mount(8) takes it, `options` of the operator's own."""

    source: str
    type: str
    options: str

    @property
    def facts(self) -> ShareType:
        """What its type needs; of an unknown one, which is refused elsewhere, the default's."""
        return SHARE_TYPES.get(self.type, SHARE_TYPES[DEFAULT_TYPE])

    @property
    def all_options(self) -> str:
        """The options for mount(8)."""
        return ",".join(filter(None, (self.facts.options, self.options)))

    @property
    def networks(self) -> tuple[str, ...]:
        """The server's network where its address is known; empty = by a name, which may lead anywhere."""
        try:
            return (f"{IPv4Address(self.source.partition(':')[0])}/32",)
        except AddressValueError:
            return ()


def read_share(settings: Settings) -> Share | None:
    """Return the share of the settings, None where there is none."""
    given = settings.recordings_share
    if not given:
        return None
    return Share(given.get("source", ""), given.get("type", DEFAULT_TYPE), given.get("options", ""))


def check_share(draft: Draft) -> Iterator[Problem]:
    """Find a share that cannot be mounted."""
    share = read_share(draft.settings)
    if share is None:
        return
    if share.type not in SHARE_TYPES:
        near = get_close_matches(share.type, SHARE_TYPES, 1)
        hint = f"did you mean {near[0]}?" if near else f"use {' or '.join(SHARE_TYPES)}"
        yield setting_problem("recordings_share.type", share.type, f"not a way to mount; {hint}")
    elif draft.facts.trial and share.type != BIND:
        yield setting_problem(
            "recordings_share.type",
            share.type,
            (f"a container cannot mount a network file system; mount it on this host, pass it to the containers and use {BIND}"),
        )
    if not share.facts.source.fullmatch(share.source):
        yield setting_problem(
            "recordings_share.source",
            share.source,
            (f"not something that {share.type} can mount; use one such as {share.facts.example}"),
        )
    if not OPTIONS.fullmatch(share.options):
        yield setting_problem(
            "recordings_share.options",
            share.options,
            ("not options of mount(8), which have no spaces between them, such as nfsvers=4.1,noresvport"),
        )


def resolve_catalogue(settings: Settings, catalogue: Mapping[str, Service] = CATALOGUE) -> Mapping[str, Service]:
    """Return the catalogue as these settings have it: with a share, what kept data on the recordings disk has it there and
    moves, and the proxy leads to where it runs; with a public certificate, what orders it; with backups, what makes them;
    with targets of alerts, the ways to them; with a second node for SIP, what moves to it; with a mesh, WireGuard; without
    monitoring, nothing of it."""
    catalogue = add_mesh(settings, add_standby(settings, catalogue))
    catalogue = leave_out(settings, add_targets(settings, add_backup(settings, add_account(settings, catalogue))))
    share = read_share(settings)
    if share is None:
        return catalogue
    shared = {
        name: put_on_share(service, share)
        for name, service in catalogue.items()
        if any(data.disk == RECORDINGS for data in service.data)
    }
    inner = [
        replace(listener, name=proxy_name(name, listener.name), audiences=(Audience.NODE,), bind=Bind.LOOPBACK)
        for name in shared
        for listener in shared[name].listeners
        if is_called_by_address(name, listener.name, catalogue)
    ]
    proxy = next(service for service in catalogue.values() if service.beside)
    return {**catalogue, **shared, proxy.name: replace(proxy, listeners=(*proxy.listeners, *inner))}


def leave_out(settings: Settings, catalogue: Mapping[str, Service]) -> Mapping[str, Service]:
    """Return the catalogue without what the settings turn off: nowhere, and no listener of others open for it."""
    if settings.monitoring:
        return catalogue
    off = {name: replace(catalogue[name], placement=Placement.NOWHERE, calls=()) for name in catalogue if name in OPTIONAL}
    return {**catalogue, **off}


def proxy_name(service: str, listener: str) -> str:
    """Return the name of the proxy's listener that leads to the one of a service that moves."""
    return f"{service}-{listener}"


def is_called_by_address(service: str, listener: str, catalogue: Mapping[str, Service]) -> bool:
    """Return whether a service that knows one address and no list calls a listener."""
    return any(caller.knows_one_address and f"{service}.{listener}" in caller.calls for caller in catalogue.values())


def put_on_share(service: Service, share: Share) -> Service:
    """Return a service with its data on the share, not the recordings disk. How full it is `status` says for the share itself."""
    return replace(
        service,
        moves=True,
        packages=(*service.packages, *share.facts.packages),
        data=tuple(move_directory(data) if data.disk == RECORDINGS else data for data in service.data),
        egress=(*service.egress, *(Egress("recordings", "tcp", ports, networks=share.networks) for ports in share.facts.ports)),
        probes=tuple(probe for probe in service.probes if probe.kind != "disk_space"),
    )


def move_directory(data: DataDirectory) -> DataDirectory:
    """Return the same directory on the share."""
    return replace(data, path=data.path.replace(f"/{RECORDINGS}/", f"/{SHARE}/", 1), disk=SHARE)
