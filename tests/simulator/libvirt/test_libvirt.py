"""The rules of KVM by libvirt, one by one."""

from collections.abc import Callable
from typing import Any

import pytest

from provider.server import Request
from tests.simulator.conftest import CheckFailed, Driver, Made
from tests.simulator.libvirt.functions import VirshError, answer
from tests.simulator.libvirt.resources import DOMAIN, GIB, HOSTS, VOLUME
from tests.simulator.world import Refused

IMAGE = "debian-12-genericcloud-amd64.qcow2"
UUID = "6f3d2c1b-0000-5000-8000-000000000001"
SHEET = f'<x xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><uuid>{UUID}</uuid></x>'


@pytest.fixture
def host(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("libvirt")


def make_volume(host: Driver, name: str = "boot", **inputs: Any) -> Made:
    return host.create("Volume", name, **{"name": name, "size": 40 * GIB, **inputs})


def make_machine(host: Driver, name: str = "edge-1", **inputs: Any) -> Made:
    given = {"name": name, "vcpu": 2, "memory": 4096, "networkInterfaces": [{"networkName": "webitel"}], **inputs}
    return host.create("Domain", name, **given)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"pool": "ceph"}, "can't find storage pool 'ceph'"),
        ({"baseVolumeName": "debian-11.qcow2"}, "can't retrieve base volume with name 'debian-11.qcow2'"),
        ({"baseVolumeName": IMAGE, "size": 2 * GIB}, "shouldn't be smaller than the backing store"),
        ({"size": -1}, "smaller than the backing store"),
        ({"size": 10**15}, "File too large"),
        ({"source": "/tmp/debian.qcow2"}, "'size' can't be specified when also 'source' is given"),
        ({"format": "vmdk"}, "unknown volume format type vmdk"),
    ],
)
def test_a_volume_that_is_refused(host: Driver, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        make_volume(host, **inputs)
    assert host.world.all() == []


def test_a_volume_has_an_image_or_another_volume_behind_it(host: Driver) -> None:
    with pytest.raises(CheckFailed, match="conflicts with"):
        make_volume(host, source="/tmp/debian.qcow2", baseVolumeName=IMAGE, size=None)
    assert make_volume(host, baseVolumeName=IMAGE, size=None).outputs["size"] == 3 * GIB


def test_nothing_of_a_volume_or_a_disc_changes_in_place(host: Driver) -> None:
    volume = make_volume(host)
    for change in ({"size": 80 * GIB}, {"name": "other"}, {"pool": "fast"}, {"format": "raw"}, {"baseVolumeName": IMAGE}):
        assert host.diff(volume, **change).replaces == [*change]
    disc = host.create("CloudInitDisk", "a", name="a.iso", userData="1", metaData="2", networkConfig="3")
    for name in ("userData", "metaData", "networkConfig", "pool", "name"):
        assert host.diff(disc, **{name: "fast"}).replaces == [name]
    assert host.diff(volume).changed == host.diff(disc).changed == []


def test_a_volume_that_is_there_is_taken_as_it_is(host: Driver) -> None:
    first = make_volume(host, "data", size=100 * GIB)
    second = make_volume(host, "data", size=200 * GIB)
    assert second.id == first.id and second.outputs["size"] == 100 * GIB
    assert len(host.world.all(VOLUME)) == 1


def test_a_disc_that_is_there_is_in_the_way_and_found_by_its_path(host: Driver) -> None:
    disc = host.create("CloudInitDisk", "a", name="a.iso", userData="1")
    with pytest.raises(Refused, match=r"storage volume 'a\.iso' exists already"):
        host.create("CloudInitDisk", "b", name="a.iso", userData="1")
    path = disc.id.partition(";")[0]
    assert path == "/var/lib/libvirt/default/a.iso"
    found = Made(disc.type, disc.name, f"{path};another", disc.inputs, disc.outputs, disc.given)
    assert host.read(found), "whatever stands behind the semicolon"
    host.delete(found)
    again = host.create("CloudInitDisk", "a", name="a.iso", userData="1")
    assert again.id != disc.id and again.id.startswith(f"{path};")


def test_a_volume_that_a_machine_uses_is_deleted_all_the_same(host: Driver) -> None:
    volume = make_volume(host)
    make_machine(host, disks=[{"volumeId": volume.id}])
    host.delete(volume)
    assert host.world.all(VOLUME) == []


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"networkInterfaces": [{"networkName": "office"}]}, "can't retrieve network 'office'"),
        ({"vcpu": 300}, "Maximum CPUs"),
        ({"vcpu": 0}, "Maximum CPUs"),
        ({"memory": -1}, "numerical overflow"),
        ({"disks": [{"volumeId": "/nowhere"}]}, "not found"),
        ({"cloudinit": "/nowhere;1"}, "not found"),
        ({"xml": {"xslt": "<a>"}}, "error applying XSLT stylesheet"),
        ({"consoles": [{"type": "pty", "targetPort": "x"}]}, 'invalid port when parsing "x"'),
    ],
)
def test_a_machine_that_is_not_defined(host: Driver, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        make_machine(host, **inputs)
    assert host.world.all() == []


def test_a_machine_without_a_network_is_made(host: Driver) -> None:
    assert make_machine(host, networkInterfaces=[{"mac": "52:54:00:00:00:01"}]).outputs["running"] is True


def test_a_disk_needs_a_name_of_sixteen_digits(host: Driver) -> None:
    volume = make_volume(host)
    with pytest.raises(Refused, match="malformed wwn"):
        make_machine(host, disks=[{"volumeId": volume.id, "scsi": True, "wwn": "database"}])
    with pytest.raises(CheckFailed, match="serial is no input"):
        make_machine(host, disks=[{"volumeId": volume.id, "serial": "database"}])


def test_a_disc_needs_ide(host: Driver) -> None:
    disc = host.create("CloudInitDisk", "a", name="a.iso", userData="1")
    with pytest.raises(Refused, match="IDE controllers are unsupported"):
        make_machine(host, cloudinit=disc.id, machine="q35")


def test_what_replaces_a_machine_and_what_does_not(host: Driver) -> None:
    first, second = make_volume(host, "a"), make_volume(host, "b")
    machine = make_machine(
        host, disks=[{"volumeId": first.id}], cpu={"mode": "host-passthrough"}, xml={"xslt": "<a/>"}, cloudinit=None
    )
    replacing: list[dict[str, Any]] = [
        {"vcpu": 4},
        {"memory": 8192},
        {"name": "other"},
        {"disks": [{"volumeId": first.id}, {"volumeId": second.id}]},
        {"disks": [{"volumeId": first.id, "scsi": True}]},
        {"xml": {"xslt": "<b/>"}},
        {"firmware": "/usr/share/OVMF/OVMF_CODE.fd"},
        {"type": "qemu"},
        {"description": "a"},
    ]
    for change in replacing:
        assert host.diff(machine, **change).replaces == [*change], change
    disc = host.create("CloudInitDisk", "a", name="a.iso", userData="1")
    in_place: list[dict[str, Any]] = [
        {"cloudinit": disc.id},
        {"autostart": True},
        {"networkInterfaces": [{"networkName": "default"}]},
        {"disks": [{"volumeId": second.id}]},  # and nothing happens
        {"cpu": {"mode": "host-model"}},
    ]
    for change in in_place:
        found = host.diff(machine, **change)
        assert found.changed == [*change] and found.replaces == []
    assert host.diff(machine).changed == []


def test_a_start_that_fails_leaves_the_machine_defined_and_in_the_way(host: Driver) -> None:
    with pytest.raises(Refused, match="Cannot allocate memory"):
        make_machine(host, memory=10**6)
    (left,) = host.world.all(DOMAIN)
    assert left.outputs["state"] == "shut off"
    with pytest.raises(Refused, match=f"domain 'edge-1' already exists with uuid {left.id}"):
        make_machine(host)
    host.break_(kind="capacity", type=":Domain")
    with pytest.raises(Refused, match="cannot set up guest memory"):
        make_machine(host, "edge-2")
    assert len(host.world.all(DOMAIN)) == 2


def test_one_of_the_same_uuid_is_defined_anew_unless_it_runs(host: Driver) -> None:
    with pytest.raises(Refused, match="Cannot allocate memory"):
        make_machine(host, memory=10**6, xml={"xslt": SHEET})
    machine = make_machine(host, xml={"xslt": SHEET})
    assert machine.id == UUID and machine.outputs["running"] is True
    with pytest.raises(Refused, match="domain is already running"):
        make_machine(host, xml={"xslt": SHEET})


def test_two_running_machines_have_no_volume_in_common(host: Driver) -> None:
    volume = make_volume(host)
    make_machine(host, disks=[{"volumeId": volume.id}])
    with pytest.raises(Refused, match='Failed to get "write" lock'):
        make_machine(host, "edge-2", disks=[{"volumeId": volume.id}])


def test_a_machine_that_is_gone_cannot_be_deleted(host: Driver) -> None:
    machine = make_machine(host)
    host.delete(machine)
    with pytest.raises(Refused, match="Domain not found"):
        host.delete(machine)


def test_an_import_tells_neither_sheet_nor_disc(host: Driver) -> None:
    disc = host.create("CloudInitDisk", "a", name="a.iso", userData="1")
    machine = make_machine(host, cloudinit=disc.id, xml={"xslt": SHEET})
    found = host.read(Made(machine.type, machine.name, machine.id, {}, {}, machine.given))
    assert found and not {"xml", "cloudinit"} & found[0].keys()


def test_of_a_running_machine_on_a_bridge_no_network_is_told(host: Driver) -> None:
    machine = make_machine(host)
    found = host.read(machine)
    assert found and found[0]["networkInterfaces"] == found[1]["networkInterfaces"] == [{"networkName": ""}]
    host.world.disturb(DOMAIN, machine.id, state="shut off")
    found = host.read(machine)
    assert found and found[0]["networkInterfaces"] == [{"networkName": "webitel"}]


def test_what_virsh_tells_and_does(host: Driver) -> None:
    machine = make_machine(host)
    make_volume(host, "data", pool="fast")
    assert answer(host.world, ["pool-list", "--name"]) == "default\nfast\n"
    assert answer(host.world, ["vol-list", "fast"]).split() == ["data", "/var/lib/libvirt/fast/data"]
    assert answer(host.world, ["domstate", machine.id]) == "running\n"
    with pytest.raises(VirshError, match="already active"):
        answer(host.world, ["start", machine.id])
    host.world.disturb(DOMAIN, machine.id, state="shut off")
    found = host.read(machine)
    assert found and found[1]["running"] is False, "a refresh sees it"
    assert "started" in answer(host.world, ["start", machine.id])
    assert answer(host.world, ["domstate", machine.id]) == "running\n"
    with pytest.raises(VirshError, match="failed to get domain"):
        answer(host.world, ["domstate", "nobody"])


def through_another(host: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on calls go to the provider of another host."""
    usual = host.request

    def request(type: str, name: str, preview: bool = False) -> Request:
        made = usual(type, name, preview)
        made.settings = {"uri": HOSTS["kvm-2"]}
        return made

    monkeypatch.setattr(host, "request", request)


def test_what_one_host_has_another_does_not_know(host: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = make_volume(host)
    disc = host.create("CloudInitDisk", "a", name="a.iso", userData="1")
    machine = make_machine(host, disks=[{"volumeId": volume.id}], cloudinit=disc.id)
    assert "host" not in machine.outputs
    through_another(host, monkeypatch)
    for parts in ({"disks": [{"volumeId": volume.id}]}, {"cloudinit": disc.id}):
        with pytest.raises(Refused, match=r"can't retrieve volume /var/lib/libvirt/default/\S+: Storage volume not found"):
            make_machine(host, "edge-2", **parts)
    assert host.read(machine) is host.read(volume) is host.read(disc) is None
    with pytest.raises(Refused, match="Domain not found"):
        host.delete(machine)
    host.delete(volume)
    host.delete(disc)
    assert len(host.world.all()) == 3, "it went on as if they were gone"
    other = make_machine(host, "edge-3")
    assert answer(host.world, ["list", "--all", "--name"], HOSTS["kvm-2"]) == "edge-3\n"
    assert answer(host.world, ["list", "--all", "--name"]) == "edge-1\n"
    assert answer(host.world, ["domstate", other.id], HOSTS["kvm-2"]) == "running\n"
    with pytest.raises(VirshError, match="failed to get domain"):
        answer(host.world, ["domstate", other.id], HOSTS["kvm-1"])
    with pytest.raises(VirshError, match="Could not resolve hostname"):
        answer(host.world, ["pool-list"], "qemu+ssh://root@kvm-9/system")
