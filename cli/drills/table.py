"""The drills: which node, what is done to it, for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cli.drills.faults import (
    BROKER_FULL,
    HAND_OVER,
    OFFLINE,
    PARTITION,
    Fault,
    Power,
    fill,
    kill,
    nothing,
    power_off,
    power_off_in_turn,
    stop_units,
)
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.standby import ADDRESS, FOLLOWING
from components.model.plan import Node, Plan


@dataclass(frozen=True)
class Drill:
    """One drill. `targets`: keys of nodes; `gather`: bring all leaders to the target first; `hold`: seconds of the fault."""

    name: str
    says: str
    targets: tuple[str, ...]
    fault: Fault
    hold: float
    gather: bool = False
    command: str = ""
    """A command of a shell on this machine instead of a fault; other nodes may be there afterwards."""


Leaders = Mapping[str, str]
"""Who leads what, by key of a node: `postgresql`, `standby`, `consul`, `queue`, and each service that moves; "" or none where
nobody knows."""

ROLES = {
    "leader": ("postgresql", "the PostgreSQL leader"),
    "standby": ("standby", "the synchronous standby"),
    "consul": ("consul", "the Consul leader"),
    "queue": ("queue", "the queue's leader"),
}
KILLED = {"leader": ("patroni",), "consul": ("consul",), "queue": ("rabbitmq-server",)}
STOPPED_SECONDS, CUT_SECONDS, FULL_SECONDS, CONSUL_GONE_SECONDS = 30.0, 40.0, 30.0, 60.0
SECOND_LATER_SECONDS = 60.0
"""Between the return of one of two lost nodes and of the other."""
NEARLY_FULL_PERCENT = 93
"""Of a disk, from which on `status` has to name it."""
ALL = "all-leaders"
SHORT = ("kill-leader", "stop-leader", "partition-standby")
"""What `webitel drill` without a name and `./webitel test drills` run."""


def list_drills(plan: Plan, leaders: Leaders, power: Power | None) -> dict[str, Drill]:
    """Return the drills that make sense on a deployment, by name, with the nodes they are about now."""
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
        drills.append(Drill(f"stop-{what}", f"power off at the node with {title}", (target,), off, STOPPED_SECONDS))
        drills.append(Drill(f"partition-{what}", f"the node with {title} cut off", (target,), PARTITION, CUT_SECONDS))
    everything = [node.key for node in plan.nodes if set(SERVICES.values()) <= set(node.services)]
    if len(everything) >= 3:
        of_consul = leaders.get("consul", "")
        target = of_consul if of_consul in everything else everything[0]
        drills += [
            Drill(f"stop-{ALL}", "power off at the node that leads everything", (target,), off, STOPPED_SECONDS, gather=True),
            Drill(f"partition-{ALL}", "the node that leads everything cut off", (target,), PARTITION, CUT_SECONDS, gather=True),
        ]
    servers = tuple(node.key for node in plan.nodes_with("consul-server"))
    drills.append(Drill("no-consul", "every Consul server down for a minute", servers, stop_units("consul"), CONSUL_GONE_SECONDS))
    runners = {leaders.get(name) for name, service in CATALOGUE.items() if service.moves or name == ADDRESS}
    for role in ("app", "web", "media", "edge", "sip"):
        if nodes := [node for node in plan.nodes if node.role == role]:
            # The one whose loss has more to move.
            target = next((node.key for node in nodes if node.key in runners), nodes[0].key)
            drills.append(Drill(f"stop-{role}", f"power off at {target}", (target,), off, STOPPED_SECONDS))
    drills += list_standby_drills(plan, leaders)
    for zone in plan.zones if len(plan.zones) > 1 else ():
        there = tuple(node.key for node in plan.nodes if node.zone == zone)
        drills.append(Drill(f"stop-zone-{zone}", f"power off at every node of zone {zone}", there, off, STOPPED_SECONDS))
    drills.append(Drill("off-and-on", "power off everywhere, then on", tuple(node.key for node in plan.nodes), off, 10))
    first, second = leaders.get("postgresql", ""), leaders.get("standby", "")
    if first and second and power:
        drills.append(
            Drill(
                "stop-two",
                "power off at the PostgreSQL leader and its standby, the second back a minute after the first",
                (first, second),
                power_off_in_turn(power, SECOND_LATER_SECONDS),
                STOPPED_SECONDS,
            )
        )
    if first:
        drills += [
            Drill(
                "nearly-full-database",
                f"the leader's database disk {NEARLY_FULL_PERCENT} % full",
                (first,),
                fill("database", NEARLY_FULL_PERCENT),
                FULL_SECONDS,
            ),
            Drill("full-database", "the leader's database disk full", (first,), fill("database", 100), FULL_SECONDS),
        ]
    brokers = plan.nodes_with("rabbitmq")
    drills.append(
        Drill("full-broker", f"the broker's disk at {brokers[-1].key} called full", (brokers[-1].key,), BROKER_FULL, FULL_SECONDS)
    )
    everywhere = tuple(node.key for node in plan.nodes)
    drills.append(Drill("no-packages", "package repositories out of reach", everywhere, OFFLINE, FULL_SECONDS))
    return {drill.name: drill for drill in drills}


def list_standby_drills(plan: Plan, leaders: Leaders) -> list[Drill]:
    """Return what is done to the node that has the address of two for SIP, beside the loss of it, which every role has."""
    pair = plan.nodes_with(ADDRESS)
    if len(pair) < 2:
        return []
    target = leaders.get(ADDRESS) or pair[0].key
    role = plan.node(target).role
    units = [unit for name in FOLLOWING for unit in CATALOGUE[name].units]
    return [
        Drill(f"partition-{role}", f"{target}, which has the calls, cut off", (target,), PARTITION, CUT_SECONDS),
        Drill(f"kill-{role}", f"kill -9 of what carries calls at {target}", (target,), kill(*units), 0),
        Drill(f"hand-over-{role}", f"calls handed over by {target}", (target,), HAND_OVER, 0),
    ]


def make_change(command: str) -> Drill:
    """Return a change of the deployment, such as an `up` or a `scale`, with what it costs counted like a drill's."""
    return Drill(command, "a command run here", (), Fault(nothing, nothing, silent=True), 0, command=command)


SERVICES = {"postgresql": "postgresql", "standby": "postgresql", "consul": "consul-server", "queue": "rabbitmq"}


def has_clients(node: Node) -> bool:
    """Return whether the load can be written on a node as its services do it: through HAProxy."""
    return "haproxy" in node.services


def has_data(node: Node) -> bool:
    """Return whether a node has a database or a broker of its own to write to."""
    return any(CATALOGUE[name].cluster_sizes for name in node.services)
