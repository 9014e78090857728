"""What the Azure adapter asks for: each test is one of the traps of facts/clouds.md 3."""

import base64
import gzip
import re
import subprocess
from typing import Any

import pytest
import yaml
from pulumi import RunError

from components.clouds.azure.machines import refer_to_image
from tests.clouds.budgets import check_alarm
from tests.clouds.conftest import Ask, Asked

pytestmark = pytest.mark.clouds  # the SDK alone takes seconds to read, and that part reads it anyway


@pytest.fixture
def basic(ask: Ask) -> Asked:
    return ask("azure-basic")


def rules(asked: Asked, role: str, direction: str) -> list[dict[str, Any]]:
    found = [one for one in asked.one("NetworkSecurityGroup", role)["securityRules"] if one["direction"] == direction]
    return sorted(found, key=lambda one: int(one["priority"]))


def test_a_subnet_has_the_way_out_that_its_nodes_need(basic: Asked) -> None:
    public, private = (basic.one("Subnet", name) for name in ("public", "private"))
    assert private["natGateway"] == {"id": basic.id("NatGateway", "nat")}
    assert "natGateway" not in public, "what its nodes begin would leave by the gateway's address"
    assert public["defaultOutboundAccess"] is private["defaultOutboundAccess"] is False
    # Azure refuses two changes of one network at the same time.
    assert basic.all("Subnet")["public"].urn in basic.all("Subnet")["private"].depends_on
    assert "subnets" not in basic.one("VirtualNetwork", "network")
    assert "subnets" in basic.all("VirtualNetwork")["network"].ignore_changes
    subnets = {name: one.inputs["ipConfigurations"][0]["subnet"]["id"] for name, one in basic.all("NetworkInterface").items()}
    assert subnets == {
        "edge-1": basic.id("Subnet", "public"),
        "data-1": basic.id("Subnet", "private"),
        "app-1": basic.id("Subnet", "private"),
    }


def test_the_way_out_stands_in_the_zone_of_those_who_use_it(basic: Asked) -> None:
    """In no zone it stands in one that nobody knows; and where it stands, it stays."""
    nat = basic.all("NatGateway")["nat"]
    assert nat.inputs["zones"] == [basic.all("VirtualMachine")["app-1"].inputs["zones"][0]] == ["1"]
    assert list(nat.ignore_changes) == ["zones"], "one of before is in no zone for good"


def test_no_nat_is_paid_for_where_no_node_needs_it(ask: Ask) -> None:
    assert not ask("azure-single").all("NatGateway")


def test_only_nodes_reached_from_outside_have_an_address(basic: Asked) -> None:
    assert basic.all("PublicIPAddress").keys() == {"nat", "edge-1"}
    for one in basic.all("PublicIPAddress").values():
        assert (one.inputs["sku"]["name"], one.inputs["publicIPAllocationMethod"]) == ("Standard", "Static")
    assert basic.all("PublicIPAddress")["edge-1"].protect
    for name, one in basic.all("NetworkInterface").items():
        [configuration] = one.inputs["ipConfigurations"]
        address = {"data-1": "10.20.0.10", "app-1": "10.20.0.20", "edge-1": "10.20.128.30"}[name]
        assert configuration["privateIPAddress"] == address
        assert configuration["privateIPAllocationMethod"] == "Static"
        assert ("publicIPAddress" in configuration) is (name == "edge-1")
        assert one.inputs["networkSecurityGroup"]["id"] == basic.id("NetworkSecurityGroup", name[:-2])


def test_what_azure_would_let_pass_is_closed_before(basic: Asked) -> None:
    for role in ("data", "app", "edge"):
        for direction in ("Inbound", "Outbound"):
            found = rules(basic, role, direction)
            last = found[-1]
            assert last["access"] == "Deny"
            assert last["protocol"] == last["sourceAddressPrefix"] == last["destinationAddressPrefix"] == "*"
            assert {one["access"] for one in found[:-1]} == {"Allow"}
            priorities = [one["priority"] for one in found]
            assert len(set(priorities)) == len(priorities)
            assert (min(priorities) >= 100, max(priorities)) == (True, 4096)
        everything = {one["destinationAddressPrefix"] for one in rules(basic, role, "Outbound") if one["protocol"] == "*"}
        assert everything == {"10.20.0.0/16", "168.63.129.16", "*"}


def test_rules_name_networks_or_the_nodes_of_a_role(ask: Ask) -> None:
    asked = ask("azure-basic", carriers=["198.51.100.0/24"], phones=["198.51.100.0/24"], counts={"app": 2})
    inbound = rules(asked, "edge", "Inbound")
    sip = [one for one in inbound if one.get("sourceAddressPrefix") == "198.51.100.0/24"]
    assert len({(one["protocol"], one["destinationPortRange"]) for one in sip}) == len(sip), "a rule twice"
    [media] = [one for one in inbound if one["name"] == "in-udp-10000-19999-app"]
    assert media["sourceAddressPrefixes"] == ["10.20.0.20", "10.20.0.21"]
    for one in inbound:
        assert ("sourceAddressPrefix" in one) != ("sourceAddressPrefixes" in one)
        assert "/" not in one["name"]
        assert len(one["name"]) <= 80


def test_what_azure_refuses_to_change_is_ignored_or_replaces(basic: Asked) -> None:
    for one in basic.all("VirtualMachine").values():
        assert {
            "osProfile.customData",
            "osProfile.linuxConfiguration",
            "storageProfile.imageReference",
            "storageProfile.osDisk.diskSizeGB",
            "storageProfile.osDisk.managedDisk.diskEncryptionSet",
            "virtualMachineScaleSet",
        } == set(one.ignore_changes)
        assert one.delete_before_replace
        text = gzip.decompress(base64.b64decode(one.inputs["osProfile"]["customData"]))
        assert text.startswith(b"#cloud-config\n")
        assert "userData" not in one.inputs, "every process could read it"
    assert all(one.delete_before_replace for one in basic.all("NetworkInterface").values())


@pytest.mark.parametrize(
    ("size", "controller", "names"),
    [
        ("Standard_D8as_v5", "SCSI", "/dev/disk/azure/scsi1/lun"),
        ("Standard_D8as_v6", "NVMe", "/dev/disk/azure/data/by-lun/"),
        ("Standard_F16als_v7", "NVMe", "/dev/disk/azure/data/by-lun/"),
    ],
)
def test_disks_are_on_the_controller_that_the_machine_has(ask: Ask, size: str, controller: str, names: str) -> None:
    """From version 6 on machines have no other than NVMe, and none of it before (MicrosoftDocs, nvme-overview.md)."""
    asked = ask("azure-basic", machine_types={"data": size})
    storage = asked.one("VirtualMachine", "data-1")["storageProfile"]
    assert storage["diskControllerType"] == controller
    assert asked.one("NodeConfiguration", "data-1")["devices"] == {"database": f"{names}0", "recordings": f"{names}1"}
    machine = asked.all("VirtualMachine")["data-1"]
    assert "storageProfile.diskControllerType" in machine.replace_on_changes, "it changes on a deallocated machine only"


def test_data_disks_have_names_by_their_place(basic: Asked) -> None:
    """Debian 12 names disks by their place on a SCSI controller only; a rule of ours does on the other."""
    document = yaml.safe_load(gzip.decompress(base64.b64decode(basic.one("VirtualMachine", "data-1")["osProfile"]["customData"])))
    [rule] = [file["content"] for file in document["write_files"] if file["path"].startswith("/etc/udev/rules.d/")]
    [program] = re.findall(r'PROGRAM="/bin/sh -c \'(.*?)\'"', rule)
    shown = subprocess.run(["sh", "-c", program.replace("$$", "$").replace("$attr{nsid}", "3")], capture_output=True, check=True)
    assert shown.stdout == b"1\n", "namespace 3 is LUN 1"
    commands = document["runcmd"]
    assert commands.index(["udevadm", "control", "--reload"]) < commands.index(
        ["udevadm", "trigger", "--subsystem-match=block"]
    ), "the disks were there before the rule"


def test_disks(basic: Asked) -> None:
    storage = basic.one("VirtualMachine", "data-1")["storageProfile"]
    assert [(disk["lun"], disk["managedDisk"]["id"], disk["deleteOption"]) for disk in storage["dataDisks"]] == [
        (0, basic.id("Disk", "data-1-database"), "Detach"),
        (1, basic.id("Disk", "data-1-recordings"), "Detach"),
    ]
    assert storage["osDisk"]["diskSizeGB"] >= 30
    for one in basic.all("Disk").values():
        assert one.protect
        assert one.inputs["networkAccessPolicy"] == "DenyAll"


def test_machines_and_disks_stand_in_their_zones_and_apart_in_each(ask: Ask) -> None:
    asked = ask("azure-basic", counts={"data": 3, "app": 2}, zones=["2", "3"])
    zones = {name: one.inputs["zones"] for name, one in asked.all("VirtualMachine").items()}
    assert zones == {"data-1": ["2"], "data-2": ["3"], "data-3": ["2"], "app-1": ["2"], "app-2": ["3"], "edge-1": ["2"]}
    assert {name: one.inputs["zones"] for name, one in asked.all("Disk").items()} == {
        "data-1-database": ["2"],
        "data-1-recordings": ["2"],
        "data-2-database": ["3"],
        "data-3-database": ["2"],
    }
    assert {name: one.inputs["zones"] for name, one in asked.all("NatGateway").items()} == {"nat": ["2"], "nat-3": ["3"]}
    sets = {one.id: name for name, one in asked.all("VirtualMachineScaleSet").items()}
    worn = {name: one.inputs.get("virtualMachineScaleSet") for name, one in asked.all("VirtualMachine").items()}
    assert {name: sets[one["id"]] for name, one in worn.items() if one} == {
        "data-1": "data-zone-2",
        "data-2": "data-zone-3",
        "data-3": "data-zone-2",
        "app-1": "app-zone-2",
        "app-2": "app-zone-3",
    }


def test_a_region_without_zones_gets_none(ask: Ask) -> None:
    asked = ask("azure-basic", region="westus", counts={"app": 2})
    for type in ("VirtualMachine", "PublicIPAddress", "NatGateway", "VirtualMachineScaleSet"):
        assert not [name for name, one in asked.all(type).items() if one.inputs.get("zones")], type


def test_an_image_is_an_id_or_four_words() -> None:
    assert refer_to_image("/subscriptions/s/images/mine").id == "/subscriptions/s/images/mine"
    given = refer_to_image("Debian:debian-12:12-gen2:0.20260701.1")
    assert (given.offer, given.version) == ("debian-12", "0.20260701.1")
    with pytest.raises(RunError, match=r"webitel:image = debian-12: on Azure .* Debian:debian-12:12-gen2:latest"):
        refer_to_image("debian-12")


def test_every_name_is_ours(basic: Asked) -> None:
    for one in basic.registrations:
        if one.type.startswith("azure-native:"):
            names = {value for key, value in one.inputs.items() if key.lower().endswith("name")}
            assert names <= {"azure-basic", "public", "private"} or any("azure-basic-" in name for name in names)


def test_the_machine_id_is_a_new_one_for_a_new_machine(basic: Asked) -> None:
    assert basic.one("NodeConfiguration", "app-1")["machine_id"] == "vmId of app-1"


def test_no_version_of_azures_interface_is_an_alias_and_a_moved_type_is_one(ask: Ask) -> None:
    asked = ask("azure-single", dns_zone="names/example.com")
    aliases = [alias for one in asked.registrations for alias in one.aliases]
    assert any("azure-native:network:RecordSet" in alias for alias in aliases)
    assert not [alias for alias in aliases if "/v20" in alias]


def test_the_alarm_of_a_budget_is_made_where_it_is_asked_for(ask: Ask) -> None:
    check_alarm(ask, "azure", {"amount": 2000})
