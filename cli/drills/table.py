"""The drills: which node, what is done to it, for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cli.drills.faults import OFFLINE, PARTITION, Fault, Power, fill, kill, power_off, stop_units
from components.model.plan import Node, Plan
from components.model.services import CATALOGUE


@dataclass(frozen=True)
class Drill:
    """One drill. `targets`: keys of nodes; `gather`: bring all leaders to the target first; `hold`: seconds of the fault."""

    name: str
    says: str
    targets: tuple[str, ...]
    fault: Fault
    hold: float
    gather: bool = False
    cluster: bool = True
    """Whether nothing acknowledged may get lost and writes have to go on: it is about a cluster that has its majority."""


Leaders = Mapping[str, str]
"""Who leads what, by key of a node: `postgresql`, `standby`, `consul`, `queue`; "" where nobody knows."""

ROLES = {"leader": ("postgresql", "the PostgreSQL leader"), "standby": ("standby", "the synchronous standby"),
         "consul": ("consul", "the Consul leader"), "queue": ("queue", "the queue's leader")}
KILLED = {"leader": ("patroni",), "consul": ("consul",), "queue": ("rabbitmq-server",)}
DATABASE_DISK = "/var/lib/webitel/database"
STOPPED, CUT, FULL, CONSUL_GONE = 30.0, 40.0, 30.0, 60.0
ALL = "all-leaders"
SHORT = ("kill-leader", "stop-leader", "partition-standby")
"""What `./webitel test drills` runs."""


def list_drills(plan: Plan, leaders: Leaders, power: Power | None) -> dict[str, Drill]:
    """The drills that make sense on a deployment, by name, with the nodes they are about now."""
    off = power_off(power)
    drills = []
    for what, (leader, title) in ROLES.items():
        members = plan.nodes_with(SERVICES[leader])
        if len(members) < 3:
            continue
        # Nobody leads the queue before the load has made it.
        target = leaders.get(leader) or members[0].key
        if units := KILLED.get(what):
            drills.append(Drill(f"kill-{what}", f"kill -9 of {title}", (target,), kill(*units), 0))
        drills.append(Drill(f"stop-{what}", f"power off at the node with {title}", (target,), off, STOPPED))
        drills.append(Drill(f"partition-{what}", f"the node with {title} cut off", (target,), PARTITION, CUT))
    everything = [node.key for node in plan.nodes if set(SERVICES.values()) <= set(node.services)]
    if len(everything) >= 3:
        first = leaders.get("consul", "")
        target = first if first in everything else everything[0]
        drills += [
            Drill(f"stop-{ALL}", "power off at the node that leads everything", (target,), off, STOPPED, gather=True),
            Drill(f"partition-{ALL}", "the node that leads everything cut off", (target,), PARTITION, CUT, gather=True),
        ]
    servers = tuple(node.key for node in plan.nodes_with("consul-server"))
    drills.append(Drill("no-consul", "every Consul server down for a minute", servers, stop_units("consul"), CONSUL_GONE))
    for role in ("app", "web", "media", "edge", "sip"):
        if nodes := [node for node in plan.nodes if node.role == role]:
            drills.append(Drill(f"stop-{role}", f"power off at {nodes[0].key}", (nodes[0].key,), off, STOPPED, cluster=False))
    drills.append(Drill("off-and-on", "power off everywhere, then on", tuple(node.key for node in plan.nodes), off, 10,
                        cluster=False))
    if leaders.get("postgresql"):
        drills.append(Drill("full-database", "the leader's database disk full", (leaders["postgresql"],),
                            fill(DATABASE_DISK), FULL, cluster=False))
    brokers = plan.nodes_with("rabbitmq")
    drills.append(Drill("full-broker", f"the broker's disk at {brokers[-1].key} full", (brokers[-1].key,),
                        fill("/var/lib/rabbitmq", 200), FULL, cluster=False))
    drills.append(Drill("no-packages", "no way to package repositories during a change",
                        tuple(node.key for node in plan.nodes), OFFLINE, 0, cluster=False))
    return {drill.name: drill for drill in drills}


SERVICES = {"postgresql": "postgresql", "standby": "postgresql", "consul": "consul-server", "queue": "rabbitmq"}


def has_clients(node: Node) -> bool:
    """Whether the load can be written on a node as its services do it: through HAProxy."""
    return "haproxy" in node.services


def has_data(node: Node) -> bool:
    """Whether a node has a database or a broker of its own to write to."""
    return any(CATALOGUE[name].cluster_sizes for name in node.services)
