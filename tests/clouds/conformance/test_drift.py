"""What `drift` says of a change made behind Pulumi's back in a simulated cloud, and that `up --refresh` brings it back."""

import json

import pytest

from cli.commands.drift import Drift, read_drift
from cli.engine.events import EventLog
from components.clouds.registry import CLOUDS
from tests.clouds.conformance.command import OWN, command_line
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.sample import do_on
from tests.simulator.case import load_case

pytestmark = pytest.mark.clouds

REAL = [name for name, facts in CLOUDS.items() if facts.real]
OPENED = ("aws", "azure")
"""Clouds whose firewall is changed in the short form: a resource a rule, and a list of rules in one."""
FIREWALL, VOLUME = "hcloud:index/firewall:Firewall", "hcloud:index/volume:Volume"


@pytest.fixture(scope="module")
def live(start: Start, standing: Standing) -> Live:
    return start("hetzner-single", standing("hetzner-single"))


def look(live: Live) -> Drift:
    live.deployment._stepped("refresh", "--preview-only", "--suppress-outputs")
    return read_drift(EventLog(live.deployment.folder / "events.json").read())


def test_nothing_changed(live: Live) -> None:
    before = live.deployment.state()
    assert look(live) == Drift()
    assert live.deployment.state() == before


def test_changed_and_deleted_things_are_named_and_brought_back(live: Live) -> None:
    (firewall,), before = live.world.all(FIREWALL), live.deployment.state()
    rules = firewall.inputs["rules"]
    opened = {"direction": "in", "protocol": "tcp", "port": "22", "sourceIps": ["0.0.0.0/0"]}
    live.world.edit(FIREWALL, firewall.id, rules=[*rules, opened])
    (group,) = live.world.all("hcloud:index/placementGroup:PlacementGroup")
    live.world.edit(group.type, group.id, labels={**group.inputs["labels"], "by": "hand"})
    seen = look(live)
    assert not seen.errors and not seen.unknown
    assert len(seen.changed) == 2, seen.changed
    told = {line.partition(":")[0]: line for line in seen.changed}
    assert "rules" in told["all firewall"]
    assert "labels" in told["all-spread-1 placement group"]
    assert live.deployment.state() == before, "a look changes nothing"
    live.deployment.up("--refresh")
    (firewall,) = live.world.all(FIREWALL)
    assert firewall.inputs["rules"] == rules
    assert look(live) == Drift()


@pytest.mark.parametrize("cloud", [name for name in REAL if CLOUDS[name].firewalls])
def test_a_firewall_that_somebody_changed_is_brought_back(cloud: str, start: Start, standing: Standing) -> None:
    do_on(OPENED, cloud, "takes ten seconds")
    changed = start(f"{cloud}-single", standing(f"{cloud}-single"))
    type, input, other = load_case(cloud).rule
    rule = next(thing for thing in changed.world.all(type) if thing.inputs.get(input))
    wanted = rule.inputs[input]
    changed.world.edit(type, rule.id, **{input: other})
    assert any(input in line for line in look(changed).changed)
    changed.deployment.up("--refresh")
    brought_back = changed.world.find(type, rule.id)
    assert brought_back and brought_back.inputs[input] == wanted


def test_a_thing_that_is_gone_is_named(live: Live) -> None:
    volume = next(thing for thing in live.world.all(VOLUME) if thing.urn.endswith("::all-1-recordings"))
    live.world.erase(VOLUME, volume.id)
    assert "all-1-recordings volume: is gone" in look(live).changed


def test_what_may_hang_its_provider_is_not_read(start: Start, standing: Standing) -> None:
    """Here the reading of a disc fails; the real one never answers, now and then (docs/facts/onprem.md 6.14)."""
    live = start("libvirt-single", standing("libvirt-single", OWN))
    live.deployment.configure(OWN)
    faults = live.simulators.faults.file
    assert faults
    faults.write_text(json.dumps([{"kind": "error", "operation": "read", "type": ":CloudInitDisk", "times": 0}]))
    with command_line(live) as webitel:
        for words in (("drift", live.deployment.stack, "--no-nodes"), ("up", live.deployment.stack, "--yes", "--repair")):
            ran = webitel(*words)
            assert ran.exit_code == 0, (ran.output, ran.exception)
