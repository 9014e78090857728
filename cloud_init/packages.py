"""Which packages a node installs, from which repositories, and what they must not start by themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloud_init.node.manifest import BASE
from cloud_init.versions import main_units
from components.model.acme import CLIENT, SHOWN, read_order
from components.model.catalogue.node import CONSUL_SOURCES
from components.model.catalogue.packages import UPDATERS, find_package
from components.model.catalogue.repositories import Repository, needed_repositories
from components.model.catalogue.service import PackageSource, Service
from components.model.settings import Settings
from components.model.share import Share

PACKAGED_UNITS = {
    "rabbitmq-server": ("epmd.socket", "epmd.service"),
    "nginx": ("nginx",),
    "pgbackrest": ("pgbackrest",),
    "unattended-upgrades": ("unattended-upgrades",),
}
"""By package, the units that it enables beside the services' own: epmd would listen on every address, and so would the site of
Debian's nginx where only its program is wanted. The unit of unattended-upgrades is not what updates: it waits for a shutdown, in
20 MB of memory."""

SANDBOX_PACKAGES = ("python3-psycopg2", "python3-pika")
"""Debian's packages that the sandbox's stand-ins run on."""


@dataclass(frozen=True)
class Packages:
    """The packages of a node with these services."""

    source: PackageSource
    services: Sequence[Service]
    settings: Settings
    share: Share | None

    def list_at_boot(self) -> list[str]:
        """List the packages that Debian (with the suites of `as_json`) has and that need no credential."""
        names = [
            package
            for service in self.services
            if not service.stand_in
            for package in service.packages_from(self.source)
            if find_package(package).at_boot
        ]
        names += self.share.facts.packages if self.share else ()
        if read_order(self.settings) and any(SHOWN in service.secrets for service in self.services):
            names.append(CLIENT)
        names += UPDATERS if self.settings.update_window != "off" else ()
        if self.source == PackageSource.SANDBOX and any(service.stand_in for service in self.services):
            names += SANDBOX_PACKAGES
        return sorted(set(names))

    def list_later(self) -> list[str]:
        """List the packages from the vendor, the mirror or the sandbox, which are installed with the configuration."""
        names = {package for service in self.services for package in service.packages_from(self.source)}
        return sorted(names - set(self.list_at_boot()))

    def list_parts(self) -> list[str]:
        """List how the names of packages begin that these packages consist of."""
        return sorted({part for name in (*self.list_at_boot(), *self.list_later()) for part in find_package(name).parts})

    def list_renewed(self) -> list[str]:
        """List the packages that security updates renew without being asked."""
        if self.settings.update_window == "off":
            return []
        own = (*self.list_at_boot(), *self.list_later())
        return sorted(name for name in own if find_package(name).renews_itself and name not in self.settings.package_versions)

    def list_kept_patterns(self) -> list[str]:
        """List regular expressions of the names of packages that unattended-upgrades leaves alone."""
        renewed = self.list_renewed()
        parts = self.list_parts()
        own = (*self.list_at_boot(), *self.list_later())
        kept = sorted(name for name in own if name not in renewed and not name.startswith(tuple(parts)))
        # They are matched from the beginning of a name.
        return [f"{escape(name)}$" for name in kept] + [escape(part) for part in parts]

    def list_units(self) -> list[str]:
        """List the units that installing would enable, and that must not start before their configuration."""
        units = {unit for service in self.services if service.name not in BASE for unit in main_units(service, self.source)}
        units |= {unit for package in self.list_at_boot() for unit in PACKAGED_UNITS.get(package, ())}
        return sorted(units)

    def as_json(self, with_credentials: bool = False) -> str:
        """Return what `install.py` reads; user data gets the repositories that need no credential."""
        return json.dumps(
            {
                "suites": {"bullseye": ["consul"]} if CONSUL_SOURCES[self.source] == "bullseye" else {},
                "repositories": [entry.as_source() for entry in self.list_repositories() if with_credentials or not entry.login],
                "packages": self.list_at_boot(),
                "units": self.list_units(),
            },
            sort_keys=True,
        )

    def list_repositories(self) -> tuple[Repository, ...]:
        """List the repositories outside Debian that the packages come from."""
        return needed_repositories(self.source, self.services, self.settings.repository_keys, self.settings.mirror)

    def format_logins(self, credentials: Mapping[str, str]) -> str:
        """Return the lines of apt's `auth.conf.d` for repositories that require a log-in, with these credentials."""
        return "".join(f"{entry.login.format(**credentials)}\n" for entry in self.list_repositories() if entry.login)


def escape(name: str) -> str:
    """Return a regular expression for this name of a package."""
    return re.sub(r"[.+]", r"\\\g<0>", name)
