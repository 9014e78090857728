"""Tiers: presets of roles, counts and sizes. A role is a set of services; a tier lists its roles in rollout order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from components.model.machine import Public, Size

WEBITEL_SERVICES = (
    "webitel-app",
    "webitel-api",
    "messages-srv",
    "messages-bot",
    "engine",
    "call_center",
    "logger",
    "cases",
)
"""The Webitel services without a place of their own (uac, Storage and Flow Manager have one)."""

MEDIA = ("freeswitch", "flow_manager")
SIP = ("sip-address", "opensips", "rtpengine", "redis", "webitel-uac", "sip-websocket")
WEB = ("nginx", "webitel-web")
REPORTS = ("grafana", "blackbox-exporter", "alertmanager", "prometheus")
GUARD = ("fail2ban",)
"""Where the internet comes in."""


@dataclass(frozen=True)
class Disks:
    """Data disks of a role in GiB; 0 = none."""

    database: int = 0
    recordings: int = 0


@dataclass(frozen=True)
class Role:
    """What a node is for. `trial` is the size where machines are containers on one host."""

    name: str
    services: tuple[str, ...]
    count: int
    size: Size
    trial: Size
    public: Public = Public.NO
    disks: Disks = Disks()
    trial_disks: Disks = Disks()


@dataclass(frozen=True)
class Tier:
    """A preset. `calls_per_day` is the vendor's figure (`facts/webitel.md` 5)."""

    name: str
    title: str
    calls_per_day: int
    roles: tuple[Role, ...]

    def role(self, name: str) -> Role:
        """Return the role of that name; a KeyError names the ones there are."""
        for role in self.roles:
            if role.name == name:
                return role
        raise KeyError(f"tier {self.name} has no role {name}: {', '.join(role.name for role in self.roles)}")


def is_voice(role: Role) -> bool:
    """Return whether a role handles SIP or media."""
    return not set(role.services).isdisjoint((*MEDIA, *SIP))


OURS = "ours"
VENDOR = "vendor"


def trial(memory_gib: float) -> Size:
    """Return a container's limits: both cores of a small host, shared by all nodes."""
    return Size(vcpus=2, memory_gib=memory_gib, boot_gib=10, iops=0, source=OURS)


_single = Tier(
    "single",
    "Single server",
    50_000,
    (
        Role(
            "all",
            ("postgresql", "rabbitmq", "consul-server", *REPORTS, *SIP, *GUARD, *MEDIA, "storage", *WEBITEL_SERVICES, *WEB),
            1,
            Size(8, 16, 60, 2000, OURS),
            trial(4),
            Public.SERVICE,
            Disks(100, 200),
            Disks(5, 5),
        ),
    ),
)

_basic = Tier(
    "basic",
    "Basic",
    400_000,
    (
        Role(
            "data",
            ("postgresql", "rabbitmq", "consul-server", *REPORTS, "storage"),
            1,
            Size(8, 32, 40, 3000, OURS),
            trial(2),
            disks=Disks(200, 500),
            trial_disks=Disks(5, 5),
        ),
        Role("app", (*MEDIA, *WEBITEL_SERVICES), 1, Size(8, 16, 80, 1000, OURS), trial(2)),
        Role("edge", (*SIP, *GUARD, *WEB), 1, Size(4, 8, 60, 1000, VENDOR), trial(1.5), Public.SERVICE),
    ),
)

_extended = Tier(
    "extended",
    "Extended",
    1_000_000,
    (
        Role(
            "db",
            ("postgresql", "consul-server", *REPORTS),
            1,
            Size(8, 32, 40, 3000, "vendor (vCPU), ours (memory)"),
            trial(1.5),
            disks=Disks(database=500),
            trial_disks=Disks(database=5),
        ),
        Role("bus", ("rabbitmq", "consul-server"), 1, Size(4, 8, 60, 2000, OURS), trial(1.5)),
        Role(
            "storage",
            ("storage", "consul-server"),
            1,
            Size(4, 8, 40, 1000, OURS),
            trial(1),
            disks=Disks(recordings=1000),
            trial_disks=Disks(recordings=5),
        ),
        Role("media", MEDIA, 2, Size(8, 16, 60, 1000, OURS), trial(1.5)),
        Role("web", (*GUARD, *WEBITEL_SERVICES, *WEB), 1, Size(4, 8, 80, 2000, VENDOR), trial(1.5), Public.SERVICE),
        Role("sip", (*SIP, *GUARD), 1, Size(4, 8, 60, 1000, OURS), trial(1), Public.SERVICE),
    ),
)

TIERS: Mapping[str, Tier] = {tier.name: tier for tier in (_single, _basic, _extended)}
