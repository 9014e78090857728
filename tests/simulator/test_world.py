"""What exists: kept in a file, changed as a whole or not at all."""

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulator.conftest import Driver
from tests.simulator.world import Refused, Thing, World, address_token, copy_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world.jsonl")


def add(world: World, id: str, *, uses: list[str] | None = None, holds: list[str] | None = None) -> Thing:
    thing = Thing("t", id, "urn", {"name": id}, {}, uses or [], holds or [])
    with world.change():
        world.put(thing)
    return thing


def test_is_read_again_by_another_process(world: World) -> None:
    add(world, "a", holds=["x"])
    other = World(world.file)
    assert [thing.id for thing in other.all("t")] == ["a"]
    with pytest.raises(Refused, match="x is already in use by t a"):
        add(other, "b", holds=["x"])
    other.edit("t", "a", name="changed")
    found = world.find("t", "a")
    assert found is not None
    assert found.get("name") == "changed"
    other.erase("t", "a")
    assert world.find("t", "a") is None
    assert not world.is_held("x")


def test_numbers_are_never_used_twice(world: World) -> None:
    with world.change():
        first = world.next_number()
        world.put(Thing("t", str(first), "urn", {}))
    with World(world.file).change() as again:
        assert again.next_number() > first


def test_a_call_that_fails_changes_nothing(world: World) -> None:
    before = add(world, "a")
    with pytest.raises(Refused), world.change():
        world.put(Thing("t", "b", "urn", {}))
        world.remove(before)
        raise Refused("no")
    assert [thing.id for thing in world.all()] == ["a"]
    assert len(world.file.read_text().splitlines()) == 1


def test_what_is_used_stays(world: World) -> None:
    used = add(world, "a")
    user = add(world, "b", uses=[used.key])
    with pytest.raises(Refused, match="t a is still in use by t b"), world.change():
        world.remove(used)
    assert world.users_of(used) == [user]


def test_a_look_at_what_uses_a_thing_bears_another_thread_that_makes_things(world: World) -> None:
    with world.change():
        used = Thing("t", "used", "urn", {})
        for thing in (used, *(Thing("t", f"first-{number}", "urn", {}) for number in range(500))):
            world.put(thing)

    def make() -> None:
        for number in range(100):
            with world.change():
                world.put(Thing("t", f"more-{number}", "urn", {}))

    maker = threading.Thread(target=make)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        maker.start()
        while maker.is_alive():
            assert world.users_of(used) == []
    finally:
        sys.setswitchinterval(before)
        maker.join()


def test_addresses_are_given_out_once(world: World) -> None:
    def take(wanted: str | None = None) -> str:
        with world.change():
            address = world.allocate("net", "10.0.0.0/29", first=2, last=1, wanted=wanted)
            world.put(Thing("t", address, "urn", {}, {}, [], [address_token("net", address)]))
        return address

    assert [take(), take("10.0.0.4"), take(), take(), take()] == [f"10.0.0.{n}" for n in (2, 4, 3, 5, 6)]
    with pytest.raises(Refused, match="no free address"):
        take()
    for wrong in ("10.0.0.1", "10.0.0.7", "10.0.0.8", "10.0.0.4"):
        with pytest.raises(Refused, match=wrong):
            take(wrong)


def test_a_line_that_is_being_written_is_read_once_it_is_whole(world: World, tmp_path: Path) -> None:
    add(world, "a")
    add(world, "b")
    first, second = world.file.read_bytes().splitlines(keepends=True)
    for cut in range(len(second)):
        world.file.write_bytes(first + second[:cut])
        other = World(world.file)
        assert [thing.id for thing in other.all()] == ["a"]
        copy = copy_world(world.file, tmp_path / "copy")
        add(copy, "c")
        assert [thing.id for thing in World(copy.file).all()] == ["a", "c"]
        world.file.write_bytes(first + second)
        assert [thing.id for thing in other.all()] == ["a", "b"]


def test_journal_tells_what_happened(make_driver: Callable[[str], Driver]) -> None:
    cloud = make_driver("hetzner")
    made = cloud.create("Network", "net", ipRange="10.0.0.0/16")
    cloud.update(made, labels={"a": "b"})
    cloud.delete(made)
    entries = [json.loads(line)["thing"] for line in cloud.world.file.read_text().splitlines()]
    assert [entry and entry["inputs"].get("labels") for entry in entries] == [None, {"a": "b"}, None]
    assert entries[0]["urn"].endswith("::net")
    cloud.delete(made)  # gone already: no error
