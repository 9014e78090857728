"""Interrupted operations: adopted, read again or forgotten. tests/clouds/conformance/test_interruptions.py has them for real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.console import Failure
from cli.engine.engine import Engine
from cli.engine.pending import adopt, find_ids, setting_of, settle_pending_operations
from tests.unit.cli.fakes import make_engine

URN = "urn:pulumi:s::webitel::{}::{}"
ROUTE, DISK = "aws:ec2/route:Route", "gcp:compute/disk:Disk"


def operation(type: str, called: str, kind: str = "creating", /, **inputs: Any) -> dict[str, Any]:
    """A pending operation as the state has it."""
    return {"type": kind, "resource": {"type": type, "urn": URN.format(type, called), "custom": True, "inputs": inputs}}


def make_state(folder: Path, resources: list[Any], pending: list[Any]) -> Engine:
    """An engine whose state is a file, and which writes down what it was told."""
    state = folder / "state.json"
    state.write_text(json.dumps({"version": 3, "deployment": {"resources": resources, "pending_operations": pending}}))
    return make_engine(
        folder,
        f"""
with open({str(folder / "told")!r}, "a") as told:
    told.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1:3] == ["stack", "export"]:
    print(open({str(state)!r}).read())
elif sys.argv[1:3] == ["stack", "import"]:
    open({str(state)!r}, "w").write(sys.stdin.read())
""",
    )


def read(folder: Path) -> tuple[list[Any], list[Any], str]:
    deployment = json.loads((folder / "state.json").read_text())["deployment"]
    return deployment["resources"], deployment["pending_operations"], (folder / "told").read_text()


def test_a_state_without_operations_is_left_alone(tmp_path: Path) -> None:
    settle_pending_operations(make_state(tmp_path, [], []))
    assert read(tmp_path)[2].count("\n") == 1


def test_our_own_are_forgotten_and_nothing_is_asked(tmp_path: Path) -> None:
    pending = [operation("webitel:index:LocalMachine", "data-1"), operation("pulumi:providers:aws", "aws")]
    settle_pending_operations(make_state(tmp_path, [], pending))
    resources, left, told = read(tmp_path)
    assert (resources, left) == ([], [])
    assert "refresh" not in told


def test_a_setting_is_that_of_the_provider_that_made_a_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one of several hosts; the default provider has the deployment's, and what it was told may be older than that."""
    engine = make_state(tmp_path, [], [])
    monkeypatch.setattr(Engine, "setting", lambda engine, name: f"the deployment's {name}")
    named = {name: URN.format("pulumi:providers:libvirt", name) for name in ("kvm-2", "default_0_5_4")}
    providers = [
        {"urn": urn, "type": "pulumi:providers:libvirt", "inputs": {"uri": f"that of {name}"}} for name, urn in named.items()
    ]
    type = "libvirt:index/domain:Domain"
    away, usual = ({"urn": URN.format(type, "a"), "type": type, "provider": f"{urn}::id"} for urn in named.values())
    assert setting_of(engine, away, providers)("libvirt:uri") == "that of kvm-2"
    assert setting_of(engine, usual, providers)("libvirt:uri") == "the deployment's libvirt:uri"
    for name in ("libvirt:other", "webitel:site"):
        assert setting_of(engine, away, providers)(name) == f"the deployment's {name}"


def test_what_was_made_is_adopted_and_read(tmp_path: Path) -> None:
    given = {"project": "p", "zone": "z", "name": "n"}
    begun = operation(DISK, "data", **given, __defaults=[], options=[{"one": 1, "__defaults": ["one"]}])
    settle_pending_operations(make_state(tmp_path, [], [begun]))
    resources, left, told = read(tmp_path)
    assert [(one["urn"], one["id"], one["outputs"]) for one in resources] == [
        (URN.format(DISK, "data"), "projects/p/zones/z/disks/n", {**given, "options": [{"one": 1}]})
    ]
    assert left == []
    assert f"--target {URN.format(DISK, 'data')}" in told


def test_an_id_for_imports_only_is_imported(tmp_path: Path) -> None:
    begun = operation(ROUTE, "public", routeTableId="rtb-1", destinationCidrBlock="0.0.0.0/0")
    settle_pending_operations(make_state(tmp_path, [], [begun]))
    (made,), _, told = read(tmp_path)
    assert (made["id"], made["outputs"]) == ("rtb-1_0.0.0.0/0", {}), "told anything more, a provider reads by the id"
    assert f"--target {URN.format(ROUTE, 'public')}" in told


def test_what_was_being_changed_is_read_again(tmp_path: Path) -> None:
    changed = operation(ROUTE, "public", "updating")
    settle_pending_operations(make_state(tmp_path, [{**changed["resource"], "id": "r-1"}], [changed]))
    _, left, told = read(tmp_path)
    assert left == []
    assert told.count("--target") == 1


def test_a_type_that_nobody_knows_is_left_to_the_person(tmp_path: Path) -> None:
    engine = make_state(tmp_path, [], [operation("aws:sqs/queue:Queue", "b")])
    with pytest.raises(Failure, match=r"whether the queue b was created.*pulumi refresh"):
        settle_pending_operations(engine)
    assert len(read(tmp_path)[1]) == 1


def test_adopting_twice_changes_nothing_and_a_successor_marks_the_old_one() -> None:
    made = {"urn": "a", "id": "1", "outputs": {}}
    assert adopt([made], made) == [made]
    assert adopt([{"urn": "a", "id": "0"}], made) == [{"urn": "a", "id": "0", "delete": True}, made]
    assert adopt([{"urn": "a", "id": "0", "pendingReplacement": True}], made) == [made]


def test_an_adopted_successor_stands_behind_what_it_needs_and_before_what_needs_its_predecessor() -> None:
    """The engine takes no state in which something refers to what comes after it."""
    server, old = {"urn": "server", "id": "2"}, {"urn": "a", "id": "0", "pendingReplacement": True}
    made = {"urn": "a", "id": "1", "dependencies": ["server"], "provider": "provider::id", "parent": "node"}
    node, provider, user = {"urn": "node"}, {"urn": "provider", "id": "id"}, {"urn": "user", "dependencies": ["a"]}
    assert adopt([node, provider, server, old, user], made) == [node, provider, server, made, user]
    assert adopt([node, provider, server, user], made) == [node, provider, server, made, user]


def test_what_the_state_has_already_is_not_what_was_made(tmp_path: Path) -> None:
    engine = make_state(tmp_path, [], [])
    begun = operation(DISK, "d", project="p", zone="z", name="n")["resource"]
    id = "projects/p/zones/z/disks/n"
    assert find_ids(engine, [begun], []) == {begun["urn"]: id}
    old = {**begun, "id": id, "outputs": {"a": 1}}
    assert find_ids(engine, [begun], [old]) == {}
    adopted = {**begun, "id": id, "outputs": begun["inputs"]}
    assert find_ids(engine, [begun], [adopted]) == {begun["urn"]: id}, "a run that died before it was read"
    before = {**adopted, "inputs": {**begun["inputs"], "zone": "y"}, "outputs": {**begun["inputs"], "zone": "y"}}
    assert find_ids(engine, [begun], [before]) == {}, "what the new one replaces"
    assert find_ids(engine, [begun], [{**old, "pendingReplacement": True}]) == {begun["urn"]: id}
