"""What is up already and stays where it is, told by the state, and the settings that say so to the plan, which asks nobody.

Only new nodes are placed by `webitel:zones`: a machine or a disk of another zone would be another one, and a Consul server that
moves puts the quorum at risk. Nor does a role whose nodes are up get another machine type because a new deployment would get a
larger one: that restarts them. The program completes its settings before it plans; `up` writes the same into the stack file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import CloudFacts
from components.model.mesh import SENDS, sends
from components.model.naming import is_node_key
from components.model.plan import Plan
from components.model.planning.addresses import ZONE_SUBNETS_PREFIX, resolve_network
from components.model.planning.audio import choose_by_size, choose_default
from components.model.planning.check_shape import count_nodes
from components.model.planning.draft import list_zones
from components.model.planning.existing import SETTING, describe_network
from components.model.planning.placement import choose_quorum
from components.model.problems import PlanError, setting_problem
from components.model.settings import Settings
from components.model.share import resolve_catalogue

TYPES = "machine_types"
OUTPUT = "places"
"""The stack's output with what `describe` says of it."""

PLACES = ("node_zones", "consul_servers", "zone_subnets")
"""What is said of the nodes of one deployment, and of no other."""

SETTINGS = (*PLACES, "machine_types")
"""What `keep_standing` completes."""


@dataclass(frozen=True)
class Resource:
    """A resource of the state, by its name."""

    type: str
    name: str
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class Standing:
    """What stands where. `zones` by node, of disks that outlived theirs too; `consul_servers` are nodes; `zone_subnets`: the
    subnets are such that every zone has its own. `existing` is what an `up` said of the company's network, None where it said
    nothing; `own_network`: the deployment made one. `machine_types` are the roles' whose nodes are up. `given` are subnet
    of the company's and private address by node, where no `up` ended that would have said more."""

    zones: Mapping[str, str]
    consul_servers: tuple[str, ...]
    zone_subnets: bool = True
    existing: Mapping[str, Any] | None = None
    own_network: bool = False
    machine_types: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def describe(plan: Plan, settings: Settings) -> dict[str, Any]:
    """Return what a later run has to know of a plan that is carried out, as plain values."""
    names = {node.name: node.key for node in plan.nodes}
    return {
        "zones": {node.key: node.zone for node in (*plan.nodes, *plan.kept)},
        "consul_servers": [names[name] for name in plan.consul_servers],
        "zone_subnets": settings.zone_subnets,
        TYPES: {node.role: node.machine_type.name for node in plan.nodes},
        **describe_network(plan),
        **({SENDS: True} if sends(settings) else {}),
    }


def read_standing(told: Mapping[str, Any], resources: Iterable[Resource], settings: Settings, facts: CloudFacts) -> Standing:
    """Return what the state tells: `told` is what an `up` of this version described, else the resources are looked at."""
    found = list(resources)
    region = settings.region or facts.default_region
    zones = {
        key_of(one, facts): shorten(one.outputs[output], region)
        for one in found
        if (output := facts.zone_outputs.get(one.type)) and one.outputs.get(output)
    }
    machines = [one for one in found if is_machine(one, facts)]
    types = {key.rpartition("-")[0]: type for key, type in sorted((one.name, type_of(one, facts)) for one in machines)}
    given = told.get(SETTING)
    if told:
        places = tuple(told["consul_servers"]), bool(told["zone_subnets"])
        # What came before there were zones on this cloud stands in the first.
        first = next(iter(facts.zones_in(region)), "")
        zones |= {key: zone or first for key, zone in told["zones"].items()}
        return Standing(zones, *places, given, not given, told.get(TYPES, types))
    counts = Counter(one.name.rpartition("-")[0] for one in machines)
    tier, catalogue = TIERS[settings.tier], resolve_catalogue(settings)
    # As they were chosen before there were zones.
    chosen = choose_quorum(tier, {role.name: counts[role.name] for role in tier.roles}, catalogue) if counts else ()
    own = facts.given_networks is not None and any(one.type == facts.given_networks.resource for one in found)
    there = find_given_places(found, facts) if not own else {}
    servers = tuple(f"{role}-{n}" for role, n in chosen)
    return Standing(zones, servers, not is_filled(found, settings, facts), own_network=own, machine_types=types, given=there)


def find_given_places(resources: Iterable[Resource], facts: CloudFacts) -> dict[str, tuple[str, str]]:
    """Return subnet and private address of each node that is there, where the cloud can be given a network."""
    if not facts.given_networks:
        return {}
    type, *outputs = facts.given_networks.place
    found = {one.name: [find_output(one.outputs, output) for output in outputs] for one in resources if one.type == type}
    return {key: (subnet, address) for key, (subnet, address) in found.items() if subnet}


def is_filled(resources: Iterable[Resource], settings: Settings, facts: CloudFacts) -> bool:
    """Return whether a subnet takes a whole half of the network, as they did before there were zones."""
    type, output = facts.subnet_output
    network = resolve_network(settings, facts)
    halves = [str(half) for half in network.subnets()] if network.prefixlen <= ZONE_SUBNETS_PREFIX else []
    return any(one.outputs.get(output) in halves for one in resources if type and one.type == type)


def key_of(resource: Resource, facts: CloudFacts) -> str:
    """Return the node of a machine or of a data disk, `data-1` of `data-1-database`."""
    return resource.name if is_machine(resource, facts) else resource.name.rpartition("-")[0]


def is_machine(resource: Resource, facts: CloudFacts) -> bool:
    """Return whether a resource is a node's machine: where disks belong to machines, one that keeps a disk has the same type."""
    return resource.type == facts.machine_resource and is_node_key(resource.name)


def type_of(machine: Resource, facts: CloudFacts) -> str:
    """Return the machine type of a machine."""
    return find_output(machine.outputs, facts.type_output)


def find_output(outputs: Mapping[str, Any], path: str) -> str:
    """Return what stands at `ipConfigurations.0.subnet.id` of a resource's outputs, "" where nothing does."""
    value: Any = outputs
    for name in path.split("."):
        within = isinstance(value, Sequence) and len(value) > int(name) if name.isdigit() else isinstance(value, Mapping)
        value = (value[int(name)] if name.isdigit() else value.get(name)) if within else None
    return str(value or "")


def shorten(zone: Any, region: str) -> str:
    """Return `b` of `eu-central-1b`, `europe-west3-b`, and `2` of `["2"]`."""
    text = zone[0] if isinstance(zone, list) else zone
    return str(text).removeprefix(region).removeprefix("-")


def keep_standing(settings: Settings, facts: CloudFacts, standing: Standing) -> Settings:
    """Return the settings with what makes everything that stands stay there. A zone that a person gave a node is left alone, and
    so is a machine type that a person gave a role."""
    settings = keep_machines(settings, facts, standing)
    zones = list_zones(settings, facts)
    if not zones:
        return settings
    tier, catalogue = TIERS[settings.tier], resolve_catalogue(settings)
    turns = {key: zones[(int(key.rpartition("-")[2]) - 1) % len(zones)] for key in {**standing.zones, **settings.node_zones}}
    wanted = {**standing.zones, **settings.node_zones}
    node_zones = {key: zone for key, zone in sorted(wanted.items()) if zone and zone != turns[key]}

    def zone_of(role: str, n: int) -> str:
        return node_zones.get(f"{role}-{n}") or zones[(n - 1) % len(zones)]

    counts = count_nodes(tier, settings)
    servers = [(role, int(n)) for role, _, n in (key.rpartition("-") for key in standing.consul_servers)]
    as_new = choose_quorum(tier, counts, catalogue, zone_of)
    as_is = choose_quorum(tier, counts, catalogue, zone_of, servers)
    return settings.model_copy(
        update={
            "node_zones": node_zones,
            "consul_servers": () if as_is == as_new else tuple(f"{role}-{n}" for role, n in as_is),
            "zone_subnets": settings.zone_subnets and standing.zone_subnets,
        }
    )


def keep_machines(settings: Settings, facts: CloudFacts, standing: Standing) -> Settings:
    """Return the settings with the machine types that roles got by their size alone, where a new deployment gets a larger one."""
    region, tier, catalogue = settings.region or facts.default_region, TIERS[settings.tier], resolve_catalogue(settings)
    kept = {
        role.name: by_size.name
        for role in tier.roles
        if not settings.machine_types.get(role.name)
        and standing.machine_types.get(role.name) == (by_size := choose_by_size(facts, tier, role.name, region)).name
        and by_size != choose_default(facts, tier, role.name, region, catalogue)
    }
    return settings.model_copy(update={"machine_types": {**settings.machine_types, **kept}}) if kept else settings


def refuse_moves(plan: Plan, standing: Standing) -> None:
    """Raise a PlanError where a node would stand in another zone than its data disk, which cannot move."""
    problems = [
        setting_problem(
            f"node_zones.{node.key}",
            node.zone,
            f"its data disk is in zone {standing.zones[node.key]} and cannot move; remove webitel:node_zones.{node.key}",
        )
        for node in (*plan.nodes, *plan.kept)
        if any(disk.is_data for disk in node.disks) and standing.zones.get(node.key, node.zone) != node.zone
    ]
    if problems:
        raise PlanError(problems)
