"""Each simulated cloud through the real command line, with the cloud's own SDK."""

from pathlib import Path

import pytest

from tests.simulator.conftest import StartProject
from tests.simulator.simulators import Simulators

pytestmark = pytest.mark.engine

PROGRAMS = Path(__file__).with_name("programs")


def read_program(cloud: str) -> str:
    return (PROGRAMS / f"{cloud}.py").read_text()


def test_hetzner(start_project: StartProject, simulators: Simulators) -> None:
    project = start_project(read_program("hetzner"), {"hcloud:token": "x" * 64})
    preview = project.preview()
    assert "public-1 : [unknown]" in preview
    assert "14 to create" in preview
    assert simulators.world.all() == []
    project.up()
    outputs = project.outputs()
    assert outputs["private-2"] == "10.20.0.11"
    assert outputs["public-1"].startswith("198.18.")
    project.up("--expect-no-changes")
    project.run("refresh", "--yes", "--expect-no-changes")

    firewall = simulators.world.all("hcloud:index/firewall:Firewall")[0]
    simulators.world.edit(firewall.type, firewall.id, rules=[])
    assert "rules" in project.run("refresh", "--yes", "--diff")
    project.up()
    assert simulators.world.all(firewall.type)[0].inputs["rules"]

    project.run("config", "set", "user_data", "#!/bin/sh\ntrue\n")
    project.up()
    assert project.outputs()["public-1"] == outputs["public-1"]
    project.run("destroy", "--yes")
    assert simulators.world.all() == []
