"""What the simulated clouds were asked for, against the plan: clouds x tiers, nothing more and nothing less."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.clouds.registry import CLOUDS
from components.model.catalogue.tiers import TIERS
from components.model.plan import Plan
from components.model.problems import PlanError
from components.model.settings import Settings
from policy.planned import PlannedOpenings
from policy.rules import RULES, Rule
from tests.clouds.conformance.checks import SECRETS, find_option_problems, find_world_problems
from tests.clouds.conformance.conftest import Standing, Start
from tests.clouds.conformance.program import CLOUD_CONFIG, Config, Registration, list_texts, read_config, run_program
from tests.clouds.conformance.sample import HYPERVISORS, SELLERS, deal, do_on
from tests.plans import make_plan
from tests.simulator import webitel
from tests.simulator.case import identity, load_case
from tests.simulator.faults import Faults
from tests.simulator.simulators import make_provider
from tests.simulator.world import World

pytestmark = [
    pytest.mark.clouds,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of an SDK about itself
]

REAL = [name for name, cloud in CLOUDS.items() if cloud.real]

WIDE: Config = {
    "counts": {"data": 3, "app": 2},
    "phones": ["198.51.100.0/24", "192.0.2.0/24"],
    "carriers": ["198.51.100.0/24", "203.0.113.128/25"],
    "operators": ["203.0.113.0/24", "192.0.2.7/32"],
    "disk_sizes": {"data.database": 300},
    "recordings_share": {"source": "10.99.0.4:/webitel"},
}
"""A `basic` stack with clusters, audiences that share networks, and a way out to one address only."""

MANY: Config = {
    "counts": {"db": 5, "bus": 3, "storage": 2, "media": 12, "web": 3},
    "recordings_share": {"source": "files.example.com:recordings", "type": "glusterfs"},
}
"""An `extended` stack of 26 nodes: more of a role than a placement group or one request takes."""

KEPT: Config = {"kept_disks": ["data-3"]}
"""A `basic` stack with the disk of a node that is gone."""

APART: Mapping[str, Config] = {
    cloud: {"zones": list(CLOUDS[cloud].zones[:3]), "counts": {"data": 3, "app": 4}, **load_case(cloud).several}
    for cloud in REAL
    if CLOUDS[cloud].zones
}
"""A `basic` stack over three zones."""

VARIANTS: list[tuple[str, Config]] = [*((tier, {}) for tier in TIERS), ("basic", WIDE), ("extended", MANY), ("basic", KEPT)]


TIERS_OF_HYPERVISORS = deal("tiers", dict.fromkeys(TIERS, 1), HYPERVISORS)
"""Those that have a tier made by the engine in the short form."""


def plan_of(stack: str, changes: Config | None = None) -> tuple[Plan, Settings]:
    """The plan of a committed stack with changed settings."""
    settings = Settings.model_validate(read_config(stack, changes))
    return make_plan(settings, stack), settings


def build(stack: str, folder: Path, changes: Config | None = None, **more: Any) -> tuple[World, list[Registration]]:
    """The whole program in this process, on a simulated cloud of its own, whose world may be there already."""
    world, faults = World(folder / "world.jsonl"), Faults(None)
    providers = [make_provider(stack.partition("-")[0], world, faults), webitel.make_provider(world, faults)]
    return world, run_program(stack, providers, changes, cloud_config=CLOUD_CONFIG, **more)[0]


@pytest.mark.parametrize("cloud", REAL)
@pytest.mark.parametrize(("tier", "changes"), VARIANTS, ids=[*TIERS, "wide", "many", "kept"])
def test_program_makes_the_plan(cloud: str, tier: str, changes: Config, tmp_path: Path) -> None:
    stack = f"{cloud}-{tier}"
    if changes is KEPT and CLOUDS[cloud].disks_in_machine:
        with pytest.raises(PlanError, match="a data disk goes with its machine"):
            plan_of(stack, changes)
        return
    plan, settings = plan_of(stack, changes)
    world, registrations = build(stack, tmp_path, changes)
    assert [*find_world_problems(plan, settings, world), *find_option_problems(plan, registrations)] == []
    wrong = [
        f"{rule.name}: {thing.type} {text}"
        for thing in world.all()
        for rule in (*RULES, Rule("no-unplanned-opening", "", PlannedOpenings(plan).check))
        for text in rule.check(thing.type, thing.inputs)
    ]
    assert wrong == []


@pytest.mark.parametrize("cloud", APART)
def test_every_zone_has_its_nodes_disks_and_ways_out(cloud: str, tmp_path: Path) -> None:
    stack, changes = f"{cloud}-basic", APART[cloud]
    plan, settings = plan_of(stack, changes)
    assert [node.zone for node in plan.nodes if node.role == "app"] == [*plan.zones, plan.zones[0]]
    world, registrations = build(stack, tmp_path, changes)
    assert [*find_world_problems(plan, settings, world), *find_option_problems(plan, registrations)] == []
    # Whichever zone but the first is lost: every role has a node left, every cluster its majority, every node its way out.
    seen = {one.name: one for one in load_case(cloud).see(world)}
    for lost in plan.zones[1:]:
        left = [node for node in plan.nodes if node.zone != lost]
        assert {node.role for node in left} == set(plan.roles)
        assert sum("consul-server" in node.services for node in left) == sum(node.role == "data" for node in left) == 2
        places = {seen[node.name].place for node in left}
        assert {seen[node.name].way_out for node in left} <= places | {None}


@pytest.mark.parametrize("cloud", REAL)
@pytest.mark.parametrize("tier", TIERS)
def test_engine_makes_the_plan_and_ends_it(cloud: str, tier: str, standing: Standing, start: Start) -> None:
    do_on((*SELLERS, *TIERS_OF_HYPERVISORS[tier]), cloud, "takes twenty seconds")
    stack = f"{cloud}-{tier}"
    plan, settings = plan_of(stack)
    live = standing(stack)
    assert list(find_world_problems(plan, settings, live.world)) == []
    names = {node.key for node in plan.nodes}
    protected = {one["urn"].rpartition("::")[2] for one in live.deployment.state() if one.get("protect")}
    resource = load_case(cloud).types.resource_of
    disks = {resource(f"{node.key}-{disk.purpose}") for node in plan.nodes for disk in node.disks if disk.is_data}
    assert disks | {"secrets"} <= protected <= disks | {"secrets"} | names
    text = json.dumps(live.deployment.state())
    made = next(one for one in live.deployment.decrypted_state() if one["type"] == SECRETS)["outputs"]["values"]
    values = list(list_texts(json.loads(made["plaintext"])))
    assert len(values) > 10 and not [value for value in values if json.dumps(value)[1:-1] in text]
    assert live.deployment.preview("--expect-no-changes") == []
    ended, types = start(stack, live), load_case(cloud).types
    ended.deployment.destroy("--exclude-protected")  # as `webitel destroy` does it
    held = {node.key for node in plan.nodes if node.has_data} if plan.facts.disks_in_machine else set()
    assert {one.urn.rpartition("::")[2] for one in types.list_machines(ended.world)} == held
    assert [identity(disk) for disk in types.list_disks(ended.world)] == [identity(disk) for disk in types.list_disks(live.world)]
    assert {one["urn"].rpartition("::")[2] for one in ended.deployment.state() if one.get("protect")} == protected
