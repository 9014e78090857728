"""What a node says of its mesh, and what goes past that; the rest is seen under real WireGuard (`tests/sandbox/test_mesh.py`)."""

import json
from pathlib import Path
from typing import Any

import pytest

from cloud_init.node.apply import units
from cloud_init.node.ask.view import View
from cloud_init.node.clusters import mesh, mesh_routes
from cloud_init.node.manifest import Manifest, empty_manifest
from cloud_init.node.system import ApplyError, Unhealthy
from tests.unit.node.fake_node import FakeNode
from tests.unit.node.test_composed import given

PEERS = [{"key": key, "address": f"10.20.0.{n}", "public": f"{key}="} for n, key in enumerate(("app-1", "data-1"), 1)]


def manifest(*, sends: bool = True) -> Manifest:
    apart = [{"protocol": "tcp", "ports": "22"}, {"protocol": "udp", "ports": "10000-19999"}]
    entry: Any = {"port": 51820, "sends": sends, "peers": PEERS, "apart": apart}
    return {**empty_manifest(), "address": "10.20.0.9", "mesh": entry}


@pytest.fixture
def ages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, float | None]:
    """Seconds since each peer has shaken hands."""
    found: dict[str, float | None] = {"app-1=": 5.0, "data-1=": 5.0}
    monkeypatch.setattr(mesh, "has_link", lambda: True)
    monkeypatch.setattr(mesh, "read_ages", lambda: found)
    monkeypatch.setattr(mesh, "MET", tmp_path / "mesh.json")
    mesh.save_met({"app-1=", "data-1=", "gone="})
    return found


def say(known: Manifest) -> str:
    row = mesh.report(known)
    return row["why"] if row else ""


def test_all_is_well_without_a_word(ages: dict[str, float | None]) -> None:
    assert mesh.report(manifest()) is None
    assert mesh.report(empty_manifest()) is None


def test_a_peer_that_does_not_answer_is_named(ages: dict[str, float | None]) -> None:
    ages["data-1="] = 900.0
    row = mesh.report(manifest())
    assert row and row["warning"] and row["healthy"] and row["why"] == "data-1 has not answered for 900 s"
    ages["data-1="] = None
    assert say(manifest()) == "data-1 does not answer"


def test_a_peer_that_never_did_is_reached_in_the_clear_and_named(ages: dict[str, float | None]) -> None:
    mesh.save_met({"app-1="})
    ages["data-1="] = None
    assert say(manifest()) == "data-1 has not answered yet and is reached in the clear"


def test_the_step_before_its_end_is_told(ages: dict[str, float | None]) -> None:
    mesh.save_met(set())
    assert say(manifest(sends=False)) == "nothing is sent through it: webitel:mesh_sends is false"


def test_what_is_apart_jumps_over_the_rule_that_leads_into_it() -> None:
    assert mesh_routes.list_rules(manifest()["mesh"]) == [
        (5199, "nop proto kernel"),
        (5180, "ipproto tcp dport 22 goto 5199 proto kernel"),
        (5181, "ipproto tcp sport 22 goto 5199 proto kernel"),
        (5182, "ipproto udp dport 10000-19999 goto 5199 proto kernel"),
        (5183, "ipproto udp sport 10000-19999 goto 5199 proto kernel"),
        (5198, "not fwmark 0xca6c lookup 51820 proto kernel"),
    ]


def test_a_node_without_it_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    known = manifest()
    said = {
        "wg": "app-1=\ndata-1=\n",
        "ip": "".join(f"{number}:\tfrom all {text}\n" for number, text in mesh_routes.list_rules(known["mesh"])),
    }

    def ask(*command: str, text: str | None = None) -> str:
        if command[0] not in said:
            raise ApplyError(f"{command[0]}: no such device")
        return said[command[0]]

    monkeypatch.setattr(mesh, "ask", ask)
    monkeypatch.setattr(mesh_routes, "ask", ask)
    probe: Any = {"kind": "mesh", "says": ""}
    mesh.probe(probe, View(known))
    with pytest.raises(Unhealthy, match="rules that lead to it"):
        mesh.probe(probe, View(manifest(sends=False)))
    said["wg"] = "app-1=\n"
    with pytest.raises(Unhealthy, match="does not know data-1"):
        mesh.probe(probe, View(known))
    del said["wg"]
    with pytest.raises(Unhealthy, match="no such device"):
        mesh.probe(probe, View(known))


def test_it_goes_with_its_unit_and_not_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node, gone = FakeNode(tmp_path, monkeypatch), []
    monkeypatch.setitem(units.AFTER_END, mesh.UNIT, lambda: gone.append(mesh.UNIT))
    node.apply(given("aws-basic", "app-1", mesh=True))
    node.apply(given("aws-basic", "app-1", mesh=True, mesh_sends=False))
    assert not gone
    node.apply(given("aws-basic", "app-1"))
    assert gone == [mesh.UNIT]


def test_no_other_node_gets_a_nodes_key() -> None:
    for key in ("edge-1", "app-1", "data-1"):
        made = given("aws-basic", key, mesh=True)
        assert made.files["/etc/webitel/mesh.key"].strip() == "{{secret:mesh_key}}"
        assert made.attributes["/etc/webitel/mesh.key"]["mode"] == "0600"
        known = [peer["public"] for peer in made.manifest["mesh"]["peers"]]
        assert f"{{{{address:{key}.mesh}}}}" not in known and len(known) == 2
        assert "mesh_key" not in json.dumps(made.manifest)
