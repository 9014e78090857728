"""A bucket for backups on a running deployment, on the real engine: made beside what runs, kept when that goes, used again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clouds.conformance.buckets import KEPT, KEYS, NAME, OBJECTS, SECRET
from tests.clouds.conformance.checks import CONFIGURATION, HEALTH
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.engine import EngineError, Step
from tests.clouds.conformance.sample import deal, do_on
from tests.clouds.conformance.test_interruptions import find_again
from tests.simulator.world import Thing

pytestmark = pytest.mark.clouds

OWN_PROVIDER = "pulumi:providers:webitel"
"""It has another folder in each run."""
RULES = (":SecurityGroupEgressRule",)
"""Say what a way out is for, which is one thing more."""
OTHER = "acme-webitel-2"
MANAGED = {"backup": {"bucket": NAME}}


@pytest.fixture(scope="module", params=KEPT)
def live(request: pytest.FixtureRequest, start: Start, standing: Standing) -> Live:
    do_on(deal("bucket", {"engine": 1}, tuple(KEPT))["engine"], request.param, "takes half a minute")
    stack = f"{request.param}-single"
    return start(stack, standing(stack))


def told(steps: list[Step]) -> set[tuple[str, str]]:
    return {(step.op, step.type) for step in steps if step.type != OWN_PROVIDER}


def test_it_is_made_beside_what_runs(live: Live) -> None:
    cloud = live.deployment.stack.partition("-")[0]
    live.deployment.configure(MANAGED)
    assert ("update", CONFIGURATION) in told(live.deployment.preview()), "its log-in is not known yet"
    done = told(live.deployment.up())
    assert {("create", type) for type in KEPT[cloud]} <= done
    assert {one for one in done if one[0] != "create" and not one[1].endswith(RULES)} == {
        ("update", CONFIGURATION),
        ("update", HEALTH),
        ("update", "webitel:index:Secrets"),
    }
    assert live.deployment.preview("--expect-no-changes") == []
    assert live.deployment.refresh() == []
    assert SECRET not in json.dumps(live.deployment.state())
    (given,) = [one["inputs"] for one in live.deployment.decrypted_state() if one["type"] == CONFIGURATION]
    assert SECRET in json.dumps(given["secrets"]) and SECRET not in json.dumps(given["files"])


def test_its_key_is_rotated_and_the_former_goes_when_nodes_have_the_other_one(live: Live) -> None:
    before = {one["id"] for one in live.deployment.state() if one["type"] in KEYS}
    live.deployment.configure(MANAGED | {"rotate": {"backup_key": 2}})
    done = [(step.op, step.type) for step in live.deployment.up() if step.type in (*KEYS, CONFIGURATION)]
    (key,) = {type for _, type in done} - {CONFIGURATION}
    assert done == [("create", key), ("update", CONFIGURATION), ("delete", key)]
    assert before.isdisjoint(one["id"] for one in live.deployment.state() if one["type"] in KEYS)
    assert live.deployment.preview("--expect-no-changes") == []
    live.deployment.configure(MANAGED)
    live.deployment.up()


def test_each_creation_is_found_again(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_again(live, tmp_path, monkeypatch)


def test_another_one_is_made_and_the_first_is_not_left_behind(live: Live) -> None:
    cloud = live.deployment.stack.partition("-")[0]
    live.deployment.configure({"backup": {"bucket": OTHER}})
    with pytest.raises(EngineError, match=f"{NAME} holds backups of this deployment and stays"):
        live.deployment.up()
    live.deployment.configure({"backup": {"bucket": OTHER, "kept_buckets": [NAME]}})
    done = {(step.op, step.type, step.name) for step in live.deployment.up()}
    assert {("create", type, OTHER) for type in KEPT[cloud]} <= done
    assert not {name for op, type, name in done if name == NAME or (op != "create" and type in KEPT[cloud])}
    live.deployment.configure(MANAGED | {"backup": {"bucket": NAME, "kept_buckets": [OTHER]}})
    live.deployment.up()


def test_it_stays_when_the_deployment_goes_and_is_used_again(live: Live) -> None:
    cloud = live.deployment.stack.partition("-")[0]
    fill(live, cloud)
    live.deployment.destroy("--exclude-protected")
    assert [type for type in KEPT[cloud] if not live.world.find(type, NAME)] == []
    live.deployment.up()
    assert live.deployment.preview("--expect-no-changes") == []


def test_it_stays_when_everything_else_is_deleted(live: Live) -> None:
    cloud = live.deployment.stack.partition("-")[0]
    live.deployment.run("state", "unprotect", "--all", "--yes")
    live.deployment.destroy()
    assert live.deployment.state() == []
    assert [type for type in KEPT[cloud] if not live.world.find(type, NAME)] == []


def fill(live: Live, cloud: str) -> None:
    """Puts something into the bucket."""
    with live.world.change():
        live.world.put(Thing(OBJECTS[cloud], NAME, "", {}))
