"""A network file system in the place of the recordings disk: where Storage stands with it, what it opens, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from components.model.catalogue.services import CATALOGUE
from components.model.plan import Plan
from components.model.planning.capacity import recordings_days
from components.model.planning.lowering import refuse_lowering
from components.model.planning.planner import PlanError
from components.model.settings import Settings
from components.model.share import SHARE_TYPES, resolve_catalogue
from tests.plans import load_stack, make_plan

NFS = {"source": "10.3.0.4:/webitel", "options": "nfsvers=4.1,noresvport"}


def plan(tier: str = "extended", share: dict[str, str] | None = None, **values: Any) -> Plan:
    given = NFS if share is None else share
    return make_plan(Settings.model_validate({"cloud": "aws", "tier": tier, "recordings_share": given, **values}), "s")


def problems(share: dict[str, str], cloud: str = "aws", **values: Any) -> list[str]:
    with pytest.raises(PlanError) as caught:
        plan(share=share, cloud=cloud, **values)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("tier", "role", "count"), [("basic", "data", 3), ("extended", "storage", 2), ("extended", "storage", 1)]
)
def test_with_a_share_storage_is_ready_on_every_node_of_its_role_and_needs_no_disk(tier: str, role: str, count: int) -> None:
    made = plan(tier, counts={role: count})
    assert [node.key for node in made.nodes_with("storage")] == [f"{role}-{n}" for n in range(1, count + 1)]
    for node in made.nodes_with("storage"):
        assert "recordings" not in {disk.purpose for disk in node.disks}
        assert ("locks" in node.services) is (count > 1)
    assert made.share == NFS["source"] and recordings_days(made) == {}
    assert not resolve_catalogue(load_stack(f"aws-{tier}").settings)["storage"].moves


def test_without_one_everything_is_as_the_catalogue_says() -> None:
    assert resolve_catalogue(load_stack("aws-basic").settings) is CATALOGUE
    made = plan("basic", {}, counts={"data": 3})
    assert [node.key for node in made.nodes_with("storage")] == ["data-1"] and made.share == ""


@pytest.mark.parametrize(
    ("share", "ways"),
    [
        (NFS, {("2049", ("10.3.0.4/32",))}),
        ({"source": "files.your-company.com:/webitel"}, {("2049", ("0.0.0.0/0",))}),
        (
            {"source": "10.3.0.4:recordings", "type": "glusterfs"},
            {("24007", ("10.3.0.4/32",)), ("49152-60999", ("10.3.0.4/32",))},
        ),
        ({"source": "/srv/recordings", "type": "bind"}, set()),
    ],
)
def test_the_way_out_to_the_share_is_that_of_its_type(share: dict[str, str], ways: set[tuple[str, tuple[str, ...]]]) -> None:
    made = plan(share=share, counts={"storage": 2})
    found = {(rule.role, rule.ports, rule.destinations) for rule in made.egress if rule.purposes == ("recordings",)}
    assert found == {("storage", *way) for way in ways}


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (
            {"source": "10.3.0.4"},
            "webitel:recordings_share.source = 10.3.0.4: not something that nfs4 can mount; use one such as files",
        ),
        ({"source": "/srv/recordings"}, "not something that nfs4 can mount"),
        ({"type": "nfs4"}, "webitel:recordings_share.source: not something that nfs4 can mount"),
        ({"source": "10.3.0.4:/webitel", "type": "bind"}, "not something that bind can mount; use one such as /srv/recordings"),
        ({"source": "/srv/a b", "type": "bind"}, "not something that bind can mount"),
        ({"source": "10.3.0.4:/%h"}, "not something that nfs4 can mount"),
        (
            {"source": "10.3.0.4:/webitel", "type": "nfs"},
            "webitel:recordings_share.type = nfs: not a way to mount; did you mean nfs4?",
        ),
        ({"source": "10.3.0.4:/webitel", "type": "smb"}, "use nfs4 or glusterfs or bind"),
        ({**NFS, "options": "hard, noatime"}, "webitel:recordings_share.options = hard, noatime: not options of mount(8)"),
    ],
)
def test_what_cannot_be_mounted_is_refused(share: dict[str, str], said: str) -> None:
    (problem,) = problems(share, counts={"storage": 2})
    assert said in problem


def test_a_container_is_handed_what_it_cannot_mount() -> None:
    assert "webitel:recordings_share.type = nfs4: a container cannot mount" in problems(NFS, "local")[0]
    assert (
        make_plan(
            Settings.model_validate(
                {
                    "cloud": "local",
                    "tier": "extended",
                    "counts": {"storage": 2},
                    "recordings_share": {"source": "/srv/recordings", "type": "bind"},
                }
            ),
            "s",
        ).share
        == "/srv/recordings"
    )


def test_examples_are_right() -> None:
    for name, facts in SHARE_TYPES.items():
        assert plan(share={"source": facts.example, "type": name}, counts={"storage": 3})


def running(made: Plan) -> dict[str, Any]:
    return {
        node.key: {"disks": {disk.purpose: float(disk.size_gib) for disk in node.disks if disk.is_data}} for node in made.nodes
    }


def test_a_disk_with_recordings_never_goes_silently() -> None:
    before = plan("basic", {}, counts={"data": 3})
    assert running(before)["data-1"]["disks"] == {"database": 200, "recordings": 500}
    with pytest.raises(PlanError) as caught:
        refuse_lowering(plan("basic", counts={"data": 3}), running(before))
    (problem,) = caught.value.problems
    assert str(problem).startswith("webitel:recordings_share.source = 10.3.0.4:/webitel: the disk recordings of data-1 would go")
    assert "webitel:disk_sizes: {data.recordings: 500}" in str(problem)
    after = plan("basic", counts={"data": 3}, disk_sizes={"data.recordings": 500})
    refuse_lowering(after, running(before))
    kept = {node.key: {disk.purpose for disk in node.disks} for node in after.nodes_with("storage")}
    assert kept["data-1"] == {"boot", "database", "recordings"} and kept["data-2"] == {"boot", "database"}
    assert any("webitel:disk_sizes.data.recordings" in warning for warning in after.warnings)
    refuse_lowering(plan("basic", counts={"data": 3}), running(plan("basic", counts={"data": 3})))
