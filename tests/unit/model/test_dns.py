"""The records of the domain follow from the catalogue, and a zone has to fit cloud and domain."""

from dataclasses import replace

import pytest

from components.clouds.registry import CLOUDS
from components.model.catalogue.services import CATALOGUE, find_front
from components.model.planning import dns
from components.model.planning.dns import Zone, list_names, list_records, read_zone
from components.model.planning.planner import PlanError
from components.model.settings import Settings
from tests.plans import make_plan

DOMAIN = "voice.your-company.com"


def settings_of(cloud: str, tier: str, **more: object) -> Settings:
    return Settings.model_validate({"cloud": cloud, "tier": tier, "domain": DOMAIN, **more})


def lines_of(tier: str) -> list[str]:
    plan = make_plan(settings_of("hetzner", tier), f"hetzner-{tier}")
    return [line for record in list_records(plan) for line in record.lines(record.nodes)]


def test_one_node_answers_for_everything() -> None:
    assert lines_of("single") == [
        "voice.your-company.com. 300 IN A all-1",
        "_sip._udp.voice.your-company.com. 300 IN SRV 10 10 5060 voice.your-company.com.",
        "_sip._tcp.voice.your-company.com. 300 IN SRV 10 10 5060 voice.your-company.com.",
        "_sips._tcp.voice.your-company.com. 300 IN SRV 10 10 5061 voice.your-company.com.",
    ]


def test_sip_on_a_node_of_its_own_has_a_name_of_its_own() -> None:
    assert lines_of("extended") == [
        "voice.your-company.com. 300 IN A web-1",
        "sip.voice.your-company.com. 300 IN A sip-1",
        "_sip._udp.voice.your-company.com. 300 IN SRV 10 10 5060 sip.voice.your-company.com.",
        "_sip._tcp.voice.your-company.com. 300 IN SRV 10 10 5060 sip.voice.your-company.com.",
        "_sips._tcp.voice.your-company.com. 300 IN SRV 10 10 5061 sip.voice.your-company.com.",
    ]


def test_sips_only_where_the_catalogue_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    opensips = CATALOGUE["opensips"]
    without_tls = replace(opensips, listeners=tuple(one for one in opensips.listeners if one.name != "sip-tls"))
    monkeypatch.setattr(dns, "find_front", lambda front: find_front(front, {**CATALOGUE, "opensips": without_tls}))
    assert not any(line.startswith("_sips") for line in lines_of("basic"))


@pytest.mark.parametrize(
    ("zone", "inside"),
    [
        ("your-company.com", "_sip._udp.voice"),
        ("voice.your-company.com", "_sip._udp"),
        ("com", "_sip._udp.voice.your-company"),
    ],
)
def test_names_inside_a_zone(zone: str, inside: str) -> None:
    records = list_records(make_plan(settings_of("hetzner", "basic"), "hetzner-basic"))
    assert records[1].inside(Zone(zone)) == inside
    assert list_records(make_plan(settings_of("hetzner", "basic"), "x"))[0].inside(Zone(DOMAIN)) == "@"


def test_zone_with_its_key() -> None:
    assert read_zone("dns-group/Your-Company.com") == Zone("your-company.com", "dns-group")
    assert read_zone("your-company.com") == Zone("your-company.com")


@pytest.mark.parametrize(
    ("cloud", "zone"),
    [
        ("hetzner", "your-company.com"),
        ("digitalocean", "voice.your-company.com"),
        ("aws", "Z0123456789ABC/your-company.com"),
        ("gcp", "company-zone/your-company.com"),
        ("azure", "dns-group/your-company.com"),
    ],
)
def test_zones_that_fit(cloud: str, zone: str) -> None:
    make_plan(settings_of(cloud, "basic", dns_zone=zone), f"{cloud}-basic")


@pytest.mark.parametrize(
    ("cloud", "zone", "message"),
    [
        ("hetzner", "other.com", "webitel:domain = voice.your-company.com is not in it; use .* such as your-company.com"),
        ("hetzner", "company.com", "is not in it"),
        ("hetzner", "not a zone", "not a zone; use one such as your-company.com"),
        ("hetzner", "key/your-company.com", "finds a zone by its name; use your-company.com"),
        ("aws", "your-company.com", r"use Z0123456789ABCDEFGHIJ/your-company.com \(hosted zone id before the slash\)"),
        ("gcp", "your-company.com", r"use company-zone/your-company.com \(name of the managed zone before the slash\)"),
        ("azure", "your-company.com", r"use dns-group/your-company.com \(resource group before the slash\)"),
        ("local", "your-company.com", "this machine has no DNS; remove the setting"),
    ],
)
def test_zones_that_do_not(cloud: str, zone: str, message: str) -> None:
    with pytest.raises(PlanError, match=f"webitel:dns_zone = {zone}: .*{message}"):
        make_plan(settings_of(cloud, "basic", dns_zone=zone), f"{cloud}-basic")


def test_every_cloud_says_whether_it_has_dns() -> None:
    assert {name for name, cloud in CLOUDS.items() if not cloud.dns} == {"local", "onprem"}


@pytest.mark.parametrize(
    ("cloud", "zone", "message"),
    [
        ("gcp", "company-zone/your-company.com", "Google Cloud's addresses get no name that way; remove the setting"),
        ("local", "", "get no name that way; remove the setting"),
        ("aws", "", "leads to it already; set webitel:dns_zone too, such as Z0123456789ABCDEFGHIJ/your-company.com"),
    ],
)
def test_reverse_names_that_cannot_be(cloud: str, zone: str, message: str) -> None:
    with pytest.raises(PlanError, match=f"webitel:reverse_dns = true: .*{message}"):
        make_plan(settings_of(cloud, "basic", dns_zone=zone, reverse_dns=True), f"{cloud}-basic")


def test_an_address_has_the_name_that_leads_to_it() -> None:
    plan = make_plan(settings_of("hetzner", "extended", reverse_dns=True), "hetzner-extended")
    assert list_names(plan) == {"web-1": plan.domain, "sip-1": f"sip.{plan.domain}"}
