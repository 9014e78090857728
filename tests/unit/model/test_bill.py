"""The bill of a month: its lines, what is included, and published examples."""

from __future__ import annotations

from typing import Any

import pytest

from components.clouds.registry import CLOUDS
from components.model.clouds.facts import load_prices
from components.model.clouds.prices import (
    Figure,
    free_traffic_gib,
    price_address,
    price_disk,
    price_machine,
    price_nat,
    price_nat_data,
    price_traffic,
)
from components.model.plan import BillLine, Plan
from components.model.planning.bill import TRAFFIC
from components.model.planning.capacity import traffic_gib_per_month
from components.model.settings import Settings
from tests.plans import make_plan

PRICED = [name for name, cloud in CLOUDS.items() if cloud.priced]
AWS, GCP, AZURE, HETZNER = (CLOUDS[name] for name in ("aws", "gcp", "azure", "hetzner"))


def plan(cloud: str, tier: str = "basic", **settings: Any) -> Plan:
    return make_plan(Settings.model_validate({"cloud": cloud, "tier": tier, **settings}), "s")


def lines(made: Plan) -> dict[str, BillLine]:
    return {line.what: line for line in made.bill}


def machine(cloud: str, name: str, region: str) -> Figure | None:
    found = CLOUDS[cloud].machine_type(name)
    assert found
    return price_machine(CLOUDS[cloud], region, found)


def times(figure: Figure | None, number: float) -> Figure | None:
    return figure and figure.times(number)


EXAMPLES = {
    # infracost's golden files, made from AWS's price list: data_transfer_test (us-east-1: 10,240 + 40,960 + 5,800 GB) and
    # nat_gateway_test (730 hours, 100 GB).
    "AWS transfer and NAT": (
        [price_traffic(AWS, "us-east-1", 57_000), price_nat(AWS, "us-east-1", 1), price_nat_data(AWS, "us-east-1", 100)],
        921.60 + 3481.60 + 406.00 + 32.85 + 4.50,
    ),
    # The same file for Frankfurt, all four steps.
    "AWS transfer in Frankfurt": ([price_traffic(AWS, "eu-central-1", 157_000)], 921.60 + 3481.60 + 7168.00 + 170.00),
    # A cost note with answers of AWS's price list of 2026-08-26: 32 GB of gp3 and an address.
    "AWS disks and address in Frankfurt": (
        [price_disk(AWS, "eu-central-1", "gp3", 32), price_address(AWS, "eu-central-1")],
        3.05 + 3.65,
    ),
    # Google's own calculator (links in Cyclenerd's t/README.md): 1,025 GiB from Europe to America; infracost's router NAT: 32
    # machines and 1,000 GB.
    "Google transfer and NAT": (
        [price_traffic(GCP, "europe-west3", 1025), price_nat(GCP, "europe-west3", 32), price_nat_data(GCP, "europe-west3", 1000)],
        122.99 + 32.70 + 45.00,
    ),
    # A cost page with answers of Azure's retail prices of 2026-09-25 (global meters): gateway, its address, another address; one
    # of 2026-07-23 for East US: D8as_v5, P20, P30.
    "Azure machine, disks, addresses, NAT": (
        [
            machine("azure", "Standard_D8as_v5", "eastus"),
            price_disk(AZURE, "eastus", "Premium_LRS", 512),
            price_disk(AZURE, "eastus", "Premium_LRS", 1024),
            price_nat(AZURE, "eastus", 1),
            times(price_address(AZURE, "eastus"), 2),
        ],
        0.344 * 730 + 73.22 + 135.17 + 32.85 + 2 * 3.65,
    ),
    # Hetzner's net prices of 2026-10-28 as another list has them.
    "Hetzner machines": ([machine("hetzner", name, "fsn1") for name in ("ccx13", "ccx23", "ccx33")], 42.99 + 85.99 + 138.49),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_published_examples_within_two_per_cent(example: str) -> None:
    figures, published = EXAMPLES[example]
    assert None not in figures
    assert sum(figure.price for figure in figures if figure) == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("tier", ["single", "basic", "extended"])
@pytest.mark.parametrize("cloud", PRICED)
@pytest.mark.parametrize("new", [False, True], ids=["default region", "region of new stacks"])
def test_every_tier_has_a_whole_bill(cloud: str, tier: str, new: bool) -> None:
    made = plan(cloud, tier, region=CLOUDS[cloud].first_region if new else "")
    assert all(line.amount is not None and line.as_of for line in made.bill)
    assert made.monthly_price.amount == pytest.approx(sum(line.amount or 0 for line in made.bill), abs=0.01)
    assert [line.what for line in made.bill] == [
        what for what in ("machines", "disks", "addresses", "NAT", TRAFFIC) if what in lines(made)
    ]


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_traffic_is_more_than_the_machines_where_none_is_included(cloud: str) -> None:
    bill = lines(plan(cloud, "extended"))
    assert (bill[TRAFFIC].amount or 0) > (bill["machines"].amount or 0)


def test_traffic_of_a_million_calls() -> None:
    """Of a minute it is 36 TB a month (real-clouds.md C1); ours are half as long again."""
    assert traffic_gib_per_month(1_000_000) * 1024**3 == pytest.approx(1.5 * 36e12)


def test_hetzner_includes_20_tib_of_the_server_that_sends() -> None:
    gib = traffic_gib_per_month(1_000_000)
    line = lines(plan("hetzner", "extended"))[TRAFFIC]
    assert line.amount == pytest.approx((gib - 20 * 1024) / 1024, abs=0.01)
    assert "20,480 GiB included" in line.detail
    assert lines(plan("hetzner"))[TRAFFIC].amount == 0


def test_digitalocean_adds_up_what_its_droplets_include() -> None:
    made = plan("digitalocean")
    assert "15,360 GiB included" in lines(made)[TRAFFIC].detail
    more = plan("digitalocean", counts={"app": 2})
    assert lines(more)[TRAFFIC].amount == 0, "another droplet, another 5 TiB"


def test_the_gateway_has_an_address_too() -> None:
    bill = lines(plan("aws"))
    assert bill["addresses"].amount == pytest.approx(2 * 3.65)
    assert bill["NAT"].amount == pytest.approx(32.85 + 20 * 0.045)
    assert "NAT" not in lines(plan("aws", "single"))


def test_what_is_made_from_other_prices_is_marked() -> None:
    assert [line.what for line in plan("azure").bill if line.derived] == ["disks"]
    assert not any(line.derived for line in plan("aws").bill)


def test_a_line_is_as_old_as_its_oldest_figure() -> None:
    assert lines(plan("azure"))["machines"].as_of == "2026-06-18"
    assert lines(plan("aws"))["addresses"].as_of == "2026-04-02"


def test_kept_disks_are_in_the_bill() -> None:
    kept, without = (lines(plan("hetzner", kept_disks=names))["disks"].amount or 0 for names in (["data-3"], []))
    assert kept - without == pytest.approx(200 * 0.0572)


def test_a_bill_above_the_budget_is_told() -> None:
    mail = ["ops@your-company.com"]
    warning = "webitel:budget = 2000: the bill at the tier's load is USD "
    assert any(one.startswith(warning) for one in plan("aws", "extended", budget=2000, budget_mail=mail).warnings)
    assert not any("budget" in one for one in plan("aws", "extended", budget=20_000, budget_mail=mail).warnings)
    assert (
        "webitel:budget_mail alarms nobody without webitel:budget; set one such as 2000" in plan("aws", budget_mail=mail).warnings
    )
    assert plan("gcp", budget=20_000), "the billing account's administrators hear it in any case"


def test_local_has_no_bill() -> None:
    assert plan("local").bill == () and plan("local").monthly_price.amount == 0


def test_free_traffic_is_the_first_step_without_a_price() -> None:
    assert (free_traffic_gib(AWS, "us-east-1"), free_traffic_gib(GCP, "europe-west3")) == (100, 0)
    assert price_traffic(AWS, "nowhere-1", 1) is None


def test_every_source_of_a_figure_is_named() -> None:
    data = load_prices()
    known = set(data["sources"])

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if value.get("price") is not None and isinstance(value.get("source"), str):
                assert set(value["source"].split(", ")) <= known, value
            for one in value.values():
                walk(one)

    for row in data["clouds"].values():
        walk({key: value for key, value in row.items() if key != "machine_types"})
