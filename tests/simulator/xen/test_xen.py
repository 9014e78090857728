"""The rules of Xen Orchestra, one by one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from components.clouds.xen.adoption import WAYS
from provider.server import ProviderError
from tests.simulator.account import tell
from tests.simulator.conftest import CheckFailed, Driver, Made
from tests.simulator.world import Refused
from tests.simulator.xen.functions import FUNCTIONS
from tests.simulator.xen.machines import inner_disks
from tests.simulator.xen.resources import GIB, PACKAGE, VM, id_of
from tests.simulator.xen.view import NOWHERE, see

MAC = "00:16:3E:00:00:0A"
NETWORK = json.dumps(
    {
        "version": 1,
        "config": [
            {
                "type": "physical",
                "name": "eth0",
                "mac_address": MAC.lower(),
                "subnets": [{"type": "static", "address": "10.20.0.10/16"}],
            }
        ],
    }
)


@pytest.fixture
def cloud(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("xen")


def disk(name: str, gib: float = 40, store: str = "ceph", **more: Any) -> dict[str, Any]:
    return {"nameLabel": name, "size": gib * GIB, "srId": id_of("store", store), **more}


def make_vm(cloud: Driver, **more: Any) -> Made:
    given: dict[str, Any] = {
        "nameLabel": "office-data-1",
        "template": id_of("template", "debian-12"),
        "cpus": 4,
        "memoryMax": 8 * GIB,
        "memoryMin": 8 * GIB,
        "disks": [disk("office-data-1-boot"), disk("office-data-1-database", 100)],
        "networks": [{"networkId": id_of("network", "voice"), "macAddress": MAC}],
        "affinityHost": id_of("host", "xcp1"),
        "cloudConfig": "#cloud-config\n",
        "cloudNetworkConfig": NETWORK,
        "tags": ["webitel"],
    }
    return cloud.create("Vm", more.pop("resource", "data-1"), **{**given, **more})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"colour": "red"}, "colour is no input"),
        ({"template": None}, "missing required property"),
        ({"powerState": "off"}, "off"),
        ({"cloneType": "linked"}, "linked"),
        ({"memoryMin": 9 * GIB}, "must be less than or equal to memory_max"),
        ({"networks": [{"networkId": "n", "macAddress": "BC24110000"}]}, "does not match"),
        ({"disks": [{"nameLabel": "boot", "size": GIB, "srId": "s", "position": "0"}]}, "cannot be given"),
        ({"destroyCloudConfigVdiAfterBoot": True, "cloudConfig": None}, "cloud_config must be specified"),
    ],
)
def test_what_the_provider_refuses(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        make_vm(cloud, **wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"template": "debian-12"}, "no such template"),
        ({"affinityHost": "xcp1"}, "no such affinityHost"),
        ({"networks": [{"networkId": "voice"}]}, "no such network"),
        ({"disks": [{"nameLabel": "boot", "size": 40 * GIB, "srId": "ceph"}]}, "no such SR"),
        ({"disks": [disk("boot", 2)]}, "a disk of a template only grows"),
        ({"disks": [disk("boot"), disk("database", 3000)]}, "VDI Invalid size"),
        ({"disks": [disk("boot"), disk("database", -1)]}, "VDI Invalid size"),
        ({"cpus": 0}, "VALUE_OUT_OF_RANGE"),
        ({"cpus": 200}, "VALUE_OUT_OF_RANGE"),
        ({"memoryMin": 8192, "memoryMax": 8192}, "MEMORY_CONSTRAINT_VIOLATION"),
    ],
)
def test_what_xen_orchestra_refuses(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        make_vm(cloud, **wrong)
    assert cloud.world.all() == []


def test_a_start_that_fails_leaves_a_machine_that_no_state_knows(cloud: Driver) -> None:
    tell(cloud.world, PACKAGE, limits={"memory": 4})
    with pytest.raises(Refused, match="HOST_NOT_ENOUGH_FREE_MEMORY"):
        make_vm(cloud)
    (left,) = cloud.world.all(VM)
    assert left.outputs["powerState"] == "Halted"
    tell(cloud.world, PACKAGE)
    make_vm(cloud)
    assert [one.inputs["nameLabel"] for one in cloud.world.all(VM)] == ["office-data-1"] * 2


def test_what_a_machine_boots_with_is_said_once(cloud: Driver) -> None:
    made = make_vm(cloud)
    changed = cloud.update(made, cloudConfig="#cloud-config\nother", cloudNetworkConfig="{}", hvmBootFirmware="uefi")
    (seen,) = see(cloud.world)
    assert (seen.user_data, seen.private_address, seen.runs) == ("#cloud-config\n", "10.20.0.10", True)
    assert changed.id == made.id
    assert cloud.diff(made, template=id_of("template", "debian-12-b")).replaces == ["template"]


@pytest.mark.parametrize("text", ["", "{", '{"version": 2}', NETWORK.replace("0a", "0b")])
def test_an_address_comes_by_version_1_and_mac(cloud: Driver, text: str) -> None:
    make_vm(cloud, cloudNetworkConfig=text or None)
    assert [one.private_address for one in see(cloud.world)] == [NOWHERE]


def test_disks_are_known_by_their_place_and_go_with_the_machine(cloud: Driver) -> None:
    more = [disk("office-data-1-boot"), *(disk(f"office-data-1-{n}", 10) for n in range(4))]
    made = make_vm(cloud, disks=more)
    assert [one["position"] for one in made.outputs["disks"]] == ["0", "1", "2", "4", "5"], "place 3 is the drive's"
    assert list(see(cloud.world)[0].devices.values()) == ["/dev/xvdb", "/dev/xvdc", "/dev/xvde", "/dev/xvdf"]
    ids = [one.id for one in inner_disks(cloud.world.all(VM)[0])]
    made = cloud.update(made, disks=[*more[:4], disk("office-data-1-3", 20)])
    assert [one.id for one in inner_disks(cloud.world.all(VM)[0])] == ids
    cloud.update(made, disks=more[:1])
    assert see(cloud.world)[0].disks == {}
    cloud.delete(made)
    assert cloud.world.all() == []


def test_a_disk_only_grows_and_stays_in_its_store(cloud: Driver) -> None:
    made = make_vm(cloud)
    boot = disk("office-data-1-boot")
    with pytest.raises(Refused, match="a disk only grows"):
        cloud.update(made, disks=[boot, disk("office-data-1-database", 50)])
    with pytest.raises(Refused, match="not handled"):
        cloud.update(made, disks=[boot, disk("office-data-1-database", 100, "Local storage")])


@pytest.mark.parametrize("larger", [{"memoryMax": 16 * GIB, "memoryMin": 16 * GIB}, {"cpus": 8}, {"disks": [disk("boot", 50)]}])
def test_without_guest_tools_nothing_is_made_larger(cloud: Driver, larger: dict[str, Any]) -> None:
    made = make_vm(cloud, disks=[disk("boot")])
    tell(cloud.world, PACKAGE, without_tools=True)
    with pytest.raises(Refused, match="PV drivers were never detected"):
        cloud.update(made, **larger)
    tell(cloud.world, PACKAGE)
    assert cloud.update(made, **larger).id == made.id


def test_a_blocked_deletion_is_refused_until_an_update_allows_it(cloud: Driver) -> None:
    made = make_vm(cloud, blockedOperations=["destroy"])
    with pytest.raises(Refused, match="destroy is blocked"):
        cloud.delete(made)
    made = cloud.update(made, blockedOperations=[])
    cloud.delete(made)
    with pytest.raises(Refused, match="no such object"):
        cloud.delete(made)


def test_a_machine_is_found_again_by_name_and_tags() -> None:
    way = WAYS[VM]
    there = {"1": {"name_label": "a", "tags": ["webitel", "x"]}, "2": {"name_label": "a", "tags": []}}
    assert way.ids({"nameLabel": "a", "tags": ["webitel"]}, there) == ["1"]
    assert way.ids({"nameLabel": "b", "tags": ["webitel"]}, there) == way.ids({"nameLabel": "a"}, there) == []


@pytest.mark.parametrize("wrong", [{"url": "https://xo.example.com"}, {"token": "t", "username": "u"}])
def test_a_log_in_that_the_provider_refuses(cloud: Driver, wrong: dict[str, Any]) -> None:
    assert cloud.provider.configure
    with pytest.raises(ProviderError):
        cloud.provider.configure(wrong)


@pytest.mark.parametrize(
    ("function", "kind", "name"),
    [("Network", "networks", "voice"), ("Template", "templates", "debian-12"), ("StorageRepository", "stores", "ceph")],
)
def test_a_name_has_to_be_unique_in_the_pool(cloud: Driver, function: str, kind: str, name: str) -> None:
    account = next(iter(cloud.provider.handlers.values())).account  # type: ignore[attr-defined]
    ask = FUNCTIONS[f"{PACKAGE}:index/getXoa{function}:getXoa{function}"]
    assert ask(account, {"nameLabel": name})["id"] == ask(account, {"nameLabel": name, "poolId": id_of("pool", "office")})["id"]
    for wrong in ({"nameLabel": "none"}, {"nameLabel": name, "poolId": "another"}):
        with pytest.raises(ProviderError, match="Could not find"):
            ask(account, wrong)
    tell(cloud.world, PACKAGE, **{kind: (name, name)})
    with pytest.raises(ProviderError, match="found `2`"):
        ask(account, {"nameLabel": name})
