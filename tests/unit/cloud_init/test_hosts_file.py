"""A host that was given keeps its name: it leads to its address on every node, and is what questions ask by."""

import json

from components.model.settings import Settings
from stacks.load import make_deployment
from tests.plans import compose_configuration, with_hosts


def test_a_given_host_is_known_by_the_name_that_its_owner_gave_it() -> None:
    settings = with_hosts(Settings.model_validate({"cloud": "onprem", "tier": "basic"}))
    plan = make_deployment(settings, "rack").plan
    configuration = compose_configuration(plan, plan.node("app-1"), settings)
    assert "{{address:data-1}} rack-data-1 data-1 {{address:data-1.name}}\n" in configuration.files["/etc/hosts"]
    probes = [probe for service in configuration.manifest["services"] for probe in service["probes"]]
    named = [probe for probe in probes if "{{address:app-1.name}}" in json.dumps(probe)]
    assert named and not [probe for probe in probes if "freeswitch-rack-app-1" in json.dumps(probe)]
    assert configuration.manifest["given"]


def test_a_machine_that_was_made_has_the_name_of_its_node() -> None:
    settings = Settings.model_validate({"cloud": "local", "tier": "basic"})
    plan = make_deployment(settings, "rack").plan
    configuration = compose_configuration(plan, plan.node("app-1"), settings)
    assert "{{address:data-1}} rack-data-1 data-1\n" in configuration.files["/etc/hosts"]
    assert ".name}}" not in json.dumps(configuration.manifest)
