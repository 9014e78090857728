"""What templates may use: the plan, this node, and functions that derive everything else from them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from cloud_init.node.clusters import sip_address
from cloud_init.node.clusters.encryption import ROOT
from cloud_init.node.clusters.locks import LEASE_SECONDS, STOP_SECONDS
from cloud_init.node.health.topology import EXPECTED
from cloud_init.node.system import POSTGRESQL_BIN
from cloud_init.packages import Packages
from cloud_init.sources import list_others, list_roles, split_sources
from cloud_init.stripped import strip_program
from components.model.acme import read_order
from components.model.alerting import ALERT_SECRETS, secrets_for
from components.model.backup import CIPHER, read_bucket
from components.model.backup import CREDENTIALS as BUCKET_LOGIN
from components.model.calls import carrier_hosts, carrier_networks, resolve_call_limits
from components.model.catalogue.hardening import HARDENED
from components.model.catalogue.repositories import CREDENTIALS
from components.model.catalogue.service import Bind, Listener, Look, PackageSource, Service
from components.model.catalogue.services import find_speaking
from components.model.catalogue.standby import WITH_ADDRESS
from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import METADATA, CloudFacts, PublicAddress
from components.model.machine import Public
from components.model.mesh import KEY as MESH_KEY
from components.model.naming import MOUNT_ROOT, SIP
from components.model.plan import Node, Plan
from components.model.planning.addresses import is_private, networks_given
from components.model.planning.firewall import NodeRule, called_listeners, node_egress, node_openings
from components.model.secret_specs import BROKER_HOST, DEPLOYMENT_SECRETS, SECRETS
from components.model.settings import Settings
from components.model.share import SHARE, Share, proxy_name, read_share, resolve_catalogue
from components.model.update_window import read_window

FILES = Path(__file__).parent / "files"

INSTALL_PROGRAM = Path(__file__).parent / "node" / "install.py"

ADDRESS_TOKEN = "address_token"
"""The secret setting by which nodes move the address of SIP, where the cloud needs one."""

BOOT_KEYS_BYTES = 4096
"""Of operators' keys in user data, where they are for the time before the first configuration: five of 4096 bits fill it."""


def address_placeholder(key: str, kind: str = "private") -> str:
    """Return the placeholder of the address of the node with that key, `private` or `public`."""
    return "{{address:" + key + ("}}" if kind == "private" else f".{kind}}}}}")


class Context:
    """One node of a plan as its templates see it."""

    def __init__(self, plan: Plan, node: Node, settings: Settings) -> None:
        self.plan, self.node, self.settings = plan, node, settings
        self.cloud: CloudFacts = plan.facts
        self.source = PackageSource(plan.package_source)
        self.catalogue = resolve_catalogue(settings)
        self.services = tuple(self.catalogue[name] for name in node.services)
        self.packages = Packages(self.source, self.services, settings, self.share)

    def secret(self, name: str) -> str:
        """Return the placeholder of a secret."""
        if name not in SECRETS and name not in (*CREDENTIALS, *BUCKET_LOGIN, *ALERT_SECRETS, ADDRESS_TOKEN, MESH_KEY):
            raise ValueError(f"no secret {name}; the secrets are {', '.join(SECRETS)}")
        return "{{secret:" + name + "}}"

    def address(self, node: Node | None = None, kind: str = "private") -> str:
        """Return the placeholder of a node's address, `private` or `public`; of this node by default."""
        return address_placeholder((node or self.node).key, kind)

    @property
    def sip_outside(self) -> str:
        """Return the address by which the one is reached from outside that nodes for SIP have in turn: a placeholder where the
        cloud chooses it, "" where each node has its own only."""
        if self.plan.sip_address and self.cloud.moved_by_cloud:
            return address_placeholder(SIP, "public")
        return self.plan.sip_outside

    @property
    def sip_here(self) -> list[str]:
        """List which of these addresses whichever node has them has on its interfaces."""
        return [self.plan.sip_address, *([self.sip_outside] if self.cloud.public_address is PublicAddress.OWN else [])]

    @property
    def host_name(self) -> str:
        """Return what the machine is called: as its node, or on a host that was given as its owner did, by a placeholder."""
        return address_placeholder(self.node.key, "name") if self.cloud.given else self.node.name

    def port(self, service: str, listener: str) -> int:
        """Return a listener's (first) port."""
        return self.catalogue[service].listener(listener).port

    def ports(self, service: str, listener: str) -> tuple[int, int]:
        """Return a listener's first and last port."""
        ports = self.catalogue[service].listener(listener).ports
        return ports.first, ports.last

    def bind(self, service: str, listener: str) -> str:
        """Return the address that a listener binds on this node."""
        return {Bind.PRIVATE: self.address(), Bind.LOOPBACK: "127.0.0.1", Bind.ANY: "0.0.0.0"}[
            self.catalogue[service].listener(listener).bind
        ]

    def outside(self, service: str, listener: str) -> list[str]:
        """List where a listener for people outside binds: the private address, and the machine's own public one."""
        addresses = [self.bind(service, listener)]
        if self.node.public is Public.SERVICE and self.cloud.public_address is PublicAddress.OWN:
            addresses.append(self.address(kind="public"))
        return addresses

    def reach(self, service: str, listener: str) -> str:
        """Return `address:port` where this node reaches a listener: its own, else the first node's with the service; HAProxy's
        where that moves."""
        target = self.catalogue[service].listener(listener)
        if (service, listener) in self.proxied:
            return f"{self.bind('haproxy', proxy_name(service, listener))}:{self.port('haproxy', proxy_name(service, listener))}"
        if target.bind == Bind.LOOPBACK or (service in self.node.services and target.bind == Bind.ANY):
            return f"127.0.0.1:{target.port}"
        if self.plan.sip_address and listener in WITH_ADDRESS.get(service, ()):
            return f"{self.plan.sip_address}:{target.port}"
        nodes = self.plan.nodes_with(service)
        node = self.node if self.node in nodes else nodes[0]
        return f"{self.address(node)}:{target.port}"

    def measured(self) -> list[Service]:
        """List the services that Prometheus asks for their figures."""
        return [service for service in self.catalogue.values() if service.metrics and self.plan.serving(service.name)]

    def looks(self) -> list[tuple[Service, Look, Node, str]]:
        """List what is looked at from this node: service, how, on which node, and the target as the module takes it."""
        found = []
        for service in self.catalogue.values():
            for look in service.looks:
                port = service.listener(look.listener).port
                if self.plan.sip_address and look.listener in WITH_ADDRESS.get(service.name, ()):
                    found.append((service, look, self.plan.serving(service.name)[0], f"{self.plan.sip_address}:{port}"))
                    continue
                for node in self.plan.serving(service.name):
                    where = f"{self.address(node)}:{port}"
                    found.append((service, look, node, f"https://{where}{look.url}" if look.url else where))
        return found

    def targets(self, service: Service) -> list[tuple[Node, str]]:
        """List the nodes where this node's Prometheus asks a service, each with `address:port`: on the loopback its own only."""
        assert service.metrics, f"{service.name} has no figures for Prometheus"
        target = service.listener(service.metrics.listener)
        if target.bind is Bind.LOOPBACK:
            return [(self.node, f"127.0.0.1:{target.port}")]
        return [(node, f"{self.address(node)}:{target.port}") for node in self.plan.serving(service.name)]

    def nodes_with(self, service: str) -> tuple[Node, ...]:
        """Return the nodes that carry a service, leaving ones included: a cluster's members."""
        return self.plan.nodes_with(service)

    def serving(self, service: str) -> tuple[Node, ...]:
        """Return the nodes that carry a service and get work: no leaving ones, unless it runs there until it has moved."""
        return self.plan.nodes_with(service) if self.catalogue[service].moves else self.plan.serving(service)

    @cached_property
    def proxied(self) -> list[tuple[str, str]]:
        """List the listeners of moving services to which HAProxy leads this node's callers."""
        known = {listener.name for listener in self.catalogue["haproxy"].listeners}
        return [
            (service.name, listener.name)
            for service in self.catalogue.values()
            for listener in service.listeners
            if proxy_name(service.name, listener.name) in known
            and any(f"{service.name}.{listener.name}" in caller.calls for caller in self.services)
        ]

    def identity(self, service: Service) -> int:
        """Return `-id` of a service: its node's; but one that moves with its data relies on marks that it left there and in the
        database, such as Storage's uploads under way (`facts/webitel.md` 1.9)."""
        if not (service.moves and service.data):
            return self.instance_id
        return self.id_of(self.plan.candidates(service.name, self.node)[0])

    def units_after(self, service: str) -> list[str]:
        """List the units of the services that start after this one."""
        names = self.node.services[self.node.services.index(service) + 1 :]
        later = [unit for name in names for unit in self.catalogue[name].units_from(self.source)]
        return [unit if "." in unit else f"{unit}.service" for unit in dict.fromkeys(later)]

    def hardening(self, unit: str) -> str:
        """Return the lines that shut in a unit which is no service's own."""
        return HARDENED[unit].text

    @property
    def share(self) -> Share | None:
        """Return what this node mounts, None where none of its services keeps data there."""
        on_share = any(data.disk == SHARE for service in self.services for data in service.data)
        return read_share(self.settings) if on_share else None

    def here(self, service: str) -> bool:
        """Tell whether this node carries a service."""
        return service in self.node.services

    @property
    def instance_id(self) -> int:
        """Return a number that is unique in the deployment and stable when counts change, for `-id` of the vendor's services."""
        return self.id_of(self.node)

    def id_of(self, node: Node) -> int:
        """Return that number of any node."""
        roles = [role.name for role in TIERS[self.plan.tier].roles]
        return 100 * (roles.index(node.role) + 1) + node.n

    @property
    def nodes_root(self) -> str:
        """Return where a node keeps what it holds other nodes' certificates against."""
        return str(ROOT)

    def mount(self, purpose: str) -> str:
        """Return where a data disk, or the share, is mounted."""
        return f"{MOUNT_ROOT}/{purpose}"

    def mount_unit(self, purpose: str) -> str:
        """Return the systemd unit that mounts it (systemd.unit(5)); nothing in such a path needs escaping."""
        return f"{self.mount(purpose).strip('/').replace('/', '-')}.mount"

    def shared_buffers_mib(self) -> int:
        """Size PostgreSQL's buffers: a quarter of a database node's memory, an eighth where it shares the node."""
        share = 8 if self.here("rtpengine") else 4
        return max(128, int(self.node.machine_type.memory_gib * 1024) // share)

    def wal_keep_mib(self) -> int:
        """Size the WAL kept for a cluster member that returns, a tenth of the disk: one that was away for longer is
        copied anew (`node/clusters/database_cluster.py`), since its slot goes when it is lost."""
        (disk,) = [disk for disk in self.node.disks if disk.purpose == "database"]
        return disk.size_gib * 1024 // 10

    def broker_memory_mib(self) -> int:
        """Size the memory at which RabbitMQ stops publishers: a container sees its host's (`facts/ha-measured.md` 4)."""
        share = 8 if self.here("postgresql") else 2
        return max(256, int(self.node.machine_type.memory_gib * 1024) // share)

    def rules(self) -> tuple[NodeRule, ...]:
        """Return what this node's nftables let in."""
        return self._rules

    @cached_property
    def speaking(self) -> frozenset[str]:
        """The services that do not run while the deployment is quiet."""
        return find_speaking(self.catalogue)

    @cached_property
    def _rules(self) -> tuple[NodeRule, ...]:
        return node_openings(self.plan, self.node, self.settings, self.catalogue)

    @cached_property
    def _others(self) -> dict[str, tuple[str, ...]]:
        return list_others(self.plan, self.node)

    @cached_property
    def _called_by_sip(self) -> set[tuple[str, str]]:
        """What is called from the address that two nodes have in turn."""
        callers = [self.catalogue[name] for name in WITH_ADDRESS if self.plan.sip_address]
        return {(name, one.name) for caller in callers for name, one in called_listeners(caller, self.catalogue)}

    def untracked(self) -> list[Listener]:
        """Return the listeners of this node's services whose packets its nftables treat one by one."""
        return [one for service in self.services for one in service.listeners if not one.tracked]

    def operator_networks(self) -> list[str]:
        """List the networks from which operators reach this node, by SSH as by all that is theirs."""
        return [network for rule in self.rules() if rule.service == "ssh" for network in rule.networks]

    def source_roles(self) -> dict[str, tuple[str, ...]]:
        """Return the roles that nftables knows by name, with the keys of their nodes."""
        return list_roles(self.rules(), self._others)

    def sources(self, rule: NodeRule) -> list[str]:
        """Return whom a rule lets in, in the words of nftables."""
        roles, keys = split_sources(rule, self._others)
        # Who has the address of SIP sends from it.
        shared = [self.plan.sip_address] if (rule.service, rule.listener) in self._called_by_sip else []
        return [*rule.networks, *(f"${role}_nodes" for role in roles), *map(address_placeholder, keys), *shared]

    def private_peers(self) -> list[str]:
        """Return the private networks that the settings name: the only ones that may be behind a public address."""
        named = {
            str(network)
            for name in ("operators", "carriers", "phones")
            for network in networks_given(self.settings, name)
            if is_private(network)
        }
        return sorted(named)

    @property
    def boot_keys(self) -> list[str]:
        """The operators' keys that user data has room for; all of them come with the configuration."""
        kept: list[str] = []
        for key in self.settings.operator_keys:
            if sum(map(len, kept)) + len(key) <= BOOT_KEYS_BYTES:
                kept.append(key)
        return kept

    @cached_property
    def variables(self) -> dict[str, Any]:
        """The names that a template sees: the same for all of a node's."""
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
            "acme": read_order(self.settings),
            "bucket": read_bucket(self.settings, self.cloud),
            "metadata": METADATA,
            "sip_address_held": sip_address.HELD,
            "exchanges": EXPECTED,
            "postgresql_bin": POSTGRESQL_BIN,
            "broker_tls": f"ssl verify required ca-file {ROOT} verifyhost {BROKER_HOST}",
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
                    "untracked",
                    "sources",
                    "source_roles",
                    "private_peers",
                    "operator_networks",
                    "instance_id",
                    "identity",
                    "share",
                    "mount_unit",
                    "proxied",
                    "include_file",
                )
            },
            "packages_json": self.packages.as_json,
            "kept_patterns": self.packages.list_kept_patterns,
            "update_window": lambda: read_window(self.settings.update_window),
            "repository_logins": self.repository_logins,
            "install_program": lambda: strip_program(INSTALL_PROGRAM.read_text()),
            "egress_rules": lambda: node_egress(self.plan, self.node, self.settings, self.catalogue),
        }

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets that this node's services use."""
        used = {name for service in self.services for name in service.secrets}
        logins = self.repository_logins()
        return (
            *(name for name in SECRETS if name in used and name not in DEPLOYMENT_SECRETS),
            *(name for name in CREDENTIALS if self.secret(name) in logins),
            *(secrets_for(self.settings) if self.here("alertmanager") else ()),
            *(bucket.login if CIPHER in used and (bucket := read_bucket(self.settings, self.cloud)) else ()),
        )

    def repository_logins(self) -> str:
        """Return `/etc/apt/auth.conf.d` of the repositories that require a log-in; empty without one."""
        return self.packages.format_logins({name: self.secret(name) for name in CREDENTIALS})

    def include_file(self, name: str) -> str:
        """Return a file of `files/` as it is, without its final newline."""
        return (FILES / name).read_text().rstrip("\n")
