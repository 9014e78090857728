"""What the Google adapter asks for: each test is one of the traps of facts/clouds.md 2."""

import re
from pathlib import Path

import pytest
from pulumi import RunError

from components.model.planning.firewall import ANYWHERE
from tests.clouds.budgets import FUNCTIONS, MAIL, check_alarm
from tests.clouds.conftest import Ask, Asked, run_stack

pytestmark = pytest.mark.clouds  # the SDK alone takes seconds to read, and that part reads it anyway


@pytest.fixture
def basic(ask: Ask) -> Asked:
    return ask("gcp-basic")


def test_the_start_up_script_is_metadata_that_can_change_in_place(basic: Asked) -> None:
    for one in basic.all("Instance").values():
        assert "metadataStartupScript" not in one.inputs
        assert one.inputs["metadata"]["startup-script"].startswith("#!/bin/sh\n")
        assert set(one.ignore_changes) == {
            'metadata["startup-script"]',
            "bootDisk.initializeParams.image",
            "bootDisk.initializeParams.labels",
            "bootDisk.kmsKeySelfLink",
        }
        assert one.delete_before_replace
        assert one.inputs["allowStoppingForUpdate"]


def test_a_missing_project_is_said_once_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RunError, match=r"gcp:project is not set.* pulumi config set gcp:project .* --stack gcp-single"):
        run_stack(tmp_path, "gcp-single", {}, {}, cloud_config={})


def test_only_the_deployments_key_logs_in(basic: Asked) -> None:
    for one in basic.all("Instance").values():
        metadata = one.inputs["metadata"]
        assert re.fullmatch(r"debian:ssh-ed25519 \S+ webitel", metadata["ssh-keys"])
        assert (metadata["block-project-ssh-keys"], metadata["enable-oslogin"]) == ("true", "FALSE")
        assert "serviceAccount" not in one.inputs


def test_addresses_are_fixed_and_public_only_where_reached_from_outside(basic: Asked) -> None:
    assert basic.all("Address").keys() == {"edge-1", "nat"}
    assert basic.all("Address")["edge-1"].protect
    for name, one in basic.all("Instance").items():
        [interface] = one.inputs["networkInterfaces"]
        assert interface["networkIp"] == {"data-1": "10.20.0.10", "app-1": "10.20.0.20", "edge-1": "10.20.0.30"}[name]
        given = [config["natIp"] for config in interface["accessConfigs"]]
        assert given == (["address of edge-1"] if name == "edge-1" else [])


def test_what_goes_out_has_ports_enough_and_one_address(basic: Asked) -> None:
    """By itself Google gives a machine 64 ports, each held two minutes longer, and takes another address when it likes."""
    nat = basic.one("RouterNat", "nat")
    assert nat["enableDynamicPortAllocation"] and not nat["enableEndpointIndependentMapping"]
    assert (nat["minPortsPerVm"], nat["maxPortsPerVm"]) == (256, 65536)
    assert (nat["natIpAllocateOption"], nat["natIps"]) == ("MANUAL_ONLY", [basic.id("Address", "nat")])


def test_what_goes_out_is_closed_but_for_what_the_plan_lets_out(basic: Asked) -> None:
    out = {name: one.inputs for name, one in basic.all("Firewall").items() if one.inputs["direction"] == "EGRESS"}
    closed = out.pop("out")
    assert closed["denies"] == [{"protocol": "all"}]
    assert closed["destinationRanges"] == [ANYWHERE]
    assert "targetTags" not in closed, "it is for all"
    assert all(one["priority"] < closed["priority"] < 65535 for one in out.values())
    assert out["out-network"]["destinationRanges"] == ["10.20.0.0/16"]
    assert out["edge-out-2"]["destinationRanges"] == ["198.51.100.0/24"]


def test_sources_inside_are_tags_and_outside_networks(basic: Asked) -> None:
    ingress = {name: one.inputs for name, one in basic.all("Firewall").items() if one.inputs["direction"] == "INGRESS"}
    assert ingress["edge-carriers"]["sourceRanges"] == ["198.51.100.0/24"]
    assert ingress["data-from-edge"]["sourceTags"] == ["gcp-basic-edge"]
    for name, inputs in ingress.items():
        assert ("sourceTags" in inputs) != ("sourceRanges" in inputs)
        assert inputs["targetTags"] == [f"gcp-basic-{name.partition('-')[0]}"]
    for name, one in basic.all("Instance").items():
        assert one.inputs["tags"] == [f"gcp-basic-{name.partition('-')[0]}"]


def test_the_longest_names_are_short_enough(ask: Ask) -> None:
    for one in ask("gcp-extended", phones=["192.0.2.0/24"]).registrations:
        if one.type.startswith("gcp:"):
            # A stack name may have as many characters as leave room for `-<role>-1-recordings`.
            assert len(one.inputs["name"].removeprefix("gcp-extended")) <= len("-storage-1-recordings")


def test_private_nodes_wait_for_their_way_out(basic: Asked) -> None:
    nat = basic.all("RouterNat")["nat"].urn
    waits = {name: nat in one.depends_on for name, one in basic.all("Instance").items()}
    assert waits == {"data-1": True, "app-1": True, "edge-1": False}


def test_no_nat_is_paid_for_where_no_node_needs_it(ask: Ask) -> None:
    assert not ask("gcp-single").all("RouterNat")


def test_data_disks_are_kept_and_found_by_their_purpose(basic: Asked) -> None:
    assert all(one.protect for one in basic.all("Disk").values())
    attached = basic.one("Instance", "data-1")["attachedDisks"]
    assert [(disk["source"], disk["deviceName"]) for disk in attached] == [
        (basic.id("Disk", "data-1-database"), "database"),
        (basic.id("Disk", "data-1-recordings"), "recordings"),
    ]
    assert basic.one("NodeConfiguration", "data-1")["devices"] == {
        "database": "/dev/disk/by-id/google-database",
        "recordings": "/dev/disk/by-id/google-recordings",
    }


def test_a_family_that_takes_hyperdisks_only_gets_them(ask: Ask) -> None:
    asked = ask("gcp-basic", machine_types={"data": "c4-standard-8"})
    assert asked.one("Disk", "data-1-database")["type"] == "hyperdisk-balanced"
    assert asked.one("Disk", "data-1-database")["provisionedIops"] == 3000
    assert asked.one("Instance", "data-1")["bootDisk"]["initializeParams"]["type"] == "hyperdisk-balanced"
    assert asked.one("Instance", "edge-1")["bootDisk"]["initializeParams"]["type"] == "pd-ssd"


def test_members_of_a_cluster_stand_apart_from_the_first_on(ask: Ask, basic: Asked) -> None:
    three = ask("gcp-basic", counts={"data": 3})
    policies = [asked.one("ResourcePolicy", "data")["groupPlacementPolicy"] for asked in (basic, three)]
    assert policies[0] == policies[1], "another number of domains would be another policy and another instance"
    for asked in (basic, three):
        domains = {name: one.inputs["scheduling"].get("availabilityDomain") for name, one in asked.all("Instance").items()}
        assert domains == {name: int(name[-1]) if name.startswith("data") else None for name in domains}
        assert asked.one("Instance", "data-1")["resourcePolicies"] == asked.id("ResourcePolicy", "data")
    assert not ask("gcp-single").all("ResourcePolicy")


def test_an_image_given_is_taken(ask: Ask, basic: Asked) -> None:
    newest = basic.one("Instance", "app-1")["bootDisk"]["initializeParams"]["image"]
    assert newest == "projects/debian-cloud/global/images/family/debian-12"
    given = ask("gcp-single", image="projects/debian-cloud/global/images/debian-12-bookworm-v20260701")
    assert given.one("Instance", "all-1")["bootDisk"]["initializeParams"]["image"].endswith("v20260701")


def test_the_machine_id_is_a_new_one_for_a_new_machine(basic: Asked) -> None:
    assert basic.one("NodeConfiguration", "app-1")["machine_id"] == "instanceId of app-1"


def test_the_alarm_of_a_budget_is_made_where_it_is_asked_for(ask: Ask) -> None:
    check_alarm(ask, "gcp", {"amount": {"specifiedAmount": {"units": "2000"}}})


def test_google_bills_a_persons_question_to_the_project(ask: Ask) -> None:
    """A person's credentials, which we advise, get 403 of the Billing Budgets API otherwise."""
    asked = ask("gcp-single", FUNCTIONS, budget=2000, budget_mail=MAIL)
    (own,) = (one for one in asked.registrations if one.type == "pulumi:providers:gcp" and one.name == "budget")
    assert own.given["billingProject"] == own.given["project"]
    assert own.given["userProjectOverride"] in (True, "true")
    assert asked.all("Budget")["budget"].provider.startswith(own.urn)
