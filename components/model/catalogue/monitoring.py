"""Prometheus beside Grafana, what it asks on every node, and Alertmanager."""

from components.model.catalogue.service import Audience, Bind, Metrics, OnChange, Placement, Probe, Service, tcp, udp

NODE_EXPORTER = Service(
    "node-exporter",
    "Node exporter",
    packages=("prometheus-node-exporter",),
    units=("prometheus-node-exporter",),
    placement=Placement.EVERY,
    listeners=(tcp("http", 9100),),
    metrics=Metrics("http"),
    probes=(Probe("http", "it does not answer Prometheus", {"listener": "http", "path": "/", "status": 200}),),
)

ALERTMANAGER = Service(
    "alertmanager",
    "Alertmanager",
    packages=("prometheus-alertmanager",),
    units=("prometheus-alertmanager",),
    # Whoever reaches it may silence alerts: its peers and Prometheus. The peers agree on who sends what.
    listeners=(tcp("http", 9093, authenticated=False), tcp("gossip", 9094), udp("gossip-udp", 9094)),
    calls=("alertmanager.gossip", "alertmanager.gossip-udp"),
    metrics=Metrics("http"),
    on_change=OnChange.RELOAD,
    probes=(Probe("http", "it does not answer", {"listener": "http", "path": "/-/ready", "status": 200}),),
)

BLACKBOX = Service(
    "blackbox-exporter",
    "Blackbox exporter",
    packages=("prometheus-blackbox-exporter",),
    units=("prometheus-blackbox-exporter",),
    listeners=(tcp("http", 9115, Audience.NODE, bind=Bind.LOOPBACK),),
    # The web is open to everybody.
    calls=("opensips.sip-tcp",),
    on_change=OnChange.RELOAD,
    probes=(Probe("http", "it does not answer Prometheus", {"listener": "http", "path": "/", "status": 200}),),
)

PROMETHEUS = Service(
    "prometheus",
    "Prometheus",
    packages=("prometheus",),
    units=("prometheus",),
    # On every node that may run Grafana, each with all of the series: Grafana asks its own node's, wherever it has moved to.
    listeners=(tcp("http", 9090, Audience.NODE, bind=Bind.LOOPBACK),),
    calls=("node-exporter", "haproxy.metrics", "postgresql.rest", "rabbitmq.metrics", "alertmanager.http"),
    metrics=Metrics("http"),
    # Its reload reads rules and targets anew, and drops nothing that it has.
    on_change=OnChange.RELOAD,
    probes=(Probe("http", "it does not answer", {"listener": "http", "path": "/-/ready", "status": 200}),),
)

SERVICES = (NODE_EXPORTER, BLACKBOX, ALERTMANAGER, PROMETHEUS)

OPTIONAL = frozenset(service.name for service in SERVICES)
"""What a deployment with `webitel:monitoring` off does not have."""
