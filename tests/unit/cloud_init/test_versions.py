"""What a node is told of versions: of which package, and what another one does."""

import pytest

from cloud_init.node.manifest import VersionEntry
from sandbox.build import by_name
from tests.plans import compose_configuration, load_stack, make_plan


def versions_of(stack: str, **wanted: str) -> dict[str, VersionEntry]:
    """The first node's versions."""
    settings = load_stack(stack).settings
    settings = settings.model_copy(update={"package_versions": {name.replace("_", "-"): one for name, one in wanted.items()}})
    plan = make_plan(settings, stack)
    return compose_configuration(plan, plan.nodes[0], settings).manifest["versions"]


def test_stand_ins_have_the_version_of_their_content() -> None:
    found = versions_of("local-single")
    assert {name: entry["version"] for name, entry in found.items()} == {
        name: package.version for name, package in by_name().items() if name in found
    }
    assert all(entry["lower"] for entry in found.values())
    assert found["grafana"]["actions"] == ["restart grafana-server"]
    assert found["freeswitch-mod-opus"]["actions"] == ["drain freeswitch"]
    for name in ("webitel-auth-app", "webitel-postgresql-15", "webitel-common"):
        assert found[name]["actions"] == []
    assert {"restart engine", "restart opensips", "drain freeswitch", "restart grafana-server"} <= set(
        found["webitel-sandbox"]["actions"]
    )


def test_without_a_sandbox_and_a_setting_there_are_none() -> None:
    assert versions_of("aws-basic") == {}


@pytest.mark.parametrize("stack", ["aws-single", "local-single"])
def test_a_setting_has_the_last_word_and_may_not_fall(stack: str) -> None:
    wanted = {
        "webitel_engine": "25.08.3-1",
        "webitel_core": "25.08.2-1",
        "webitel_common": "25.08.9",
        "rabbitmq_server": "3.10.8-1.1",
        "rtpengine_daemon": "10.5",
        "postgresql_15": "15.14-0+deb12u1",
        "haproxy": "2.6.12-1",
        "nginx": "1.22.1-9",
        "patroni": "3.0.2-1",
        "curl": "7.88.1-10",
    }
    found = {name: entry for name, entry in versions_of(stack, **wanted).items() if "lower" not in entry}
    assert {name: entry["actions"] for name, entry in found.items()} == {
        "webitel-engine": ["restart engine"],
        "webitel-core": ["restart webitel-app", "restart webitel-uac", "restart webitel-api"],
        "webitel-common": [],
        "rabbitmq-server": ["restart rabbitmq-server"],
        "rtpengine-daemon": ["revive rtpengine-daemon"],
        "postgresql-15": ["restart patroni"],
        "haproxy": ["reload haproxy"],
        "nginx": ["restart sip-websocket", "restart nginx"],
        "patroni": ["restart patroni"],
        "curl": [],
    }
    assert found["webitel-engine"]["version"] == "25.08.3-1"


def test_nodes_without_the_package_are_told_nothing() -> None:
    settings = load_stack("aws-basic").settings.model_copy(update={"package_versions": {"webitel-engine": "25.08.3-1"}})
    plan = make_plan(settings, "aws-basic")
    told = {node.key for node in plan.nodes if compose_configuration(plan, node, settings).manifest["versions"]}
    assert told == {"app-1"}
