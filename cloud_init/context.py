"""What templates may use: the plan, this node, and functions that derive everything else from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cloud_init.node.clusters.locks import LEASE_SECONDS, STOP_SECONDS
from cloud_init.node.health.topology import EXPECTED
from cloud_init.node.manifest import BASE
from cloud_init.versions import main_units
from components.model.calls import carrier_hosts, carrier_networks, resolve_call_limits
from components.model.catalogue.node import CONSUL_SOURCES
from components.model.catalogue.packages import find_package
from components.model.catalogue.repositories import CREDENTIALS, Repository, needed_repositories
from components.model.catalogue.service import Bind, PackageSource, Service
from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import CloudFacts, PublicAddress
from components.model.machine import Public
from components.model.naming import MOUNT_ROOT
from components.model.plan import Node, Plan
from components.model.planning.addresses import is_private, networks_given
from components.model.planning.firewall import NodeRule, node_egress, node_openings
from components.model.secret_specs import DEPLOYMENT_SECRETS, SECRETS
from components.model.settings import Settings
from components.model.share import SHARE, Share, proxy_name, read_share, resolve_catalogue

FILES = Path(__file__).parent / "files"

INSTALL_PROGRAM = Path(__file__).parent / "node" / "install.py"

PACKAGED_UNITS = {"rabbitmq-server": ("epmd.socket", "epmd.service"), "nginx": ("nginx",)}
"""By package the units that it enables beside the services' own: epmd would listen on every address, and so would the site of
Debian's nginx where only its program is wanted."""

SANDBOX_PACKAGES = ("python3-psycopg2", "python3-pika")
"""Debian's packages under the sandbox's stand-ins."""


def address_placeholder(key: str, kind: str = "private") -> str:
    """The placeholder of the address of the node with that key, `private` or `public`."""
    return "{{address:" + key + ("}}" if kind == "private" else f".{kind}}}}}")


class Context:
    """One node of a plan, as its templates see it."""

    def __init__(self, plan: Plan, node: Node, settings: Settings) -> None:
        self.plan, self.node, self.settings = plan, node, settings
        self.cloud: CloudFacts = plan.facts
        self.source = PackageSource(plan.package_source)
        self.catalogue = resolve_catalogue(settings)
        self.services = tuple(self.catalogue[name] for name in node.services)

    def secret(self, name: str) -> str:
        """The placeholder of a secret."""
        if name not in SECRETS and name not in CREDENTIALS:
            raise ValueError(f"no secret {name}: {', '.join(SECRETS)}")
        return "{{secret:" + name + "}}"

    def address(self, node: Node | None = None, kind: str = "private") -> str:
        """The placeholder of a node's address, `private` or `public`; of this node by default."""
        return address_placeholder((node or self.node).key, kind)

    def port(self, service: str, listener: str) -> int:
        """A listener's (first) port."""
        return self.catalogue[service].listener(listener).port

    def ports(self, service: str, listener: str) -> tuple[int, int]:
        """A listener's first and last port."""
        ports = self.catalogue[service].listener(listener).ports
        return ports.first, ports.last

    def bind(self, service: str, listener: str) -> str:
        """The address a listener binds on this node."""
        return {Bind.PRIVATE: self.address(), Bind.LOOPBACK: "127.0.0.1", Bind.ANY: "0.0.0.0"}[
            self.catalogue[service].listener(listener).bind
        ]

    def outside(self, service: str, listener: str) -> list[str]:
        """Where a listener for people outside binds: the private address, and the public one if the machine itself has it."""
        addresses = [self.bind(service, listener)]
        if self.node.public is Public.SERVICE and self.cloud.public_address is PublicAddress.OWN:
            addresses.append(self.address(kind="public"))
        return addresses

    def reach(self, service: str, listener: str) -> str:
        """`address:port` where this node reaches a listener: its own node's, else the first that has the service; HAProxy's
        where that moves."""
        target = self.catalogue[service].listener(listener)
        if (service, listener) in self.proxied:
            return f"{self.bind('haproxy', proxy_name(service, listener))}:{self.port('haproxy', proxy_name(service, listener))}"
        if target.bind == Bind.LOOPBACK or (service in self.node.services and target.bind == Bind.ANY):
            return f"127.0.0.1:{target.port}"
        nodes = self.plan.nodes_with(service)
        node = self.node if self.node in nodes else nodes[0]
        return f"{self.address(node)}:{target.port}"

    def nodes_with(self, service: str) -> tuple[Node, ...]:
        """The nodes that carry a service, the leaving ones too: a cluster's members."""
        return self.plan.nodes_with(service)

    def serving(self, service: str) -> tuple[Node, ...]:
        """The nodes that carry a service and are sent work: the leaving ones are not, unless it runs there until it has moved."""
        return self.plan.nodes_with(service) if self.catalogue[service].moves else self.plan.serving(service)

    @property
    def proxied(self) -> list[tuple[str, str]]:
        """The listeners of services that move to which HAProxy leads the callers of this node."""
        known = {listener.name for listener in self.catalogue["haproxy"].listeners}
        return [
            (service.name, listener.name)
            for service in self.catalogue.values()
            for listener in service.listeners
            if proxy_name(service.name, listener.name) in known
            and any(f"{service.name}.{listener.name}" in caller.calls for caller in self.services)
        ]

    def identity(self, service: Service) -> int:
        """`-id` of a service: its node's, but what moves with its data goes on with the marks that it left in them and in the
        database, such as Storage's uploads under way (`facts/webitel.md` 1.9)."""
        if not (service.moves and service.data):
            return self.instance_id
        return self.id_of(self.plan.candidates(service.name, self.node)[0])

    @property
    def share(self) -> Share | None:
        """What is to be mounted on this node, None where no service of it keeps data there."""
        on_share = any(data.disk == SHARE for service in self.services for data in service.data)
        return read_share(self.settings) if on_share else None

    def here(self, service: str) -> bool:
        """Whether this node carries a service."""
        return service in self.node.services

    @property
    def instance_id(self) -> int:
        """A number unique in the deployment and stable when counts change, for `-id` of the vendor's services."""
        return self.id_of(self.node)

    def id_of(self, node: Node) -> int:
        """Likewise, of any node."""
        roles = [role.name for role in TIERS[self.plan.tier].roles]
        return 100 * (roles.index(node.role) + 1) + node.n

    def mount(self, purpose: str) -> str:
        """Where a data disk, or the share, is mounted."""
        return f"{MOUNT_ROOT}/{purpose}"

    def mount_unit(self, purpose: str) -> str:
        """The unit of systemd's that mounts it (systemd.unit(5)); such a path has nothing that would be escaped."""
        return f"{self.mount(purpose).strip('/').replace('/', '-')}.mount"

    def shared_buffers_mib(self) -> int:
        """PostgreSQL's buffers: a quarter of a database node's memory, an eighth where it shares the node with everything."""
        share = 8 if self.here("rtpengine") else 4
        return max(128, int(self.node.machine_type.memory_gib * 1024) // share)

    def wal_keep_mib(self) -> int:
        """WAL that a member of the cluster finds when it comes back, a tenth of the disk: one that was away for longer is
        copied anew (`node/clusters/database_cluster.py`), since its slot goes when it is lost."""
        (disk,) = [disk for disk in self.node.disks if disk.purpose == "database"]
        return disk.size_gib * 1024 // 10

    def broker_memory_mib(self) -> int:
        """Where RabbitMQ stops publishers: absolute, since a container sees the host's memory (`facts/ha-measured.md` 4)."""
        share = 8 if self.here("postgresql") else 2
        return max(256, int(self.node.machine_type.memory_gib * 1024) // share)

    def rules(self) -> tuple[NodeRule, ...]:
        """What this node's nftables let in."""
        return node_openings(self.plan, self.node, self.settings, self.catalogue)

    def private_peers(self) -> list[str]:
        """The private networks that the settings name: the only ones that may lie behind a public address."""
        named = {
            str(network)
            for name in ("operators", "carriers", "phones")
            for network in networks_given(self.settings, name)
            if is_private(network)
        }
        return sorted(named)

    def variables(self) -> dict[str, Any]:
        """The names a template sees."""
        return {
            "plan": self.plan,
            "node": self.node,
            "settings": self.settings,
            "cloud": self.cloud,
            "catalogue": self.catalogue,
            "tier": TIERS[self.plan.tier],
            "source": self.source.value,
            "context": self,
            "limits": resolve_call_limits(self.plan, self.settings),
            "carrier_networks": carrier_networks(self.settings),
            "carrier_hosts": carrier_hosts(self.settings),
            "exchanges": EXPECTED,
            "stop_seconds": STOP_SECONDS,
            "lease_seconds": f"{LEASE_SECONDS:g}",
            **{
                name: getattr(self, name)
                for name in (
                    "secret",
                    "address",
                    "port",
                    "ports",
                    "bind",
                    "reach",
                    "outside",
                    "nodes_with",
                    "serving",
                    "here",
                    "mount",
                    "rules",
                    "private_peers",
                    "instance_id",
                    "identity",
                    "share",
                    "mount_unit",
                    "proxied",
                    "packages_json",
                    "include_file",
                    "repository_logins",
                )
            },
            "install_program": lambda: INSTALL_PROGRAM.read_text().rstrip("\n"),
            "egress_rules": lambda: node_egress(self.plan, self.node, self.settings, self.catalogue),
        }

    def packages(self) -> list[str]:
        """Packages that Debian (with the suites of `suites`) has and that need no credential."""
        names = [
            package
            for service in self.services
            if not service.stand_in
            for package in service.packages_from(self.source)
            if find_package(package).at_boot
        ]
        names += self.share.facts.packages if self.share else ()
        if self.source == PackageSource.SANDBOX and any(service.stand_in for service in self.services):
            names += SANDBOX_PACKAGES
        return sorted(set(names))

    def stand_in_packages(self) -> list[str]:
        """Packages from the vendor, the mirror or the sandbox: installed with the configuration."""
        names = {package for service in self.services for package in service.packages_from(self.source)}
        return sorted(names - set(self.packages()))

    def secrets(self) -> tuple[str, ...]:
        """The secrets this node's services use."""
        used = {name for service in self.services for name in service.secrets}
        logins = self.repository_logins()
        return (
            *(name for name in SECRETS if name in used and name not in DEPLOYMENT_SECRETS),
            *(name for name in CREDENTIALS if self.secret(name) in logins),
        )

    def install_units(self) -> list[str]:
        """Units that a package's installation would enable, and that must not start before their configuration."""
        units = {unit for service in self.services if service.name not in BASE for unit in main_units(service, self.source)}
        units |= {unit for package in self.packages() for unit in PACKAGED_UNITS.get(package, ())}
        return sorted(units)

    def packages_json(self, with_credentials: bool = False) -> str:
        """What `install.py` reads; user data gets the repositories that need no credential."""
        return json.dumps(
            {
                "suites": {"bullseye": ["consul"]} if CONSUL_SOURCES[self.source] == "bullseye" else {},
                "repositories": [entry.as_source() for entry in self.repositories() if with_credentials or not entry.login],
                "packages": self.packages(),
                "units": self.install_units(),
            },
            sort_keys=True,
        )

    def repositories(self) -> tuple[Repository, ...]:
        """The repositories outside Debian that this node's packages come from."""
        return needed_repositories(self.source, self.services, self.settings.repository_keys, self.settings.mirror)

    def repository_logins(self) -> str:
        """`/etc/apt/auth.conf.d` of the repositories that ask who reads them; empty without one."""
        placeholders = {name: self.secret(name) for name in CREDENTIALS}
        lines = [entry.login.format(**placeholders) for entry in self.repositories() if entry.login]
        return "".join(f"{line}\n" for line in lines)

    def include_file(self, name: str) -> str:
        """A file of `files/` as it is, without its last line end."""
        return (FILES / name).read_text().rstrip("\n")
