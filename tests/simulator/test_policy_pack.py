"""The policy pack as Pulumi itself asks it, on a simulated cloud."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulator.conftest import StartProject
from tests.simulator.simulators import Simulators

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (ROOT / "tests/simulator/program.py").read_text()
CONFIG = {"hcloud:token": "x" * 64}
SETTINGS = {
    "webitel:cloud": "hetzner",
    "webitel:tier": "basic",
    "webitel:domain": "example.com",
    "webitel:operators": '["203.0.113.0/24"]',
}
"""What the pack makes its plan of: it opens 443 of the edge, and 22 for the operators."""


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pack, with what it needs installed beside the environment and not in it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "installed")]
    subprocess.run([*pip, "-r", str(ROOT / "policy/requirements.txt")], check=True)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "installed"))
    return ROOT / "policy"


def test_what_the_pack_forbids_is_refused(pack: Path, start_project: StartProject, simulators: Simulators) -> None:
    project = start_project(PROGRAM, {**CONFIG, **SETTINGS})
    fine = project.run("preview", "--policy-pack", str(pack))
    assert "webitel@v" in fine
    assert not [word for word in ("mandatory", "advisory") if word in fine], fine
    project.write(PROGRAM.replace('port="443"', 'port="22"').replace("ipv6_enabled=False", "ipv6_enabled=True"))
    project.run("config", "set", "size", "cx33")
    # In a preview already, where much of a machine is not known yet.
    shown = project.run("preview", "--policy-pack", str(pack), fails=True)
    for name, text in (
        ("no-open-ssh", "port 22 is open to 0.0.0.0/0: name the networks of your operators in webitel:operators"),
        ("no-unplanned-opening", "port 22/tcp is open to 0.0.0.0/0: the plan has no such opening"),
        ("no-shared-cpu", "serverType = cx33: shared"),
        ("no-unplanned-address", "ipv6Enabled: no firewall of ours knows IPv6"),
    ):
        assert f"[mandatory]  {name}" in shown and text in shown, shown
    project.up("--policy-pack", str(pack), fails=True)
    assert not simulators.world.all("hcloud:index/server:Server")


def test_a_pack_without_what_it_needs_fails(start_project: StartProject) -> None:
    shown = start_project(PROGRAM, CONFIG).run("preview", "--policy-pack", str(ROOT / "policy"), fails=True)
    assert "No module named 'pulumi_policy'" in shown


def test_without_settings_there_is_no_plan_and_nothing_may_be_open(pack: Path, start_project: StartProject) -> None:
    shown = start_project(PROGRAM, CONFIG).run("preview", "--policy-pack", str(pack), fails=True)
    said = "port 443/tcp is open to 0.0.0.0/0: there is no plan to hold it against: Pulumi.test.yaml has no settings of webitel:"
    assert said in shown
