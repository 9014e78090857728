"""The rules of vCenter, one by one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from components.clouds.vsphere.adoption import find_disk, find_machine, find_rule
from components.clouds.vsphere.interface import Ref, VcenterError, open_session, value_of
from components.clouds.vsphere.power import POWER
from tests.simulator.account import tell
from tests.simulator.conftest import CheckFailed, Driver, Made
from tests.simulator.interface import Interface
from tests.simulator.vsphere.resources import DISK, TEMPLATES, VM
from tests.simulator.world import Refused

PLAIN, EFI, TWO_DISKS = TEMPLATES
BOOT = {"label": "boot", "unitNumber": 0, "size": 40}
CARD = {"networkId": "network-13", "useStaticMac": True, "macAddress": "00:50:56:3A:00:01"}


@pytest.fixture
def vcenter(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("vsphere")


def make_disk(vcenter: Driver, name: str = "database", **inputs: Any) -> Made:
    given = {"datastore": "datastore1", "vmdkPath": f"webitel/{name}.vmdk", "size": 100, "createDirectories": True, **inputs}
    return vcenter.create("VirtualDisk", name, **given)


def make_machine(vcenter: Driver, name: str = "edge-1", **inputs: Any) -> Made:
    given = {
        "name": name,
        "resourcePoolId": "domain-c8-pool",
        "datastoreId": "datastore-11",
        "clone": {"templateUuid": PLAIN.uuid},
        "guestId": PLAIN.guest,
        "numCpus": 2,
        "memory": 4096,
        "disks": [BOOT],
        "networkInterfaces": [CARD],
        **inputs,
    }
    return vcenter.create("VirtualMachine", name, **given)


def attach(disk: Made, **more: Any) -> dict[str, Any]:
    return {"label": "database", "unitNumber": 1, "attach": True, "datastoreId": "datastore-11", "path": disk.id, **more}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"datastore": "ceph"}, "datastore 'ceph' not found"),
        ({"datacenter": "Berlin"}, "datacenter not found"),
        ({"size": 0}, "spec.capacityKb"),
        ({"size": 10**6}, "spec.capacityKb"),
        ({"size": 60_000}, "Insufficient disk space"),
        ({"createDirectories": False}, "was not found"),
    ],
)
def test_a_disk_that_is_not_made(vcenter: Driver, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        make_disk(vcenter, **inputs)
    assert vcenter.world.all() == []


def test_a_disks_path_and_kind_are_checked_before(vcenter: Driver) -> None:
    with pytest.raises(CheckFailed, match="vmdkPath"):
        make_disk(vcenter, vmdkPath="webitel/database")
    with pytest.raises(CheckFailed, match="thick"):
        make_disk(vcenter, type="thick")


def test_a_disk_grows_unless_a_machine_has_it_and_is_replaced_by_everything_else(vcenter: Driver) -> None:
    disk = make_disk(vcenter)
    assert disk.id == "webitel/database.vmdk"
    assert vcenter.diff(disk, size=200).replaces == []
    for change in ({"datastore": "ssd"}, {"type": "thin"}, {"vmdkPath": "webitel/a.vmdk"}, {"createDirectories": False}):
        assert vcenter.diff(disk, **change).replaces == [*change]
    vcenter.update(disk, size=200)
    with pytest.raises(Refused, match="shrinking a virtual disk is not supported"):
        vcenter.update(disk, size=50)
    make_machine(vcenter, disks=[BOOT, attach(disk)])
    with pytest.raises(Refused, match="Failed to lock the file"):
        vcenter.update(disk, size=300)
    with pytest.raises(Refused, match="still in use"):
        vcenter.delete(disk)


def test_what_is_gone_cannot_be_deleted(vcenter: Driver) -> None:
    disk, machine = make_disk(vcenter), make_machine(vcenter)
    for one, words in ((disk, "was not found"), (machine, "cannot locate virtual machine with UUID")):
        vcenter.delete(one)
        with pytest.raises(Refused, match=words):
            vcenter.delete(one)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"networkInterfaces": []}, "network_interface parameter is required"),
        ({"disks": []}, "there must be at least one disk"),
        ({"disks": [BOOT, {**BOOT, "unitNumber": 1}]}, "duplicate name"),
        ({"disks": [BOOT, {**BOOT, "label": "a"}]}, "duplicate SCSI unit_number"),
        ({"disks": [{**BOOT, "unitNumber": 1}]}, "unit_number of 0"),
        ({"disks": [BOOT, {**BOOT, "label": "a", "unitNumber": 15}]}, "too high"),
        ({"disks": [{**BOOT, "label": "orphaned_disk_1"}]}, "orphaned_disk_1"),
        ({"disks": [{"label": "boot", "unitNumber": 0}]}, "required option not set"),
        ({"disks": [{**BOOT, "path": "a.vmdk"}]}, "can only be given when attach is set"),
        ({"disks": [{**BOOT, "eagerlyScrub": True}]}, "cannot both be set to true"),
        ({"disks": [{**BOOT, "size": 5}]}, "at least the same size of source"),
        ({"guestId": "debian11_64Guest"}, 'Please set it to "debian12_64Guest"'),
        ({"clone": {"templateUuid": TWO_DISKS.uuid}}, "not enough disks in configuration"),
        ({"datastoreId": None}, "one of datastore_id datastore_cluster_id"),
        ({"latencySensitivity": "highest"}, "latencySensitivity"),
        ({"shutdownWaitTimeout": 11}, "shutdownWaitTimeout"),
        ({"name": "a" * 81}, "81 characters"),
        ({"userData": "x"}, "userData is no input"),
    ],
)
def test_a_machine_that_the_provider_refuses(vcenter: Driver, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        make_machine(vcenter, **inputs)


@pytest.mark.parametrize("said", ["size", "eagerlyScrub", "keepOnRemove"])
def test_of_an_attached_disk_nothing_is_said_that_its_file_knows(vcenter: Driver, said: str) -> None:
    disk = make_disk(vcenter)
    with pytest.raises(CheckFailed, match="when attach is set"):
        make_machine(vcenter, disks=[BOOT, attach(disk, thinProvisioned=False, **{said: 100 if said == "size" else True})])
    with pytest.raises(CheckFailed, match="datastore_id for disk"):
        make_machine(vcenter, disks=[BOOT, attach(disk, datastoreId=None)])
    with pytest.raises(CheckFailed, match="path or name cannot be empty"):
        make_machine(vcenter, disks=[BOOT, attach(disk, path=None)])


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"resourcePoolId": "domain-c7-pool"}, "could not find resource pool"),
        ({"datastoreId": "datastore-99"}, "error locating datastore"),
        ({"folder": "office"}, "folder 'office' not found"),
        ({"clone": {"templateUuid": "00000000"}}, "cannot locate virtual machine or template"),
        ({"networkInterfaces": [{**CARD, "networkId": "network-1"}]}, "could not find network"),
        ({"networkInterfaces": [{**CARD, "macAddress": "00:50:56:80:00:01"}]}, "reserved by VMware"),
        ({"numCpus": 0}, "numCoresPerSocket"),
        ({"numCpus": 4, "numCoresPerSocket": 3}, "numCoresPerSocket"),
        ({"memory": 4095}, "memoryMB"),
        ({"memory": 10**9}, "memoryMB"),
        ({"memoryReservation": 8192}, "memoryAllocation.reservation"),
        ({"cpuReservation": 10**6}, "cpuAllocation.reservation"),
        ({"latencySensitivity": "high"}, "should be at least 5200 MHz"),
        ({"latencySensitivity": "high", "cpuReservation": 5200}, "latency-sensitive"),
        ({"disks": [BOOT, {"label": "a", "unitNumber": 1, "size": 10**6}]}, "capacityInKB"),
        ({"disks": [BOOT, {"label": "a", "unitNumber": 1, "attach": True, "datastoreId": "d", "path": "a.vmdk"}]}, "not found"),
    ],
)
def test_a_machine_that_vcenter_refuses(vcenter: Driver, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        make_machine(vcenter, **inputs)
    assert vcenter.world.all() == []


def test_latency_sensitivity_takes_all_of_cpu_and_memory(vcenter: Driver) -> None:
    assert make_machine(vcenter, latencySensitivity="high", cpuReservation=5200, memoryReservation=4096)


def test_memory_that_is_reserved_is_there_once(vcenter: Driver) -> None:
    whole = 512 * 1024
    for number in range(6):
        make_machine(vcenter, f"edge-{number}", memory=whole, memoryReservation=whole)
    with pytest.raises(Refused, match="parent resource pool are insufficient"):
        make_machine(vcenter, "edge-9", memoryReservation=4096)
    assert make_machine(vcenter, "edge-9", memoryReservation=4096, resourcePoolId="domain-c9-pool")


def test_a_name_is_there_once_in_a_folder(vcenter: Driver) -> None:
    make_machine(vcenter)
    with pytest.raises(Refused, match="already in use"):
        make_machine(vcenter)
    assert make_machine(vcenter, folder="telephony")


def test_a_disk_is_of_one_machine_and_keeps_its_uuid(vcenter: Driver) -> None:
    disk = make_disk(vcenter)
    first = make_machine(vcenter, disks=[BOOT, attach(disk)])
    with pytest.raises(Refused, match="lock of"):
        make_machine(vcenter, "edge-2", disks=[BOOT, attach(disk)])
    with pytest.raises(Refused, match="was not found"):
        make_machine(vcenter, "edge-2", disks=[BOOT, attach(disk, datastoreId="datastore-12")])
    vcenter.delete(first)
    second = make_machine(vcenter, "edge-2", disks=[BOOT, attach(disk)])
    old, new = first.outputs["disks"], second.outputs["disks"]
    assert old[1]["uuid"] == new[1]["uuid"] and old[0]["uuid"] != new[0]["uuid"]
    assert [one.id for one in vcenter.world.all(DISK)] == [disk.id], "it stayed"


def test_what_replaces_a_machine_and_what_does_not(vcenter: Driver) -> None:
    machine = make_machine(vcenter, replaceTrigger="cluster", extraConfig={"guestinfo.userdata": "a"})
    replacing: list[dict[str, Any]] = [
        {"replaceTrigger": "cluster-2"},
        {"clone": {"templateUuid": EFI.uuid}},
        {"clone": {"templateUuid": PLAIN.uuid, "linkedClone": True}},
    ]
    for change in replacing:
        assert vcenter.diff(machine, **change).replaces == [*change], change
    in_place: list[dict[str, Any]] = [
        {"extraConfig": {"guestinfo.userdata": "b"}},  # and the guest reads it after a new identity only
        {"numCpus": 4},
        {"memory": 8192},
        {"guestId": EFI.guest},
        {"resourcePoolId": "domain-c9-pool"},
        {"clone": {"templateUuid": PLAIN.uuid, "timeout": 60}},
        {"disks": [{**BOOT, "size": 80}]},
    ]
    for change in in_place:
        found = vcenter.diff(machine, **change)
        assert found.changed == [*change] and found.replaces == [], change
    with pytest.raises(CheckFailed, match="cannot be shrunk"):
        vcenter.update(machine, disks=[{**BOOT, "size": 20}])


def test_a_rule_needs_two_machines_of_its_cluster(vcenter: Driver) -> None:
    first, second = make_machine(vcenter), make_machine(vcenter, "edge-2")
    far = make_machine(vcenter, "edge-3", resourcePoolId="domain-c9-pool")
    given = {"name": "edge", "computeClusterId": "domain-c8"}
    for ids in ([first.id], [first.id, far.id]):
        with pytest.raises(Refused, match=r"spec\.rulesSpec"):
            vcenter.create("ComputeClusterVmAntiAffinityRule", "edge", **given, virtualMachineIds=ids)
    rule = vcenter.create("ComputeClusterVmAntiAffinityRule", "edge", **given, virtualMachineIds=[first.id, second.id])
    with pytest.raises(Refused, match="already in use"):
        vcenter.create("ComputeClusterVmAntiAffinityRule", "two", **given, virtualMachineIds=[first.id, second.id])
    assert vcenter.diff(rule, virtualMachineIds=[second.id, first.id, far.id]).replaces == []
    assert vcenter.diff(rule, computeClusterId="domain-c9").replaces == ["computeClusterId"]
    vcenter.delete(first)  # it leaves the rule
    with pytest.raises(Refused, match="already been deleted"):
        vcenter.create(
            "ComputeClusterVmAntiAffinityRule", "x", name="x", computeClusterId="c", virtualMachineIds=[second.id, far.id]
        )
    tell(vcenter.world, "vsphere", unlicensed=True)
    with pytest.raises(Refused, match="does not support the feature DRS"):
        vcenter.update(rule, virtualMachineIds=[second.id, make_machine(vcenter, "edge-4").id])


def test_an_import_is_by_the_place_in_the_inventory(vcenter: Driver) -> None:
    machine, disk = make_machine(vcenter, folder="telephony"), make_disk(vcenter)
    place = json.dumps({"virtual_disk_path": f"/Datacenter/[datastore1]{disk.id}", "create_directories": "true"})
    for one, id in ((machine, "/Datacenter/vm/telephony/edge-1"), (disk, place)):
        found = vcenter.read(Made(one.type, one.name, id, {}, {}, one.given))
        assert found
    blank = place.replace("]web", "] web")
    for type, id in ((VM, "/Datacenter/vm/edge-1"), (DISK, blank)):
        with pytest.raises(Refused, match="not found"):
            vcenter.read(Made(type, "x", id, {}, {}, {}))


@pytest.mark.clouds
def test_what_vcenters_own_interface_tells_and_does(vcenter: Driver) -> None:
    machine, disk = make_machine(vcenter, folder="telephony"), make_disk(vcenter)
    other = make_machine(vcenter, "edge-2")
    given = {"name": "edge", "computeClusterId": "domain-c8", "virtualMachineIds": [machine.id, other.id]}
    vcenter.create("ComputeClusterVmAntiAffinityRule", "edge", **given)
    interface = Interface(vcenter.world)
    told = {
        "vsphere:vsphereServer": interface.url,
        "vsphere:user": "webitel",
        "vsphere:password": "<&>",
        "webitel:site": "",
    }

    def setting(name: str) -> str:
        return told.get(name, "")

    try:
        with open_session(setting) as session:
            assert session.version == "VMware vCenter Server 8.0.3 build-1"
            names = [value_of(one, "name") for _, one in session.list_all("VirtualMachine", "name", "config.template")]
            assert {"edge-1", "edge-2", "debian-12"} <= set(names)
            assert value_of(session.read(Ref("ClusterComputeResource", "domain-c9"), "name"), "name") == "cluster-2"
        assert POWER.tell
        assert POWER.tell(machine.id, setting) == "poweredOn"
        with pytest.raises(VcenterError, match="current state"):
            POWER.start(machine.id, "", setting).run()  # type: ignore[union-attr]
        vcenter.world.disturb(VM, machine.id, powerState="poweredOff")
        assert POWER.tell(machine.id, setting) in POWER.off
        POWER.start(machine.id, "poweredOff", setting).run()  # type: ignore[union-attr]
        assert POWER.tell(machine.id, setting) == "poweredOn"
        with pytest.raises(VcenterError, match="has no machine nobody"):
            POWER.tell("nobody", setting)
        assert find_machine({"name": "edge-1", "folder": "telephony"}, setting) == ["/Datacenter/vm/telephony/edge-1"]
        assert find_machine({"name": "edge-1"}, setting) == []
        where = {"datacenter": "Datacenter", "datastore": "datastore1"}
        (found,) = find_disk({**where, "vmdkPath": disk.id}, setting)
        assert json.loads(found)["virtual_disk_path"] == f"/Datacenter/[datastore1]{disk.id}"
        assert find_disk({**where, "vmdkPath": "webitel/a.vmdk"}, setting) == []
        (found,) = find_rule(given, setting)
        assert json.loads(found) == {"compute_cluster_path": "/Datacenter/host/cluster", "name": "edge"}
        assert find_rule({**given, "name": "web"}, setting) == []
        tell(vcenter.world, "vsphere", refused="Cannot complete login due to an incorrect user name or password.")
        with pytest.raises(VcenterError, match="incorrect user name or password"):
            POWER.tell(machine.id, setting)
    finally:
        interface.stop()
