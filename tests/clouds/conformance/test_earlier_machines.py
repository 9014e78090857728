"""A deployment whose relay has the machine type of an earlier version, on the real engine: it keeps it, the stack file says so.

`WEBITEL_TEST_LONG=1` only; tests/unit/model/test_standing_machines.py has every cloud's, without an engine.
"""

from __future__ import annotations

import json

import pytest
import yaml

from components.model.planning.standing import OUTPUT, TYPES
from tests.clouds.conformance.command import OWN, command_line
from tests.clouds.conformance.conftest import Start
from tests.long_form import only_long
from tests.unit.model.test_standing_machines import EARLIER

pytestmark = [
    pytest.mark.clouds,
    only_long("takes a minute a cloud"),
]


@pytest.mark.parametrize(("cloud", "type"), EARLIER.items())
def test_up_leaves_it_alone(cloud: str, type: str, start: Start) -> None:
    live = start(f"{cloud}-extended")
    deployment = live.deployment
    deployment.configure({**OWN, "machine_types": {"sip": type}})
    deployment.up()
    state = json.loads(deployment.state_file.read_text())
    for one in state["checkpoint"]["latest"]["resources"]:
        if one["type"] == "pulumi:pulumi:Stack":
            del one["outputs"][OUTPUT][TYPES]
    deployment.state_file.write_text(json.dumps(state))
    deployment.configure(OWN)
    assert [step for step in deployment.preview() if not step.type.startswith("pulumi:")] == []
    before = deployment.known()
    with command_line(live) as webitel:
        done = webitel("up", deployment.stack, "--yes")
        assert done.exit_code == 0, (done.output, done.exception)
    assert yaml.safe_load(deployment.file.read_text())["config"]["webitel:machine_types"] == {"sip": type}
    assert deployment.known() == before
    assert [step for step in deployment.preview() if not step.type.startswith("pulumi:")] == []
