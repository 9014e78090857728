"""What stands on every node, and HAProxy beside the callers of the database and the broker."""

from components.model.catalogue.service import (
    Audience,
    Bind,
    Egress,
    Metrics,
    OnChange,
    PackageSource,
    Placement,
    Ports,
    Probe,
    Service,
    tcp,
    udp,
)

CHRONY = Service(
    "chrony",
    "Chrony",
    packages=("chrony",),
    units=("chrony",),
    placement=Placement.EVERY,
    egress=(Egress("time", "udp", Ports(123, 123)),),
)

NFTABLES = Service(
    "nftables",
    "nftables",
    packages=("nftables",),
    units=("nftables",),
    placement=Placement.EVERY,
    # Its restart empties the rules first.
    on_change=OnChange.RELOAD,
    reload_renews=True,
    egress=(
        Egress("packages", "tcp", Ports(80, 80)),
        Egress("packages, web hooks, bots", "tcp", Ports(443, 443)),
        Egress("names", "udp", Ports(53, 53)),
        Egress("names", "tcp", Ports(53, 53)),
    ),
)

SSH = Service(
    "ssh",
    "SSH",
    packages=("openssh-server",),
    units=("ssh",),
    placement=Placement.EVERY,
    # sshd(8): SIGHUP makes it execute itself again.
    on_change=OnChange.RELOAD,
    reload_renews=True,
    listeners=(tcp("ssh", 22, Audience.OPERATORS, bind=Bind.ANY),),
)

MESH = Service(
    "mesh",
    "Mesh",
    # The second one where the kernel has no WireGuard of its own.
    packages=("wireguard-tools", "wireguard-go"),
    units=("webitel-mesh",),
    # Everywhere where its setting turns it on (`components/model/mesh.py`).
    placement=Placement.NOWHERE,
    # Its restart leaves WireGuard as it is.
    on_change=OnChange.RESTART,
    calls=("mesh",),
    listeners=(udp("wireguard", 51820, bind=Bind.ANY),),
    probes=(Probe("mesh", "WireGuard is not set up: other nodes do not reach this one", restart_cures=False),),
)

CONSUL = Service(
    "consul",
    "Consul agent",
    packages=("consul",),
    repositories=("hashicorp",),
    units=("consul",),
    placement=Placement.EVERY,
    listeners=(
        tcp("gossip", 8301),
        udp("gossip-udp", 8301),
        tcp("http", 8500, Audience.NODE, bind=Bind.LOOPBACK, authenticated=False),
        tcp("dns", 8600, Audience.NODE, bind=Bind.LOOPBACK),
        udp("dns-udp", 8600, Audience.NODE, bind=Bind.LOOPBACK),
    ),
    calls=("consul", "consul-server"),
    secrets=("consul_gossip_key", "consul_certificate", "consul_program_token", "consul_agent_key"),
    on_change=OnChange.RESTART,
    probes=(Probe("consul", "no Consul leader is known on this node"),),
    awaited=True,
)

HAPROXY = Service(
    "haproxy",
    "HAProxy",
    packages=("haproxy", "postgresql-client-15"),
    units=("haproxy",),
    placement=Placement.BESIDE_CALLERS,
    # Its master executes itself again at a reload (HAProxy's management guide, 4).
    beside=("postgresql", "rabbitmq"),
    on_change=OnChange.RELOAD,
    reload_renews=True,
    calls=(
        "postgresql",
        "rabbitmq.amqp",
        "rabbitmq.management",
        "rabbitmq.amqps",
        "rabbitmq.management-tls",
    ),
    listeners=(
        tcp("sql", 5432, Audience.NODE, bind=Bind.LOOPBACK),
        tcp("amqp", 5672, Audience.NODE, bind=Bind.LOOPBACK),
        tcp("management", 15672, Audience.NODE, bind=Bind.LOOPBACK),
        tcp("metrics", 8405),
    ),
    metrics=Metrics("metrics"),
    secrets=("database_password", "broker_password", "nodes_root"),
    probes=(
        Probe("postgresql", "no writable database behind 127.0.0.1:5432: check HAProxy, Patroni and the password"),
        Probe("amqp", "no broker behind 127.0.0.1:5672: check HAProxy, RabbitMQ and the password"),
    ),
)

LOCKS = Service(
    "locks",
    "Locks of services that move",
    units=("webitel-locks",),
    placement=Placement.BESIDE_MOVING,
    on_change=OnChange.RELOAD,
    calls=("consul", "locks"),
    listeners=(tcp("peers", 10049, authenticated=False),),
    probes=(Probe("http", "it does not answer other nodes", {"listener": "peers", "path": "/", "status": 200}),),
)

RECORDS = Service(
    "audit-records",
    "Audit records",
    units=("webitel-records",),
    placement=Placement.EVERY,
    on_change=OnChange.RESTART,
)

SERVICES = (CHRONY, NFTABLES, SSH, MESH, RECORDS, CONSUL, HAPROXY, LOCKS)

CONSUL_SOURCES = {PackageSource.VENDOR: "hashicorp", PackageSource.MIRROR: "hashicorp", PackageSource.SANDBOX: "bullseye"}
"""The repository Consul comes from: Debian 12 has none (`facts/engine.md`)."""
