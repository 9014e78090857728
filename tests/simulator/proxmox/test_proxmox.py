"""The rules of Proxmox VE, one by one."""

from collections.abc import Callable
from typing import Any

import pytest

from provider.server import ProviderError
from tests.simulator.account import tell
from tests.simulator.conftest import CheckFailed, Driver, Made
from tests.simulator.proxmox.resources import PACKAGE
from tests.simulator.proxmox.view import look, see
from tests.simulator.world import Refused

TOKEN = {"endpoint": "https://pve.example.com:8006/", "apiToken": "webitel@pve!deploy=0"}
ROOT = {"endpoint": "https://pve.example.com:8006/", "username": "root@pam", "password": "secret"}
META = '{"instance-id": "edge-1", "local-hostname": "edge-1", "public-keys": ["ssh-ed25519 AAAA"]}'


@pytest.fixture
def cloud(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("proxmox")


def make_file(cloud: Driver, name: str = "edge-1-user.yaml", text: str = "#cloud-config\n", **more: Any) -> Made:
    place = {"nodeName": "pve", "datastoreId": "local", "contentType": "snippets"}
    return cloud.create("FileLegacy", name, **{**place, "sourceRaw": {"data": text, "fileName": name}, **more})


def make_keeper(cloud: Driver, number: int = 901, size: int = 100, **more: Any) -> Made:
    disks = [{"interface": "virtio0", "datastoreId": "local-lvm", "size": size}]
    given = {"name": "edge-1-database", "nodeName": "pve", "vmId": number, "started": False, "protection": True, "disks": disks}
    return cloud.create("VmLegacy", "edge-1-database", **{**given, **more})


def make_vm(cloud: Driver, **more: Any) -> Made:
    given: dict[str, Any] = {"name": "edge-1", "nodeName": "pve", "vmId": 101, "disks": [{"interface": "virtio0", "size": 40}]}
    return cloud.create("VmLegacy", more.pop("resource", "edge-1"), **{**given, "networkDevices": [{}], **more})


def use(keeper: Made, **more: Any) -> list[dict[str, Any]]:
    """Disks of a machine: its own, and the one that is kept."""
    kept = keeper.outputs["disks"][0]
    used = {
        "interface": "virtio1",
        "serial": "database",
        **{name: kept[name] for name in ("datastoreId", "pathInDatastore", "size")},
    }
    return [{"interface": "virtio0", "size": 40}, {**used, **more}]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"colour": "red"}, "colour is no input"),
        ({"nodeName": None}, "missing required property"),
        ({"vmId": 99}, "not within 100"),
        ({"tags": ["Team"]}, "does not match"),
        ({"cpu": {"cores": 0}}, "not within 1"),
        ({"cpu": {"limit": 200}}, "not within 0 to 128"),
        ({"disks": [{"interface": "virtio16"}]}, "does not match"),
        ({"disks": [{"interface": "virtio0"}, {"interface": "virtio0"}]}, "two disks on one interface"),
        ({"disks": [{"interface": "virtio0", "serial": "x" * 21}]}, "21 characters"),
        ({"disks": [{"interface": "virtio0", "importFrom": "debian.qcow2"}]}, "does not match"),
        ({"initialization": {"interface": "ide4"}}, "does not match"),
        ({"initialization": {"ipConfigs": [{"ipv4": {"address": "10.20.0.10"}}]}}, "no prefix length"),
        ({"initialization": {"ipConfigs": [{"ipv4": {"address": "10.20.0.x/24"}}]}}, "Expected|Only decimal"),
        (
            {"initialization": {"ipConfigs": [{"ipv4": {"address": "10.20.0.10/24", "gateway": "10.21.0.1"}}]}},
            "is not in 10.20.0.0/24",
        ),
        ({"initialization": {"ipConfigs": [{}], "networkDataFileId": "local:snippets/x"}}, "conflicts with ipConfigs"),
    ],
)
def test_what_the_provider_refuses(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        make_vm(cloud, **wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"nodeName": "pve9"}, "hostname lookup 'pve9' failed"),
        ({"vmId": 9000}, "already exists on node 'pve'"),
        ({"disks": [{"interface": "virtio0", "datastoreId": "zfs"}]}, "storage 'zfs' does not exist"),
        ({"disks": [{"interface": "virtio0", "datastoreId": "local"}]}, "not configured for content-type 'images'"),
        ({"disks": [{"interface": "virtio0", "importFrom": "local:import/none.qcow2"}]}, "does not exist"),
        ({"disks": [{"interface": "virtio0", "pathInDatastore": "vm-999-disk-0"}]}, "no such logical volume"),
        ({"initialization": {"userDataFileId": "local:snippets/none.yaml"}}, "does not exist"),
        ({"networkDevices": [{"bridge": "vmbr7"}]}, "bridge 'vmbr7' does not exist"),
        ({"clone": {"vmId": 9005}}, "nodes/pve/qemu-server/9005.conf' does not exist"),
        ({"nodeName": "pve2", "clone": {"vmId": 9000}}, "nodes/pve2/qemu-server/9000.conf' does not exist"),
    ],
)
def test_what_proxmox_refuses(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        make_vm(cloud, **wrong)
    assert cloud.world.all() == []


@pytest.mark.parametrize(
    "inputs",
    [{"cpu": {"affinity": "2-5"}}, {"cpu": {"architecture": "x86_64"}}, {"memory": {"hugepages": "any"}}, {"kvmArguments": "-S"}],
)
def test_what_only_root_may_set(cloud: Driver, inputs: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="only root can set"):
        make_vm(cloud, **inputs)
    assert cloud.provider.configure
    cloud.provider.configure(dict(ROOT))
    assert make_vm(cloud, **inputs)


def test_a_number_is_held_once_in_the_cluster(cloud: Driver) -> None:
    made = make_vm(cloud)
    with pytest.raises(Refused, match="already exists"):
        make_vm(cloud, resource="edge-2", nodeName="pve2")
    cloud.delete(made)
    assert make_vm(cloud).id == "101"


def test_a_new_machine_has_another_mac_address(cloud: Driver) -> None:
    made = make_vm(cloud)
    first = made.outputs["macAddresses"]
    assert cloud.update(made, name="edge-9").outputs["macAddresses"] == first
    cloud.delete(made)
    assert make_vm(cloud).outputs["macAddresses"] != first


def test_what_replaces_a_machine_and_what_does_not(cloud: Driver) -> None:
    for name in ("a.yaml", "b.yaml"):
        make_file(cloud, name)
    made = make_vm(cloud, initialization={"userDataFileId": "local:snippets/a.yaml"}, clone={"vmId": 9000})
    drive = {"userDataFileId": "local:snippets/b.yaml"}
    for change, replaced in (
        ({"initialization": drive}, ["initialization"]),
        ({"clone": {"vmId": 9000, "full": False}}, ["clone"]),
        ({"vmId": 102}, ["vmId"]),
        ({"nodeName": "pve2"}, ["nodeName"]),
        ({"nodeName": "pve2", "migrate": True}, []),
        ({"cpu": {"cores": 8}}, []),
        ({"memory": {"dedicated": 4096}}, []),
        ({"disks": [{"interface": "virtio0", "size": 80}]}, []),
    ):
        assert cloud.diff(made, **change).replaces == replaced, change
    assert cloud.diff(
        make_vm(cloud, resource="edge-2", vmId=103), disks=[{"interface": "virtio0", "fileId": "local:iso/a.img"}]
    ).replaces


def test_a_disk_only_grows(cloud: Driver) -> None:
    made = make_vm(cloud)
    with pytest.raises(Refused, match=r"requested size \(20G\) is lower than current size \(40G\)"):
        cloud.update(made, disks=[{"interface": "virtio0", "size": 20}])
    assert cloud.update(made, disks=[{"interface": "virtio0", "size": 50}]).outputs["disks"][0]["size"] == 50


def test_a_disk_that_is_kept_outlives_its_machine(cloud: Driver) -> None:
    keeper = make_keeper(cloud)
    made = make_vm(cloud, disks=use(keeper))
    (seen,) = see(cloud.world)
    assert (seen.disks, seen.devices) == ({"edge-1-database": 100}, {"edge-1-database": "/dev/disk/by-id/virtio-database"})
    with pytest.raises(Refused, match="in use"):
        cloud.delete(keeper)
    with pytest.raises(Refused, match="in use"):
        make_vm(cloud, resource="edge-2", vmId=102, disks=use(keeper))
    cloud.delete(made)
    with pytest.raises(Refused, match="protection mode enabled"):
        cloud.delete(keeper)
    cloud.delete(cloud.update(keeper, protection=False))
    assert cloud.world.all() == []


def test_a_kept_disk_is_used_where_it_is(cloud: Driver) -> None:
    keeper = make_keeper(cloud, nodeName="pve2")
    with pytest.raises(Refused, match="is on pve2"):
        make_vm(cloud, disks=use(keeper))
    keeper = make_keeper(cloud, 902)
    with pytest.raises(Refused, match=r"requested size \(8G\) is lower"):
        make_vm(cloud, disks=use(keeper, size=None))
    with pytest.raises(Refused, match="does not exist"):
        make_vm(cloud, disks=use(keeper, datastoreId="ceph"))


def test_a_store_holds_what_its_owner_lets_it(cloud: Driver) -> None:
    """As a fresh installation has it."""
    tell(cloud.world, PACKAGE, stores={"local": ("iso", "vztmpl", "backup"), "local-lvm": ("images", "rootdir")})
    with pytest.raises(Refused, match="not configured for content-type 'snippets'"):
        make_file(cloud)
    with pytest.raises(Refused, match="not configured for content-type 'import'"):
        make_image(cloud)


def make_image(cloud: Driver, **more: Any) -> Made:
    url = "https://cloud.debian.org/images/cloud/bookworm/20300101-1/debian-12-genericcloud-amd64-20300101-1.qcow2"
    place = {"nodeName": "pve", "datastoreId": "local", "contentType": "import", "url": url}
    return cloud.create("File", "image-pve", **{**place, "checksum": "0" * 128, "checksumAlgorithm": "sha512", **more})


def test_an_image_is_loaded_by_its_host_and_used_there(cloud: Driver) -> None:
    made = make_image(cloud, fileName="test-pve.qcow2")
    assert made.id == "local:import/test-pve.qcow2"
    disks = [{"interface": "virtio0", "importFrom": made.id, "size": 40}]
    with pytest.raises(Refused, match="does not exist"):
        make_vm(cloud, disks=disks, nodeName="pve2")
    vm = make_vm(cloud, disks=disks)
    cloud.delete(made)  # a copy was made
    assert cloud.diff(vm, cpu={"cores": 2}).replaces == []
    with pytest.raises(Refused, match="wrong file extension"):
        make_image(cloud, fileName="debian.img")
    with pytest.raises(Refused, match="checksum mismatch"):
        make_image(cloud, url="https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-genericcloud-amd64.qcow2")
    with pytest.raises(CheckFailed, match="needs checksum"):
        make_image(cloud, checksum=None)


def test_a_changed_snippet_is_another_one(cloud: Driver) -> None:
    made = make_file(cloud)
    assert made.id == "local:snippets/edge-1-user.yaml"
    assert cloud.diff(made, sourceRaw={"data": "other", "fileName": "edge-1-user.yaml"}).replaces == ["sourceRaw"]
    with pytest.raises(Refused, match="already exists"):
        make_file(cloud, overwrite=False)
    assert make_file(cloud).id == made.id, "by default it writes over what is there"
    with pytest.raises(CheckFailed, match="one of source_file, source_raw"):
        make_file(cloud, "x.yaml", sourceRaw=None)


def test_who_hears_what_it_is_told(cloud: Driver) -> None:
    make_file(cloud)
    make_file(cloud, "edge-1-meta.yaml", META)
    files = {"userDataFileId": "local:snippets/edge-1-user.yaml", "metaDataFileId": "local:snippets/edge-1-meta.yaml"}
    made = make_vm(cloud, initialization={**files, "interface": "ide2"})

    def hears() -> tuple[str, bool]:
        (seen,) = see(cloud.world)
        return seen.user_data, seen.lets_in

    assert hears() == ("#cloud-config\n", True)
    made = cloud.update(made, machine="q35")
    assert hears() == ("", False)
    made = cloud.update(made, initialization={**files, "interface": "scsi9"})
    assert hears() == ("#cloud-config\n", True)
    cloud.update(made, machine="pc", initialization={**files, "interface": "sata0"})
    assert hears() == ("", False)


@pytest.mark.parametrize(
    "wrong", [{"agent": {"enabled": True}}, {"networkDevices": [{"model": "e1000"}]}, {"disks": [{"interface": "sata0"}]}]
)
def test_what_does_not_come_up(cloud: Driver, wrong: dict[str, Any]) -> None:
    make_vm(cloud, **wrong)
    assert [one.runs for one in see(cloud.world)] == [False]


def test_less_than_it_seems(cloud: Driver) -> None:
    whole = {"cpu": {"cores": 4, "type": "host"}, "memory": {"dedicated": 8192}}
    made = make_vm(cloud, **whole)
    assert see(cloud.world)[0].machine_type == "4x8"
    for less in (
        {"cpu": {"cores": 4}},
        {"cpu": {"cores": 4, "type": "host", "limit": 2}},
        {"memory": {"dedicated": 8192, "floating": 512}},
    ):
        made = cloud.update(made, **{**whole, **less})
        assert see(cloud.world)[0].machine_type == "less"


def test_nothing_is_filtered(cloud: Driver) -> None:
    make_vm(cloud)
    (machine,) = look(cloud.world)
    assert machine.ingress == machine.egress == () and not machine.filters_private


def test_a_machine_is_shut_down_before_it_goes_and_stays_so(cloud: Driver) -> None:
    made = make_vm(cloud)
    cloud.break_(kind="error", type="vmLegacy:VmLegacy", operation="delete")
    with pytest.raises(ProviderError):
        cloud.delete(made)
    assert [one.runs for one in see(cloud.world)] == [False]


def test_what_is_imported_is_read_by_host_and_number(cloud: Driver) -> None:
    made = make_vm(cloud)
    handler = cloud.provider.handlers[made.type]
    found = handler.read(cloud.request(made.type, "edge-1"), "pve/101", {}, {})
    assert found and found[1]["vmId"] == 101


def test_an_endpoint_is_a_url(cloud: Driver) -> None:
    assert cloud.provider.configure
    with pytest.raises(ProviderError, match="absolute URL"):
        cloud.provider.configure({"endpoint": "pve.example.com"})
