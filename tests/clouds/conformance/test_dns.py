"""The domain's records on the simulated clouds, in a zone that the user has: nothing more and nothing less."""

from pathlib import Path
from typing import Any

import pytest

from components.model.clouds.facts import CLOUDS
from provider.server import Properties
from tests.clouds.conformance.bugs import Bug, put
from tests.clouds.conformance.dns import ZONE, Answer, make_zone, resolve_all
from tests.clouds.conformance.program import CLOUD_CONFIG, Draft, ProgramError, Tamper, run_program
from tests.clouds.conformance.seen import SEE
from tests.simulator import webitel
from tests.simulator.faults import Faults
from tests.simulator.simulators import make_provider
from tests.simulator.world import World

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

REAL = [name for name, cloud in CLOUDS.items() if cloud.real]
NAME = f"voice.{ZONE}"


def build(cloud: str, tier: str, folder: Path, tamper: Tamper | None = None, **changes: Any) -> tuple[World, Properties]:
    """A deployment whose domain lies in a zone that is there."""
    world, faults = World(folder / "world.jsonl"), Faults(None)
    provider = make_provider(cloud, world, faults)
    if provider.configure:
        provider.configure({"region": CLOUDS[cloud].default_region, **CLOUD_CONFIG.get(provider.name, {})})
    zone = make_zone(cloud, provider)
    settings = {"domain": NAME, "dns_zone": zone, **changes}
    providers = [provider, webitel.make_provider(world, faults)]
    return world, run_program(f"{cloud}-{tier}", providers, settings, cloud_config=CLOUD_CONFIG, tamper=tamper)[1]


def expected(cloud: str, world: World, web: str, sip: str) -> set[Answer]:
    """What has to be answered where these nodes stand for web and SIP."""
    addresses = {machine.name.partition("-")[2].partition("-")[2]: machine.public_address for machine in SEE[cloud](world)}
    target = NAME if web == sip else f"sip.{NAME}"
    return {
        (NAME, "A", str(addresses[web])), (target, "A", str(addresses[sip])),
        (f"_sip._udp.{NAME}", "SRV", f"10 10 5060 {target}"), (f"_sip._tcp.{NAME}", "SRV", f"10 10 5060 {target}"),
        (f"_sips._tcp.{NAME}", "SRV", f"10 10 5061 {target}"),
    }


@pytest.mark.parametrize("cloud", REAL)
@pytest.mark.parametrize(("tier", "web", "sip"), [("basic", "edge-1", "edge-1"), ("extended", "web-1", "sip-1")])
def test_records_of_the_domain(cloud: str, tier: str, web: str, sip: str, tmp_path: Path) -> None:
    world, outputs = build(cloud, tier, tmp_path)
    wanted = expected(cloud, world, web, sip)
    assert resolve_all(world) == wanted
    assert set(outputs["dns_records"]) == {
        f"{name}. 300 IN {type} {value}{'.' if type == 'SRV' else ''}" for name, type, value in wanted}


@pytest.mark.parametrize("cloud", REAL)
def test_domain_that_is_the_zone_itself(cloud: str, tmp_path: Path) -> None:
    world, _ = build(cloud, "single", tmp_path, domain=ZONE)
    assert (ZONE, "A") in {answer[:2] for answer in resolve_all(world)}
    assert (f"_sip._udp.{ZONE}", "SRV", f"10 10 5060 {ZONE}") in resolve_all(world)


@pytest.mark.parametrize("cloud", REAL)
def test_without_a_zone_the_records_are_told_only(cloud: str, tmp_path: Path) -> None:
    world, outputs = build(cloud, "single", tmp_path, dns_zone=None)
    assert resolve_all(world) == set()
    assert len(outputs["dns_records"]) == 4


def forget(draft: Draft) -> None:
    draft.forgotten = True


LABEL = f"_sip._udp.{NAME} SRV"
BUGS = [
    ("aws", Bug("another port", "Record", put("records.0", f"10 10 5061 {NAME}."), LABEL)),
    ("aws", Bug("no value", "Record", put("records", ["5060"]), LABEL)),
    ("aws", Bug("no address", "Record", put("records.0", "edge-1"), f"{NAME} A")),
    ("aws", Bug("outside the zone", "Record", put("name", "_sip._udp.voice.example.org"), LABEL)),
    ("azure", Bug("another port", "RecordSet", put("srvRecords.0.port", 5061), LABEL)),
    ("azure", Bug("type and records differ", "RecordSet", put("recordType", "A"), LABEL)),
    ("digitalocean", Bug("another port", "DnsRecord", put("port", 5061), f"{LABEL} 1")),
    ("digitalocean", Bug("no port", "DnsRecord", put("port", None), f"{LABEL} 1")),
    ("digitalocean", Bug("target inside the zone", "DnsRecord", put("value", NAME), f"{LABEL} 1")),
    ("gcp", Bug("another port", "RecordSet", put("rrdatas.0", f"10 10 5061 {NAME}."), LABEL)),
    ("gcp", Bug("no final dot", "RecordSet", put("name", f"_sip._udp.{NAME}"), LABEL)),
    ("gcp", Bug("outside the zone", "RecordSet", put("name", "_sip._udp.voice.example.org."), LABEL)),
    ("hetzner", Bug("another port", "ZoneRrset", put("records.0.value", f"10 10 5061 {NAME}."), LABEL)),
    ("hetzner", Bug("whole name", "ZoneRrset", put("name", f"_sip._udp.{NAME}"), LABEL)),
    *((cloud, Bug("forgotten", "", forget, LABEL)) for cloud in REAL if cloud != "digitalocean"),
]


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
    assert resolve_all(world) != expected(cloud, world, "edge-1", "edge-1")
