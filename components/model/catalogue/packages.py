"""What is peculiar to a package; the others are programs of their services, follow the usual numbering and are Debian's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """One package. `is_tool`: it stands beside a service's program, so a new version counts when something of it is used next,
    without a restart. `series_parts`: leading numbers of its version that a patch keeps (25.08 of 25.08.3-1, 1.10 of 1.10.12).
    `at_boot`: it can be installed before the node has its configuration, from a repository that asks for no log-in.
    """

    name: str
    is_tool: bool = False
    series_parts: int = 2
    at_boot: bool = True


_tools = (
    "curl",
    "freeswitch-music-default",
    "glusterfs-client",
    "nfs-common",
    "python3-consul",
    "python3-psycopg2",
    "python3-systemd",
    "webitel-common",
)

PECULIAR: Mapping[str, Package] = {
    package.name: package
    for package in (
        *(Package(name, is_tool=True) for name in _tools),
        # PostgreSQL's versioning policy: 15.14 is a minor release of 15.
        Package("postgresql-15", series_parts=1),
        Package("postgresql-client-15", is_tool=True, series_parts=1),
        Package("timescaledb-2-postgresql-15", is_tool=True, at_boot=False),
        Package("webitel-postgresql-15", is_tool=True, at_boot=False),
    )
}
"""The packages that differ from the others."""


def find_package(name: str) -> Package:
    """Return what is known of a package."""
    return PECULIAR.get(name) or Package(name)
