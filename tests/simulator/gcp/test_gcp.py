"""The rules of Google Cloud, one by one."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.conftest import ALL, ANYBODY, OFFICE, CheckFailed, Driver, Made
from tests.simulator.gcp.view import look
from tests.simulator.reach import between, from_outside, to_outside
from tests.simulator.world import Refused

BOOT = {"initializeParams": {"image": "projects/debian-cloud/global/images/family/debian-12", "type": "pd-ssd", "size": 20}}


@pytest.fixture
def cloud(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("gcp")


class Net:
    """A network with a subnetwork."""

    def __init__(self, cloud: Driver) -> None:
        self.network = cloud.create("Network", name="net", autoCreateSubnetworks=False)
        self.subnetwork = cloud.create("Subnetwork", name="net", network=self.network.id, ipCidrRange="10.20.0.0/16")


def make_instance(cloud: Driver, net: Net, name: str = "edge-1", interface: dict[str, Any] | None = None, **inputs: Any) -> Made:
    given = {
        "name": name,
        "machineType": "c2d-highcpu-2",
        "zone": "europe-west3-a",
        "bootDisk": BOOT,
        "networkInterfaces": [{"subnetwork": net.subnetwork.id, **(interface or {})}],
        **inputs,
    }
    return cloud.create("Instance", name, **given)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "Edge"}, "does not match"),
        ({"machine": "c2d"}, "no input"),
        ({"resourcePolicies": ["p"]}, "must be a string"),
        ({"networkInterfaces": [{"name": "nic0"}]}, "cannot be given"),
        ({"networkInterfaces": [{"accessConfigs": [{"securityPolicy": "x"}]}]}, "cannot be given"),
        ({"networkInterfaces": [{"nicType": "E1000"}]}, "not one of"),
        ({"bootDisk": {}}, "at least one of"),
        ({"bootDisk": {"source": "d", "initializeParams": {"image": "i"}}}, "conflicts"),
        ({"scratchDisks": [{"interface": "NVME"}]}, "not simulated"),
        ({"desiredStatus": "OFF"}, "not one of"),
    ],
)
def test_instance_inputs_refused_by_the_provider(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        make_instance(cloud, Net(cloud), **wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"machineType": "c3-highcpu-16"}, "machineTypes/c3-highcpu-16"),
        ({"zone": "europe-west3"}, "Unknown zone"),
        ({"zone": "us-east1-a"}, "Unknown zone"),
        ({"zone": "europe-west3-d"}, "Unknown zone"),
        ({"zone": "us-central1-a"}, "not in the instance's region"),
        ({"metadata": {"startup-script": "x" * 262145}}, "too large"),
        ({"metadata": {"a": "x" * 262144, "b": "x" * 262144, "c": "x"}}, "too large"),
        ({"tags": ["Edge"]}, "tags"),
        ({"labels": {"Role": "edge"}}, "labels"),
        ({"machineType": "c4-highcpu-2"}, "not compatible"),
        ({"bootDisk": {"initializeParams": {"image": "windows"}}}, "image 'windows'"),
        ({"bootDisk": {"initializeParams": {**BOOT["initializeParams"], "size": 5}}}, "boot disk"),
        ({"networkInterfaces": [{}]}, "network or subnetwork"),
        ({"attachedDisks": [{"source": "none"}]}, "not found"),
        ({"resourcePolicies": "none"}, "not found"),
        ({"scheduling": {"availabilityDomain": 1}}, "needs a placement policy"),
    ],
)
def test_instance_refused_by_the_cloud(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        make_instance(cloud, Net(cloud), **wrong)


def test_names_made_from_upper_case_fail_where_google_does_not_lower_them(cloud: Driver) -> None:
    assert cloud.create("Network", "Net").inputs["name"].startswith("net-")
    with pytest.raises(CheckFailed, match="does not match"):
        cloud.create("Disk", "Data", size=10)
    with pytest.raises(CheckFailed, match="does not match"):
        cloud.create("Firewall", "Edge", network="net", sourceRanges=["0.0.0.0/0"], allows=[{"protocol": "tcp"}])


def test_addresses(cloud: Driver) -> None:
    net = Net(cloud)
    inputs = {"addressType": "INTERNAL", "subnetwork": net.subnetwork.id}
    private = cloud.create("Address", name="private", **inputs, address="10.20.0.10")
    assert private.outputs["address"] == "10.20.0.10"
    for address in ("10.20.0.10", "10.20.0.1", "10.20.255.254", "10.21.0.1"):
        with pytest.raises(Refused, match=address):
            cloud.create("Address", name="b", **inputs, address=address)
    public = cloud.create("Address", name="public")
    instance = make_instance(
        cloud, net, interface={"networkIp": "10.20.0.10", "accessConfigs": [{"natIp": public.outputs["address"]}]}
    )
    assert instance.outputs["networkInterfaces"][0]["networkIp"] == "10.20.0.10"
    with pytest.raises(Refused, match="in use"):
        cloud.delete(public)
    with pytest.raises(Refused, match="already in use"):
        make_instance(cloud, net, "b", {"networkIp": "10.20.0.10"})
    with pytest.raises(Refused, match="already in use"):
        make_instance(cloud, net, "b", {"accessConfigs": [{"natIp": public.outputs["address"]}]})
    with pytest.raises(Refused, match="external IP was not found"):
        make_instance(cloud, net, "b", {"accessConfigs": [{"natIp": "192.0.2.1"}]})
    assert make_instance(cloud, net, "b").outputs["networkInterfaces"][0]["networkIp"] == "10.20.0.2"
    for name, value in (("address", "10.20.0.11"), ("description", "x"), ("networkTier", "STANDARD")):
        assert cloud.diff(private, **{name: value}).replaces == [name]
    assert cloud.diff(private, labels={"a": "b"}, deletionPolicy="PREVENT").replaces == []
    kept = cloud.update(public, deletionPolicy="PREVENT")
    with pytest.raises(Refused, match="PREVENT|in use"):  # noqa: RUF043
        cloud.delete(kept)


def test_what_replaces_an_instance_and_what_needs_a_stop(cloud: Driver) -> None:
    net = Net(cloud)
    instance = make_instance(cloud, net, metadata={"startup-script": "one"}, interface={"networkIp": "10.20.0.10"})
    for inputs in (
        {"zone": "europe-west3-b"},
        {"name": "other"},
        {"hostname": "a.b.c"},
        {"metadataStartupScript": "x"},
        {"bootDisk": {"initializeParams": {**BOOT["initializeParams"], "type": "pd-standard"}}},
        {"networkInterfaces": [{"subnetwork": net.subnetwork.id, "networkIp": "10.20.0.11"}]},
    ):
        assert cloud.diff(instance, **inputs).replaces == list(inputs), inputs
    assert cloud.diff(instance, metadataStartupScript="one", metadata={}).replaces == []
    assert cloud.update(instance, metadata={"startup-script": "two"}).id == instance.id
    with pytest.raises(Refused, match="allow_stopping_for_update"):
        cloud.update(instance, machineType="c2d-highcpu-4")
    bigger = cloud.update(instance, machineType="c2d-highcpu-4", allowStoppingForUpdate=True)
    guarded = cloud.update(bigger, deletionProtection=True)
    with pytest.raises(Refused, match="protected against deletion"):
        cloud.delete(guarded)


def test_disks(cloud: Driver) -> None:
    net = Net(cloud)
    disk = cloud.create("Disk", name="data", zone="europe-west3-a", size=10, type="pd-ssd")
    assert cloud.diff(disk, size=20).replaces == []
    assert cloud.diff(disk, size=5).replaces == ["size"]
    assert cloud.diff(disk, type="pd-balanced").replaces == ["type"]
    assert cloud.diff(disk, provisionedIops=3000).replaces == ["provisionedIops"]
    hyper = cloud.create("Disk", name="hyper", zone="europe-west3-a", size=10, type="hyperdisk-balanced", provisionedIops=3000)
    assert cloud.diff(hyper, provisionedIops=4000).replaces == []
    assert cloud.create("Disk", name="d", zone="europe-west3-a", size=10).inputs["type"] == "pd-standard"
    make_instance(cloud, net, attachedDisks=[{"source": disk.id, "deviceName": "data"}])
    for inputs, words in (
        ({"attachedDisks": [{"source": disk.outputs["selfLink"]}]}, "attachment of"),
        ({"attachedDisks": [{"source": "hyper"}]}, "not compatible"),
        ({"attachedDisks": [{"source": "data"}], "zone": "europe-west3-b"}, "different zones"),
    ):
        with pytest.raises(Refused, match=words):
            make_instance(cloud, net, "b", **inputs)
    with pytest.raises(Refused, match="in use"):
        cloud.delete(disk)
    with pytest.raises(Refused, match="diskTypes"):
        cloud.create("Disk", name="x", zone="europe-west3-a", type="nvme")


def test_firewalls(cloud: Driver) -> None:
    net = Net(cloud)
    web = {"network": net.network.id, "sourceRanges": ["0.0.0.0/0"], "allows": [{"protocol": "tcp", "ports": ["443"]}]}
    firewall = cloud.create("Firewall", name="web", **web)
    assert firewall.inputs["priority"] == 1000
    assert cloud.diff(firewall, direction="EGRESS", destinationRanges=["0.0.0.0/0"], sourceRanges=None).replaces == ["direction"]
    for wrong, words in (
        ({"denies": [{"protocol": "all"}]}, "exactly one of"),
        ({"allows": None}, "exactly one of"),
        ({"sourceRanges": None}, "one of sourceRanges"),
        ({"priority": 65536}, "not within"),
        ({"direction": "IN"}, "not one of"),
        ({"targetServiceAccounts": ["a"], "targetTags": ["b"]}, "conflicts"),
    ):
        with pytest.raises(CheckFailed, match=words):
            cloud.create("Firewall", name="x", **{**web, **wrong})
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"sourceRanges": ["10.0.0.1/8"]}, "host bits"),
        ({"targetTags": ["Edge"]}, "targetTags"),
        ({"allows": [{"protocol": "tcp", "ports": ["90-80"]}]}, "ports"),
        ({"allows": [{"protocol": "sip"}]}, "IPProtocol"),
        ({"allows": [{"protocol": "icmp", "ports": ["1"]}]}, "ports"),
        ({"network": "none"}, "not found"),
        ({"sourceRanges": [f"10.{n}.0.0/16" for n in range(256)] + ["11.0.0.0/8"]}, "at most 256"),
        ({"direction": "EGRESS"}, "sources belong"),
    )
    for inputs, words in refused:
        with pytest.raises(Refused, match=words):
            cloud.create("Firewall", name="x", **{**web, **inputs})
    with pytest.raises(Refused, match="in use"):
        cloud.delete(net.network)


def test_nat_and_subnetworks(cloud: Driver) -> None:
    net = Net(cloud)
    router = cloud.create("Router", name="nat", network=net.network.id)
    everything = {"router": router.inputs["name"], "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES"}
    made = cloud.create("RouterNat", name="nat", **everything, natIpAllocateOption="AUTO_ONLY")
    with pytest.raises(Refused, match="NAT of all"):
        cloud.create("RouterNat", name="nat-2", **everything, natIpAllocateOption="AUTO_ONLY")
    with pytest.raises(Refused, match="MANUAL_ONLY"):
        cloud.create("RouterNat", name="nat-2", **everything, natIpAllocateOption="MANUAL_ONLY")
    ports: dict[str, Any] = {"enableDynamicPortAllocation": True, "minPortsPerVm": 256}
    for wrong in ({"minPortsPerVm": 200}, {"maxPortsPerVm": 256}, {"enableDynamicPortAllocation": None, "maxPortsPerVm": 512}):
        with pytest.raises(Refused, match="orts"):
            cloud.update(made, **{**ports, **wrong})
    cloud.update(made, **ports, maxPortsPerVm=65536)
    with pytest.raises(CheckFailed, match="characters, allowed 2"):
        cloud.create("RouterNat", name="n", **everything)
    with pytest.raises(CheckFailed, match="not allowed when"):
        cloud.create("RouterNat", name="nat-3", **everything, drainNatIps=["a"])
    assert cloud.diff(net.subnetwork, ipCidrRange="10.20.0.0/15").replaces == []
    assert cloud.diff(net.subnetwork, ipCidrRange="10.20.0.0/17").replaces == ["ipCidrRange"]
    with pytest.raises(Refused, match="conflicts"):
        cloud.create("Subnetwork", name="b", network="net", ipCidrRange="10.20.1.0/24")


def test_placement(cloud: Driver) -> None:
    net = Net(cloud)
    policy = cloud.create("ResourcePolicy", name="data", groupPlacementPolicy={"availabilityDomainCount": 3})
    instance = make_instance(cloud, net, resourcePolicies=policy.id, scheduling={"availabilityDomain": 3})
    with pytest.raises(Refused, match="availabilityDomain 4 of 3"):
        make_instance(cloud, net, "b", resourcePolicies=policy.id, scheduling={"availabilityDomain": 4})
    with pytest.raises(Refused, match="running instance"):
        cloud.update(instance, resourcePolicies=None)
    with pytest.raises(Refused, match="cannot be changed"):
        cloud.update(policy, groupPlacementPolicy={"availabilityDomainCount": 4})


def test_project_is_needed(cloud: Driver) -> None:
    assert cloud.provider.configure
    cloud.provider.configure({"zone": "europe-west3-a"})
    with pytest.raises(Refused, match="project: required"):
        cloud.create("Network", name="net")
    with pytest.raises(Exception, match="zone x is invalid"):
        cloud.provider.configure({"zone": "x"})


def test_who_reaches_whom(cloud: Driver) -> None:
    network = cloud.create("Network", name="net", autoCreateSubnetworks=False)
    subnetwork = cloud.create("Subnetwork", name="net", network=network.id, ipCidrRange="10.20.0.0/16")
    boot = {"initializeParams": {"image": "debian-cloud/debian-12"}}

    def make(name: str, tags: list[str], public: bool) -> Made:
        access: dict[str, Any] = {"accessConfigs": [{}]} if public else {}
        return cloud.create(
            "Instance",
            name,
            name=name,
            machineType="c2d-highcpu-2",
            bootDisk=boot,
            tags=tags,
            networkInterfaces=[{"subnetwork": subnetwork.id, **access}],
            zone="europe-west3-a",
        )

    make("edge", ["edge"], True)
    make("data", ["data"], False)
    edge, data = look(cloud.world)
    assert between(edge, data) == {}
    assert to_outside(edge, ANYBODY) == ALL
    assert to_outside(data, ANYBODY) == {}
    rule = {"network": network.id, "sourceRanges": ["203.0.113.0/24"]}
    cloud.create("Firewall", "a", name="a", **rule, targetTags=["edge"], allows=[{"protocol": "tcp", "ports": ["80", "443"]}])
    cloud.create("Firewall", "b", name="b", **rule, priority=900, denies=[{"protocol": "tcp", "ports": ["80"]}])
    cloud.create(
        "Firewall",
        "c",
        name="c",
        network=network.id,
        sourceTags=["edge"],
        targetTags=["data"],
        allows=[{"protocol": "tcp", "ports": ["5432"]}],
    )
    cloud.create(
        "Firewall",
        "d",
        name="d",
        network=network.id,
        direction="EGRESS",
        denies=[{"protocol": "udp"}],
        destinationRanges=["0.0.0.0/0"],
        targetTags=["edge"],
    )
    edge, data = look(cloud.world)
    assert from_outside(edge, OFFICE) == {"tcp": ((443, 443),)}
    assert between(edge, data) == {"tcp": ((5432, 5432),)}
    assert between(data, edge) == {}
    assert to_outside(edge, ANYBODY) == {"tcp": ((1, 65535),), "icmp": ((0, 0),)}
    router = cloud.create("Router", name="nat", network=network.id)
    cloud.create(
        "RouterNat",
        name="nat",
        router=router.inputs["name"],
        natIpAllocateOption="AUTO_ONLY",
        sourceSubnetworkIpRangesToNat="ALL_SUBNETWORKS_ALL_IP_RANGES",
    )
    assert to_outside(look(cloud.world)[1], ANYBODY) == ALL
