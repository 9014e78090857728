"""What is peculiar to a package; the others are programs of their services, follow the usual numbering and are Debian's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Package:
    """One package. `is_tool`: it stands beside a service's program, so a new version counts when something of it is used next,
    without a restart. `series_parts`: leading numbers of its version that a patch keeps (25.08 of 25.08.3-1, 1.10 of 1.10.12).
    `at_boot`: it can be installed before the node has its configuration, from a repository that asks for no log-in.
    `renews_itself`: no call, log-in or message waits for it, so security updates renew it without being asked.
    `parts`: how the names of other packages begin that its program consists of: they stay as they are as long as it does.
    """

    name: str
    is_tool: bool = False
    series_parts: int = 2
    at_boot: bool = True
    renews_itself: bool = False
    parts: tuple[str, ...] = ()


UPDATERS = ("unattended-upgrades",)
"""What renews the packages that renew themselves."""

_tools = (
    "freeswitch-music-default",
    "glusterfs-client",
    "nfs-common",
    "python3-consul",
    "python3-psycopg2",
    "webitel-common",
    "wireguard-tools",
)

PECULIAR: Mapping[str, Package] = {
    package.name: package
    for package in (
        *(Package(name, is_tool=True) for name in _tools),
        # PostgreSQL's versioning policy: 15.14 is a minor release of 15.
        Package("postgresql-15", series_parts=1, parts=("postgresql-15-", "postgresql-common", "postgresql-client-common")),
        Package("postgresql-client-15", is_tool=True, series_parts=1),
        Package("timescaledb-2-postgresql-15", is_tool=True, at_boot=False),
        Package("webitel-postgresql-15", is_tool=True, at_boot=False),
        # The virtual machine that the broker runs in, a package a library.
        Package("rabbitmq-server", parts=("erlang-",)),
        Package("nginx", parts=("nginx-", "libnginx-mod-")),
        Package("opensips", parts=("opensips-",)),
        Package("rtpengine-daemon", parts=("rtpengine-", "ngcp-rtpengine-")),
        Package("redis-server", parts=("redis-tools",)),
        Package("freeswitch", parts=("freeswitch-", "libfreeswitch")),
        # Their restart ends nothing: sessions, bans and the clock go on.
        *(Package(name, renews_itself=True) for name in ("chrony", "fail2ban", "openssh-server")),
        *(Package(name, is_tool=True, renews_itself=True) for name in ("curl", "python3-systemd", *UPDATERS)),
    )
}
"""The packages that differ from the others."""


def is_part(name: str, packages: Collection[str]) -> bool:
    """Tell whether a package is one of those that these consist of."""
    return name not in packages and any(name.startswith(find_package(package).parts) for package in packages)


@cache
def find_package(name: str) -> Package:
    """Return what is known of a package."""
    return PECULIAR.get(name) or Package(name)
