"""The wall between host and node: what the composer makes is what the types say, and a program of another day can read it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from cloud_init.node import manifest as wall
from cloud_init.node import state
from cloud_init.node.apply import configuration as apply
from cloud_init.node.apply import files
from cloud_init.node.ask.view import View
from cloud_init.node.health import probes, waiting
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.standby import take_turns
from tests.plans import compose_configuration, load_stack, make_plan
from tests.unit.node.entries import PORTS, manifest, probe, wrong

STACKS = tuple(f"{cloud}-{tier}" for cloud in ("local", "aws", "hetzner") for tier in ("single", "basic", "extended"))
SHARE = {"recordings_share": {"source": "files.example.com:/webitel"}}


def find_wrong(value: object, kind: Any, where: str) -> Iterator[str]:
    """Where a value out of JSON is not what a type says."""
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        if not isinstance(value, dict):
            yield f"{where} is {value!r}"
            return
        yield from (f"{where} has {name}" for name in value.keys() - hints.keys())
        yield from (f"{where} lacks {name}" for name in kind.__required_keys__ - value.keys())
        for name in value.keys() & hints.keys():
            hint = hints[name]
            yield from find_wrong(value[name], get_args(hint)[0] if get_origin(hint) is NotRequired else hint, f"{where}.{name}")
    elif get_origin(kind) is list:
        for n, one in enumerate(value if isinstance(value, list) else ["no list"]):
            yield from find_wrong(one, get_args(kind)[0], f"{where}[{n}]")
    elif get_origin(kind) is dict:
        for name, one in (value if isinstance(value, dict) else {"no": "dict"}).items():
            yield from find_wrong(one, get_args(kind)[1], f"{where}.{name}")
    elif type(value) is not kind:
        yield f"{where} is {value!r}, no {kind.__name__}"


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("more", [{}, SHARE], ids=["as it is", "with a share"])
def test_what_is_composed_is_what_the_types_say(stack: str, more: dict[str, Any]) -> None:
    if more and stack.startswith("local"):
        more = {"recordings_share": {"source": "/srv/recordings", "type": "bind"}}
    settings = load_stack(stack).settings.model_copy(update=more)
    plan = make_plan(settings, stack)
    for node in plan.nodes:
        made = compose_configuration(plan, node, settings)
        sent = json.loads(json.dumps({"manifest": made.manifest, "attributes": made.attributes}))
        assert list(find_wrong(sent["manifest"], wall.Manifest, node.key)) == []
        assert list(find_wrong(sent["attributes"], dict[str, wall.FileEntry], node.key)) == []


def test_the_types_are_looked_at_to_the_last_value() -> None:
    made: Any = manifest(disks=[{"purpose": "database", "mount": "/d", "size_gib": "40"}], more=1)
    del made["key"]
    assert sorted(find_wrong(made, wall.Manifest, "m")) == ["m has more", "m lacks key", "m.disks[0].size_gib is '40', no int"]


def test_the_ports_are_those_of_the_catalogue() -> None:
    settings = load_stack("aws-basic").settings
    plan = make_plan(settings, "aws-basic")
    for node in plan.nodes:
        assert compose_configuration(plan, node, settings).manifest["ports"] == PORTS


def test_a_manifest_of_before_is_completed_before_the_new_program_is_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the new program and its manifest lie minutes of packages, in which units start and wait with that program."""
    program, kept = tmp_path / "lib" / "node", tmp_path / "node.json"
    for name, value in {
        "PROGRAM": program,
        "MANIFEST": kept,
        "PROBE_SECRETS": tmp_path / "probe",
        "WRAPPER": tmp_path / "wrapper",
        "BUNDLES": tmp_path / "bundles",
    }.items():
        monkeypatch.setattr(apply, name, value)
    monkeypatch.setattr(wall, "MANIFEST", kept)
    monkeypatch.setattr(state, "STATE", tmp_path / "state.json")
    before: dict[str, Any] = {**manifest(key="app-1", address="10.0.0.1", services=[])}
    del before["ports"]
    kept.write_text(json.dumps(before))
    incoming = tmp_path / "incoming"
    shutil.copytree(Path(wall.__file__).parent, incoming / "node")
    new = manifest(key="app-1", address="{{address:app-1}}", drain_timeout=7)
    sent = {"files": {}, "attributes": {}, "manifest": new, "bundles": {"node": "2"}, "devices": {}, "login": {}}
    for name, document in {"configuration": sent, "addresses": {"app-1": "10.0.0.1"}, "secrets": {}}.items():
        (incoming / f"{name}.json").write_text(json.dumps(document))

    class Stop(Exception):
        """The packages cannot be installed."""

    def stop(*_: object) -> None:
        assert program.is_dir()
        raise Stop

    monkeypatch.setattr(files, "write", stop)
    with pytest.raises(Stop):
        apply.apply(incoming, True, lambda step, text: None)
    there = wall.load_manifest()
    assert there["ports"] == PORTS and there["drain_timeout"] == 0, "what it had is as it was"
    apply.complete_manifest(new)
    assert wall.load_manifest() == there


def test_the_program_knows_every_probe_of_the_catalogue_and_no_other() -> None:
    services = (*CATALOGUE.values(), *take_turns(CATALOGUE).values())
    kinds = {probe.kind for service in services for probe in service.probes}
    assert kinds == probes.PROBES.keys()
    said = wrong(probes.answer, probe("astrology"), View(manifest()))
    assert said == "this node's program has no probe `astrology`"


def test_the_program_can_wait_for_what_units_wait_for_and_nothing_else() -> None:
    deployments = [load_stack(stack) for stack in STACKS]
    composed = [compose_configuration(one.plan, node, one.settings) for one in deployments for node in one.plan.nodes]
    assert {name for made in composed for unit in made.units for name in unit["waits"]} == waiting.QUESTIONS.keys()
    assert {service.name for service in CATALOGUE.values() if service.awaited} <= waiting.QUESTIONS.keys()
