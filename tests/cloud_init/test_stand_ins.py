"""What a node is told of the sandbox's packages: their versions, and what another version does."""

from cloud_init.compose import compose_configuration
from components.model.planner import make_plan
from sandbox.build import by_name
from stacks.settings import load_stack


def stand_ins_of(stack: str) -> dict[str, dict[str, object]]:
    settings = load_stack(stack)
    plan = make_plan(settings, stack)
    found: dict[str, dict[str, object]] = compose_configuration(plan, plan.nodes[0], settings).manifest["stand_ins"]
    return found


def test_a_node_knows_version_and_action_of_each() -> None:
    found = stand_ins_of("local-single")
    assert {name: entry["version"] for name, entry in found.items()} == {
        name: package.version for name, package in by_name().items() if name in found}
    assert found["grafana"]["actions"] == ["restart grafana-server"]
    assert found["freeswitch-mod-opus"]["actions"] == ["drain freeswitch"]
    assert found["webitel-auth-app"]["actions"] == found["webitel-postgresql-15"]["actions"] == []
    everything = found["webitel-sandbox"]["actions"]
    assert isinstance(everything, list)
    assert {"restart engine", "restart opensips", "drain freeswitch", "restart grafana-server"} <= set(everything)


def test_without_a_sandbox_there_are_none() -> None:
    assert stand_ins_of("aws-basic") == {}
