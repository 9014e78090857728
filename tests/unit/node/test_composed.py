"""From the composer to the node program, with nothing written by hand in between: what a change does on a node."""

import json
from typing import Any

import pytest

from cloud_init.bundles import HERE
from cloud_init.compose import compose_configuration
from cloud_init.node.apply import units
from stacks.load import load_deployment
from tests.plans import make_plan

BUNDLES = {
    "freeswitch": "drain freeswitch", "nginx": "reload nginx",
    "opensips": "/usr/lib/webitel/setup/opensips.sh reload_routes",
}
"""Bundle -> what a new version of it does."""


def given(stack: str, key: str) -> dict[str, Any]:
    """What a node is sent, through JSON as it travels."""
    settings = load_deployment(stack).settings
    plan = make_plan(settings, stack)
    made = compose_configuration(plan, plan.node(key), settings)
    sent: dict[str, Any] = json.loads(json.dumps({
        "files": made.files, "attributes": made.attributes, "manifest": made.manifest, "bundles": made.bundles}))
    return sent


def test_every_bundle_of_ours_is_in_the_table() -> None:
    assert {path.name for path in (HERE / "bundles").iterdir()} == set(BUNDLES)
    assert set(BUNDLES) <= set(given("local-single", "all-1")["bundles"])


@pytest.mark.parametrize("bundle", BUNDLES)
@pytest.mark.parametrize(("stack", "key"), [("local-single", "all-1"), ("aws-basic", "app-1"), ("hetzner-extended", "media-2")])
def test_a_changed_bundle_reaches_the_program_that_reads_it(stack: str, key: str, bundle: str) -> None:
    configuration = given(stack, key)
    now = configuration["bundles"]
    before = {"bundles": now | {bundle: "older"}}
    here = bundle in now
    actions = units.order_actions(units.actions_of_bundles(configuration, before), configuration["manifest"])
    assert actions == ([BUNDLES[bundle]] if here else [])
    assert units.actions_of_bundles(configuration, {"bundles": now}) == []
    assert units.actions_of_bundles(configuration, {}) == [], "at creation everything starts anyway"


def test_a_node_without_the_service_does_nothing_for_its_bundle() -> None:
    configuration = given("aws-basic", "edge-1")
    assert "freeswitch" not in configuration["manifest"]["bundle_actions"] and "freeswitch" not in configuration["bundles"]


@pytest.mark.parametrize("stack", ["local-single", "aws-basic"])
def test_every_action_of_a_node_is_one_that_the_node_program_performs(stack: str) -> None:
    for node in load_deployment(stack).plan.nodes:
        configuration = given(stack, node.key)
        manifest = configuration["manifest"]
        names = {unit["name"] for unit in manifest["units"]}
        said = [action for attribute in configuration["attributes"].values() for action in attribute["actions"]]
        said += [action for actions in manifest["bundle_actions"].values() for action in actions]
        said += [action for entry in manifest["versions"].values() for action in entry["actions"]]
        for verb, _, unit in (action.partition(" ") for action in said):
            assert verb not in units.VERBS or unit in names, f"{node.key}: {verb} {unit}"
