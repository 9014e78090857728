"""Database, broker, Consul servers, reports."""

from components.model.catalogue.service import (
    DataDirectory,
    Metrics,
    OnChange,
    PackageSource,
    Placement,
    Probe,
    Service,
    tcp,
)

POSTGRESQL = Service(
    "postgresql",
    "PostgreSQL 15 under Patroni",
    packages=("postgresql-15", "patroni", "python3-consul", "python3-psycopg2", "curl", "webitel-postgresql-15"),
    packages_by_source={
        PackageSource.VENDOR: (
            "postgresql-15",
            "patroni",
            "python3-consul",
            "python3-psycopg2",
            "curl",
            "webitel-postgresql-15",
            "timescaledb-2-postgresql-15",
        ),
    },
    repositories=("timescaledb", "webitel"),
    units=("patroni", "webitel-setup-postgresql"),
    listeners=(tcp("sql", 5432), tcp("rest", 8008)),
    metrics=Metrics("rest"),
    calls=("postgresql", "consul"),
    secrets=(
        "postgres_password",
        "replication_password",
        "rewind_password",
        "patroni_password",
        "database_password",
        "grafana_database_password",
        "grafana_store_password",
        "consul_database_token",
        "nodes_root",
        "database_certificate",
    ),
    data=(DataDirectory("/var/lib/webitel/database/postgresql", "database", "postgres:postgres"),),
    probes=(
        Probe("patroni", "PostgreSQL on this node is neither a running leader nor a streaming replica", {"listener": "rest"}),
        Probe(
            "disk_space",
            "the database disk is nearly full",
            {"path": "/var/lib/webitel/database", "percent": 90},
            restart_cures=False,
        ),
    ),
    on_change=OnChange.RELOAD,
    cluster_sizes=(1, 3, 5),
    awaited=True,
)

RABBITMQ = Service(
    "rabbitmq",
    "RabbitMQ",
    packages=("rabbitmq-server", "curl"),
    units=("rabbitmq-server", "webitel-setup-rabbitmq"),
    listeners=(
        # Without TLS: what a node of before asks until it has its turn, and this node's own programs.
        tcp("amqp", 5672),
        tcp("management", 15672),
        tcp("amqps", 5671),
        tcp("management-tls", 15671),
        tcp("epmd", 4369),
        tcp("distribution", 25672),
        tcp("metrics", 15692),
    ),
    metrics=Metrics("metrics"),
    calls=("rabbitmq",),
    secrets=("broker_password", "broker_cookie", "broker_certificate", "nodes_root"),
    probes=(
        Probe("rabbitmq", "the broker is not running, or has an alarm (memory, disk) that blocks publishers"),
        Probe("exchanges", "an exchange that services expect is missing"),
    ),
    on_change=OnChange.RESTART,
    cluster_sizes=(1, 3),
    awaited=True,
    boot_iops=2000,  # ours: a durable message is on the disk before it is acknowledged
)

CONSUL_SERVER = Service(
    "consul-server",
    "Consul server",
    packages=("consul",),
    repositories=("hashicorp",),
    units=("consul",),
    placement=Placement.QUORUM,
    listeners=(tcp("rpc", 8300),),
    calls=("consul-server",),
    secrets=(
        "consul_gossip_key",
        "consul_certificate",
        "consul_management_token",
        "consul_database_token",
        "consul_program_token",
        "consul_agent_key",
    ),
    probes=(Probe("consul_server", "this Consul server is not a voting member of the quorum"),),
)

GRAFANA = Service(
    "grafana",
    "Grafana",
    packages=("grafana",),
    repositories=("grafana",),
    units=("grafana-server",),
    stand_in=True,
    listeners=(tcp("http", 3000),),
    calls=("postgresql",),
    secrets=("grafana_password", "grafana_database_password", "grafana_store_password"),
    placement=Placement.FIRST,
    placement_reason="each one would send every alert",
    moves=True,
    probes=(
        Probe(
            "http",
            "Grafana does not answer or has lost its database",
            {"listener": "http", "path": "/api/health", "status": 200, "contains": '"database": "ok"'},
        ),
    ),
)

SERVICES = (CONSUL_SERVER, POSTGRESQL, RABBITMQ, GRAFANA)
