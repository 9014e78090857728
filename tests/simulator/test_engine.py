"""Each simulated cloud through the real command line, with the cloud's own SDK."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.conftest import StartProject
from tests.simulator.simulators import Simulators

pytestmark = pytest.mark.engine

PROGRAMS = Path(__file__).with_name("programs")

CLOUDS: Mapping[str, tuple[Mapping[str, str], str, str, Any]] = {
    "hetzner": ({"hcloud:token": "x" * 64}, "hcloud:index/firewall:Firewall", "rules", []),
    "digitalocean": ({"digitalocean:token": "x"}, "digitalocean:index/firewall:Firewall", "inboundRules", []),
    "aws": (
        {"aws:region": "us-east-1"}, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "cidrIpv4", "10.0.0.0/8"),
    "gcp": ({"gcp:project": "test"}, "gcp:compute/firewall:Firewall", "sourceRanges", ["10.0.0.0/8"]),
    "azure": (
        {"azure-native:location": "westeurope"}, "azure-native:network:NetworkSecurityGroup", "securityRules", []),
}
"""Cloud -> what its provider needs; the firewall's rules: their type, their input and another value of it."""


@pytest.mark.parametrize("cloud", CLOUDS)
def test_preview_up_drift_destroy(cloud: str, start_project: StartProject, simulators: Simulators) -> None:
    config, type, input, other = CLOUDS[cloud]
    project = start_project((PROGRAMS / f"{cloud}.py").read_text(), config)
    assert "public-1 : [unknown]" in project.preview()
    assert simulators.world.all() == []
    project.up()
    outputs = project.outputs()
    assert outputs["private-1"].startswith("10.20.0.")
    assert outputs["public-1"].startswith("198.")
    project.up("--expect-no-changes", "--refresh")

    firewall = next(thing for thing in simulators.world.all(type) if thing.inputs.get(input))
    wanted = firewall.inputs[input]
    simulators.world.edit(firewall.type, firewall.id, **{input: other})
    assert input in project.run("refresh", "--yes", "--diff")
    project.up()
    changed = simulators.world.find(firewall.type, firewall.id)
    assert changed is not None
    assert changed.inputs[input] == wanted

    project.run("destroy", "--yes")
    assert simulators.world.all() == []
