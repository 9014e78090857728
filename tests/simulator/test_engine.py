"""Each simulated cloud through the real command line, with the cloud's own SDK."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from provider.server import Request
from tests.simulator.case import load_case
from tests.simulator.conftest import StartProject
from tests.simulator.simulators import PACKAGES, Simulators

pytestmark = pytest.mark.engine

FOLDER = Path(__file__).parent


def config_of(cloud: str) -> Mapping[str, str]:
    """What its provider needs, as a stack file says it."""
    return {f"{PACKAGES[cloud]}:{name}": str(value) for name, value in load_case(cloud).settings.items()}


@pytest.mark.parametrize("cloud", PACKAGES)
def test_preview_up_drift_destroy(cloud: str, start_project: StartProject, simulators: Simulators) -> None:
    type, input, other = load_case(cloud).rule
    project = start_project((FOLDER / cloud / "program.py").read_text(), config_of(cloud))
    assert "public-1 : [unknown]" in project.preview()
    assert simulators.world.all() == []
    project.up()
    outputs = project.outputs()
    assert outputs["private-1"].startswith("10.20.0.")
    assert outputs["public-1"].startswith("198.")

    firewall = next(thing for thing in simulators.world.all(type) if thing.inputs.get(input))
    wanted = firewall.inputs[input]
    simulators.world.edit(firewall.type, firewall.id, **{input: other})
    assert input in project.up("--refresh", "--diff")
    changed = simulators.world.find(firewall.type, firewall.id)
    assert changed is not None
    assert changed.inputs[input] == wanted
    project.up("--expect-no-changes", "--refresh")

    project.run("destroy", "--yes")
    assert simulators.world.all() == []


def test_a_lost_creation_is_adopted_by_its_name_and_not_forgiven(start_project: StartProject, simulators: Simulators) -> None:
    project = start_project((FOLDER / "hetzner" / "program.py").read_text(), config_of("hetzner"))
    assert simulators.faults.file is not None
    simulators.faults.file.write_text(json.dumps([{"kind": "cut", "type": "server:Server"}]))
    run = project.start("up", "--yes", "--skip-preview")
    assert simulators.faults.cut.wait(60)
    for _ in range(600):
        if simulators.world.all("hcloud:index/volumeAttachment:VolumeAttachment"):
            break
        time.sleep(0.1)
    time.sleep(2)  # killed in the middle of writing its state, an engine leaves half a file
    run.kill()
    run.communicate()
    simulators.faults.file.unlink()
    project.run("cancel", "--yes")
    assert "already in use" in project.up(fails=True)

    state = json.loads(project.run("stack", "export"))
    [pending] = state["deployment"].pop("pending_operations")
    lost = pending["resource"]
    [hcloud] = [provider for provider in simulators.providers if provider.name == "hcloud"]
    assert hcloud.invoke
    found = hcloud.invoke(Request(""), "hcloud:index/getServer:getServer", {"name": lost["inputs"]["name"]})
    # Its inputs stand there already; what the cloud decided comes by the refresh.
    state["deployment"]["resources"].append({**lost, "id": found["id"]})
    (project.folder / "state.json").write_text(json.dumps(state))
    project.run("stack", "import", "--file", "state.json")
    project.up("--refresh")
    servers = simulators.world.all("hcloud:index/server:Server")
    assert sorted(server.inputs["name"] for server in servers) == ["edge-1", "edge-2"]
    project.up("--expect-no-changes")
