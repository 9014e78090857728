"""What forbids an upgrade: the release, and the state of the deployment."""

import pytest

from components.model.catalogue import releases
from components.model.catalogue.releases import MIGRATIONS, RELEASES, explain_release, find_obstacles
from components.model.plan import Plan
from components.model.report import NodeReport, ServiceRow, make_silent_report
from tests.plans import load_stack, make_plan


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("25.08", "25.08 is running already"),
        ("24.12", "24.12 is older than 25.08, which is running"),
        ("26.4", "release 26.4 is not known to this version of the project: the catalogue has neither"),
        ("newest", "newest is not a release; use one such as 25.08"),
    ],
)
def test_releases_that_cannot_follow_are_refused(wanted: str, words: str) -> None:
    said = explain_release("25.08", wanted)
    assert said.startswith(words)
    assert all(release in said for release in RELEASES)


def test_a_known_release_needs_a_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "RELEASES", ("25.08", "26.4"))
    assert explain_release("25.08", "26.4") == (
        "no migration of the database from 25.08 to 26.4 is known; known migrations: none"
    )
    monkeypatch.setattr(releases, "MIGRATIONS", {("25.08", "26.4"): "program"})
    assert explain_release("25.08", "26.4") == ""


def test_every_migration_leads_to_a_known_release() -> None:
    assert all({old, new} <= set(RELEASES) for old, new in MIGRATIONS)


def reports(stack: str, counts: dict[str, int], **sick: list[str]) -> tuple[Plan, dict[str, NodeReport]]:
    """A plan and what its nodes say; `sick`: services by role's first node (`data_1`)."""
    plan = make_plan(load_stack(stack).settings.model_copy(update={"counts": counts}), stack)
    found = {}
    for node in plan.nodes:
        names = sick.get(node.key.replace("-", "_"), [])
        rows = tuple(ServiceRow(name=name, healthy=name not in names) for name in node.services)
        found[node.key] = NodeReport(node=node.name, key=node.key, healthy=not names, services=rows)
    return plan, found


def test_a_healthy_deployment_can_be_upgraded() -> None:
    assert find_obstacles(*reports("local-basic", {"data": 3})) == []


def test_a_lost_quorum_and_what_is_not_healthy_are_named() -> None:
    lost = {"data_2": ["postgresql", "engine"], "data_3": ["postgresql", "rabbitmq"]}
    said = find_obstacles(*reports("local-basic", {"data": 3}, **lost))
    assert said == [
        "PostgreSQL 15 under Patroni has no quorum: of 3 members only data-1 work",
        "data-2 is not healthy: postgresql",
        "data-3 is not healthy: postgresql, rabbitmq",
    ]


def test_nodes_that_say_nothing_or_were_never_met_are_named() -> None:
    plan, found = reports("local-basic", {})
    found["app-1"] = make_silent_report("app-1", "s-app-1", "no answer within 15 s")
    del found["edge-1"]
    assert find_obstacles(plan, found) == ["edge-1 was never configured", "app-1 is not healthy: no answer within 15 s"]


def test_nodes_on_their_way_out_are_named() -> None:
    plan, found = reports("local-basic", {"app": 2})
    found["app-2"] = NodeReport(node="s-app-2", key="app-2", left=False, healthy=False)
    assert find_obstacles(plan, found) == ["nodes are still leaving: app-2; finish with ./webitel scale"]
