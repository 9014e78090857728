"""The domain's records on the simulated clouds, in a zone that the user has: nothing more and nothing less."""

from pathlib import Path
from typing import Any

import pytest

from components.clouds.registry import CLOUDS
from provider.server import Properties
from tests.clouds.conformance.dns import make_zone, resolve_all
from tests.clouds.conformance.program import CLOUD_CONFIG, ProgramError, Tamper, run_program
from tests.simulator import webitel
from tests.simulator.bugs import Bug, Draft
from tests.simulator.case import RECORD_NAME as NAME
from tests.simulator.case import ZONE, Answer, load_case
from tests.simulator.faults import Faults
from tests.simulator.simulators import make_provider
from tests.simulator.world import World

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

NAMING = [name for name, cloud in CLOUDS.items() if cloud.dns]


def build(cloud: str, tier: str, folder: Path, tamper: Tamper | None = None, **changes: Any) -> tuple[World, Properties]:
    """A deployment whose domain lies in a zone that is there."""
    world, faults = World(folder / "world.jsonl"), Faults(None)
    provider = make_provider(cloud, world, faults)
    if provider.configure:
        provider.configure({"region": CLOUDS[cloud].default_region, **CLOUD_CONFIG.get(provider.name, {})})
    zone = make_zone(cloud, provider)
    settings = {"domain": NAME, "dns_zone": zone, "reverse_dns": CLOUDS[cloud].reverse_dns, **changes}
    providers = [provider, webitel.make_provider(world, faults)]
    return world, run_program(f"{cloud}-{tier}", providers, settings, cloud_config=CLOUD_CONFIG, tamper=tamper)[1]


def expected(cloud: str, world: World, web: str, sip: str) -> set[Answer]:
    """What has to be answered where these nodes stand for web and SIP."""
    machines = load_case(cloud).see(world)
    addresses = {machine.name.partition("-")[2].partition("-")[2]: machine.public_address for machine in machines}
    target = NAME if web == sip else f"sip.{NAME}"
    names = {(str(addresses[web]), "PTR", NAME), (str(addresses[sip]), "PTR", target)} if CLOUDS[cloud].reverse_dns else set()
    return names | {
        (NAME, "A", str(addresses[web])),
        (target, "A", str(addresses[sip])),
        (f"_sip._udp.{NAME}", "SRV", f"10 10 5060 {target}"),
        (f"_sip._tcp.{NAME}", "SRV", f"10 10 5060 {target}"),
        (f"_sips._tcp.{NAME}", "SRV", f"10 10 5061 {target}"),
    }


@pytest.mark.parametrize("cloud", NAMING)
@pytest.mark.parametrize(("tier", "web", "sip"), [("basic", "edge-1", "edge-1"), ("extended", "web-1", "sip-1")])
def test_records_of_the_domain(cloud: str, tier: str, web: str, sip: str, tmp_path: Path) -> None:
    world, outputs = build(cloud, tier, tmp_path)
    wanted = expected(cloud, world, web, sip)
    assert resolve_all(world, cloud) == wanted
    assert set(outputs["dns_records"]) == {
        f"{name}. 300 IN {type} {value}{'.' if type == 'SRV' else ''}" for name, type, value in wanted if type != "PTR"
    }


@pytest.mark.parametrize("cloud", NAMING)
def test_domain_that_is_the_zone_itself(cloud: str, tmp_path: Path) -> None:
    world, _ = build(cloud, "single", tmp_path, domain=ZONE)
    assert (ZONE, "A") in {answer[:2] for answer in resolve_all(world, cloud)}
    assert (f"_sip._udp.{ZONE}", "SRV", f"10 10 5060 {ZONE}") in resolve_all(world, cloud)


@pytest.mark.parametrize("cloud", NAMING)
def test_without_a_zone_the_records_are_told_only(cloud: str, tmp_path: Path) -> None:
    world, outputs = build(cloud, "single", tmp_path, dns_zone=None, reverse_dns=False)
    assert resolve_all(world, cloud) == set()
    assert len(outputs["dns_records"]) == 4


BUGS = [(cloud, bug) for cloud in NAMING for bug in load_case(cloud).record_bugs]


@pytest.mark.parametrize(("cloud", "bug"), BUGS, ids=[f"{cloud}-{bug.title}" for cloud, bug in BUGS])
def test_bug_is_found(cloud: str, bug: Bug, tmp_path: Path) -> None:
    planted: list[str] = []

    def plant(draft: Draft) -> None:
        if bug.fits(draft):
            bug.change(draft)
            planted.append(draft.name)

    try:
        world, _ = build(cloud, "basic", tmp_path, plant)
    except ProgramError:
        assert planted
        return
    assert planted, "nothing to plant the bug in"
    assert resolve_all(world, cloud) != expected(cloud, world, "edge-1", "edge-1")
