"""A simulated cloud through the real command line, with a small program and the cloud's own SDK."""

import json
import time
from pathlib import Path

import pytest

from provider.server import Request
from tests.simulator.conftest import StartProject
from tests.simulator.simulators import Simulators

pytestmark = pytest.mark.engine

PROGRAM = Path(__file__).with_name("program.py").read_text()


def test_a_lost_creation_is_adopted_by_its_name_and_not_forgiven(start_project: StartProject, simulators: Simulators) -> None:
    project = start_project(PROGRAM, {"hcloud:token": "x" * 64})
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
