"""The clouds' rows, the choice of machine types and the price of a node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from components.clouds.registry import CLOUDS
from components.model.clouds.facts import CloudFacts, load_prices
from components.model.clouds.machines import choose_machine_type, describe_machine_type, fits
from components.model.clouds.prices import currency_of, price_date, price_node
from components.model.machine import Disk, MachineType, Public, Size
from components.model.planning.bill import sum_bill

PRICED = [cloud for cloud in CLOUDS.values() if cloud.priced]


def size(vcpus: int, memory: float, boot: int = 40) -> Size:
    return Size(vcpus, memory, boot, 0, "test")


@pytest.mark.parametrize("cloud", PRICED, ids=lambda cloud: cloud.name)
def test_rows_and_the_price_list_agree(cloud: CloudFacts) -> None:
    data = load_prices()["clouds"][cloud.name]
    assert {row["name"] for row in data["machine_types"]} == {machine.name for machine in cloud.machine_types}
    assert all(machine.price_in(cloud.default_region) for machine in cloud.machine_types)
    assert not any(
        cloud.is_shared(one.name) or cloud.is_not_x86(one.name) or cloud.is_discouraged(one.name) for one in cloud.machine_types
    )
    types = {cloud.disk_type, cloud.data_disk_type or cloud.disk_type, *cloud.disk_type_by_family.values()}
    assert types <= data["disk"].keys()
    assert set(cloud.closed_families) <= {machine.family for machine in cloud.machine_types}


def test_local_needs_no_price_list() -> None:
    local = CLOUDS["local"]
    assert local.machine_types == ()
    machine = choose_machine_type(local, size(2, 1.5), "local", voice=True)
    assert (machine.name, machine.vcpus, machine.memory_gib, machine.price_in("local")) == ("container", 2, 1.5, 0)
    assert price_node(local, "local", machine, (Disk("boot", 10),), Public.NO, 1).amount == 0
    assert (currency_of(local), price_date(local)) == ("EUR", "")


@pytest.mark.parametrize(
    ("cloud", "need", "voice", "machine"),
    [
        ("aws", size(4, 8), False, "c7i.xlarge"),
        ("aws", size(4, 8), True, "c7a.xlarge"),  # whole cores are worth their price
        ("aws", size(8, 32), False, "m7i.2xlarge"),
        ("aws", size(3, 5), False, "c7i.xlarge"),
        ("gcp", size(4, 8), True, "c3d-highcpu-4"),
        ("gcp", size(8, 32), False, "c3d-standard-8"),
        ("azure", size(4, 8), True, "Standard_F4als_v6"),
        ("azure", size(4, 8), False, "Standard_D4as_v5"),  # Fs_v2 is cheaper, and nobody new gets one
        ("digitalocean", size(4, 8, 50), True, "c-4"),
        ("digitalocean", size(4, 8, 60), True, "c2-4vcpu-8gb"),  # the root disk comes with the type
        ("hetzner", size(4, 8), True, "ccx23"),
        ("hetzner", size(8, 32, 200), False, "ccx33"),
        ("hetzner", size(8, 32, 300), False, "ccx43"),
    ],
)
def test_the_cheapest_that_meets_the_size(cloud: str, need: Size, voice: bool, machine: str) -> None:
    row = CLOUDS[cloud]
    assert choose_machine_type(row, need, row.default_region, voice).name == machine


def test_a_region_without_prices_is_ordered_by_the_default_one() -> None:
    assert choose_machine_type(CLOUDS["hetzner"], size(4, 8), "ash", False).name == "ccx23"
    assert choose_machine_type(CLOUDS["hetzner"], size(4, 8), "ash", False).price_in("ash") is None


def test_prices_of_the_region_decide_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = (
        MachineType("here", 4, 8, monthly={"fsn1": 20, "hel1": 10}),
        MachineType("there", 4, 8, monthly={"fsn1": 10, "hel1": 20}),
        MachineType("nowhere", 4, 8),
        MachineType("old", 4, 8, monthly={"fsn1": 1, "hel1": 1}, family="old"),
    )
    monkeypatch.setattr("components.model.clouds.facts.load_machine_types", lambda cloud: machines)
    cloud = replace(CLOUDS["hetzner"], closed_families=("old",))
    assert choose_machine_type(cloud, size(4, 8), "hel1", False).name == "here"
    assert choose_machine_type(cloud, size(4, 8), "ash", False).name == "there"
    assert choose_machine_type(replace(cloud, default_region="sin"), size(4, 8), "ash", False).name == "here"  # by name
    monkeypatch.setattr("components.model.clouds.facts.load_machine_types", lambda cloud: machines[3:])
    with pytest.raises(LookupError, match="no machine type of Hetzner"):
        choose_machine_type(cloud, size(4, 8), "hel1", False)
    assert describe_machine_type(cloud, machines[0], "hel1") == "here (4 vCPU, 8 GiB, EUR 10/month)"
    assert describe_machine_type(cloud, machines[0], "ash") == "here (4 vCPU, 8 GiB)"


def test_a_temporary_disk_is_no_root_disk() -> None:
    machine = CLOUDS["azure"].machine_type("Standard_F4s_v2")
    assert machine
    assert machine.root_disk_gib == 0


def test_no_machine_is_large_enough() -> None:
    with pytest.raises(LookupError, match="no machine type of AWS has 512 vCPU"):
        choose_machine_type(CLOUDS["aws"], size(512, 8), "us-east-1", False)


def test_a_root_disk_that_comes_with_the_machine_must_be_large_enough() -> None:
    assert fits(MachineType("x", 4, 8, root_disk_gib=60), size(4, 8, 60))
    assert not fits(MachineType("x", 4, 8, root_disk_gib=50), size(4, 8, 60))
    assert fits(MachineType("x", 4, 8), size(4, 8, 60))


def price(cloud: str, machine: str, public: Public, *disks: Disk, region: str = "", nat_nodes: int = 1) -> float | None:
    row = CLOUDS[cloud]
    found = row.machine_type(machine)
    assert found
    return price_node(row, region or row.default_region, found, disks, public, nat_nodes).amount


BOOT, DATA = Disk("boot", 60), Disk("database", 200)


def test_prices_computed_by_hand() -> None:
    assert price("aws", "c7a.xlarge", Public.SERVICE, BOOT, DATA) == pytest.approx(0.20528 * 730 + 260 * 0.08 + 3.65, abs=0.01)
    assert price("aws", "c7a.xlarge", Public.NO, BOOT, nat_nodes=3) == pytest.approx(
        0.20528 * 730 + 60 * 0.08 + 32.85 / 3, abs=0.01
    )
    assert price("gcp", "c3d-highcpu-4", Public.NO, BOOT) == pytest.approx(0.17691 * 730 + 60 * 0.204 + 0.0014 * 730, abs=0.01)
    assert price("gcp", "c3d-highcpu-4", Public.NO, BOOT, nat_nodes=64) == pytest.approx(
        0.17691 * 730 + 60 * 0.204 + 32.7 / 64, abs=0.01
    )
    assert price("hetzner", "ccx23", Public.EGRESS, Disk("boot", 160), DATA) == pytest.approx(85.99 + 200 * 0.0572 + 0.5)
    assert price("digitalocean", "c-4", Public.SERVICE, Disk("boot", 50)) == 84


@pytest.mark.parametrize(
    ("cloud", "machine", "region", "disks", "unpriced"),
    [
        ("aws", "c7a.xlarge", "eu-west-1", (BOOT,), ("machine type c7a.xlarge", "gp3 disks", "public addresses")),
        ("gcp", "c4-highcpu-4", "europe-west3", (BOOT,), ("hyperdisk-balanced disks",)),
        (
            "azure",
            "Standard_F4als_v6",
            "eastus2",
            (BOOT, DATA),
            ("machine type Standard_F4als_v6", "Premium_LRS disks", "PremiumV2_LRS disks"),
        ),
        ("hetzner", "ccx23", "ash", (DATA,), ("machine type ccx23", "volume disks", "public addresses")),
    ],
)
def test_what_has_no_dated_price_is_named(
    cloud: str,
    machine: str,
    region: str,
    disks: tuple[Disk, ...],
    unpriced: tuple[str, ...],
) -> None:
    row = CLOUDS[cloud]
    found = row.machine_type(machine)
    assert found
    node = price_node(row, region, found, disks, Public.SERVICE, 0)
    assert node.unpriced == unpriced
    assert node.amount is None
    total, warning = sum_bill(row, region, (), node.unpriced)
    assert total.amount is None
    assert all(what in warning for what in (*unpriced, region))


def test_currencies_and_dates() -> None:
    assert {cloud.name: currency_of(cloud) for cloud in PRICED} == {
        "aws": "USD",
        "gcp": "USD",
        "azure": "USD",
        "digitalocean": "USD",
        "hetzner": "EUR",
    }
    assert price_date(CLOUDS["aws"]) == "2026-07-20"
    assert price_date(CLOUDS["hetzner"]) == "2026-08-17"
    assert {price_date(cloud) for cloud in CLOUDS.values() if not cloud.priced} == {""}
