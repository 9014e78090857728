"""Two nodes for SIP on the simulated hypervisors: both machines are made, and the domain leads to the address that they share."""

from pathlib import Path

import pytest

from components.clouds.registry import CLOUDS
from components.model.naming import node_name
from components.model.resource_types import LOCAL_ADDRESS
from provider.handlers import HANDLERS
from provider.server import Provider
from provider.values import Properties
from tests.clouds.conformance.program import CLOUD_CONFIG, run_program
from tests.plans import load_stack
from tests.simulator import webitel
from tests.simulator.case import load_case
from tests.simulator.faults import Faults
from tests.simulator.simulators import make_provider
from tests.simulator.world import World

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

HYPERVISORS = [name for name, cloud in CLOUDS.items() if cloud.made_to_measure]
DOMAIN = "voice.your-company.com"


def build(cloud: str, tier: str, folder: Path, **changes: object) -> tuple[World, Properties]:
    """A deployment with these settings beside the committed stack's."""
    world, faults = World(folder / "world.jsonl"), Faults(None)
    provider = make_provider(cloud, world, faults)
    if provider.configure:
        provider.configure({"region": CLOUDS[cloud].default_region, **CLOUD_CONFIG.get(provider.name, {})})
    providers = [provider, webitel.make_provider(world, faults)]
    settings = {"domain": DOMAIN, **changes}
    return world, run_program(f"{cloud}-{tier}", providers, settings, cloud_config=CLOUD_CONFIG)[1]


@pytest.mark.parametrize("cloud", HYPERVISORS)
@pytest.mark.parametrize(("tier", "role"), [("basic", "edge"), ("extended", "sip")])
def test_two_machines_have_one_address_for_the_world(cloud: str, tier: str, role: str, tmp_path: Path) -> None:
    network = load_stack(f"{cloud}-{tier}").plan.network
    address = f"{network.rpartition('.')[0]}.222"
    world, outputs = build(cloud, tier, tmp_path, counts={role: 2}, sip_address=address)
    names = {machine.name for machine in load_case(cloud).see(world)}
    assert {node_name(f"{cloud}-{tier}", role, n) for n in (1, 2)} <= names
    name = DOMAIN if role == "edge" else f"sip.{DOMAIN}"
    led = [line for line in outputs["dns_records"] if line.startswith(f"{name}. ") and " A " in line]
    assert led == [f"{name}. 300 IN A {address}"]


def test_this_machine_translates_one_address_more_than_it_has_edges() -> None:
    made, outputs = run_program(
        "local-basic",
        [Provider("webitel", "0.0.1", HANDLERS)],
        {"counts": {"edge": 2}, "local_network": "nat"},
        cloud_config=CLOUD_CONFIG,
        preview=True,
    )
    translated = {one.name: (one.inputs["public"], one.inputs["private"]) for one in made if one.type == LOCAL_ADDRESS}
    assert translated == {
        "edge-1": ("198.18.1.30", "10.77.1.30"),
        "edge-2": ("198.18.1.31", "10.77.1.31"),
        "sip": ("198.18.1.39", "10.77.1.39"),
    }
    assert outputs["url"] == "https://198.18.1.39/"
