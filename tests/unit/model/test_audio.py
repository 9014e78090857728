"""Audio at the tier's load against whole cores, packets and flows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from components.clouds.registry import CLOUDS
from components.model.catalogue.tiers import TIERS
from components.model.planning.audio import max_flows
from components.model.settings import Settings
from tests.plans import make_plan


def warnings_of(cloud: str, tier: str, **values: Any) -> list[str]:
    """What a plan says of audio."""
    settings = Settings.model_validate({"cloud": cloud, "tier": tier, "carriers": ["198.51.100.0/24"], **values})
    return [text for text in make_plan(settings, f"{cloud}-{tier}").warnings if "calls at a time" in text]


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("tier", TIERS)
def test_no_tier_has_less_than_its_own_load_takes(cloud: str, tier: str) -> None:
    assert warnings_of(cloud, tier) == []


def test_more_nodes_change_no_machine_type() -> None:
    """What is up would restart for it."""

    def types(**counts: int) -> dict[str, str]:
        settings = Settings.model_validate({"cloud": "hetzner", "tier": "extended", "counts": counts})
        return {node.role: node.machine_type.name for node in make_plan(settings, "test").nodes}

    assert types(media=6) == types() and types()["sip"] == "ccx33"


def test_a_vcpu_that_is_half_a_core_is_not_enough_for_the_largest() -> None:
    (text,) = warnings_of("hetzner", "extended", machine_types={"sip": "ccx23"})
    assert text.startswith(
        "webitel:machine_types.sip = ccx23: 2 whole cores, 750 calls at a time take about 3.0 for audio alone; use ccx33"
    )
    assert warnings_of("hetzner", "extended", machine_types={"sip": "ccx33"}) == []
    # Whole cores: as many as vCPU.
    assert warnings_of("aws", "extended") == warnings_of("local", "extended") == []


def test_more_media_servers_are_more_calls_through_one_relay() -> None:
    (text,) = warnings_of("aws", "extended", counts={"media": 6})
    assert "4 whole cores, 2,250 calls at a time take about 9.0 for audio alone; use c7a.4xlarge" in text


def test_what_the_cloud_lets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(CLOUDS["gcp"], max_packets=50_000, max_flows=4_000)
    monkeypatch.setitem(CLOUDS, "gcp", small)
    setting = "webitel:machine_types.sip = c3d-highcpu-8: Google Cloud lets"
    assert warnings_of("gcp", "extended", machine_types={"sip": "c3d-highcpu-8"}) == [
        f"{setting} 50,000 packets a second from outside through to it, 750 calls at a time make 75,000",
        f"{setting} 4,000 flows through to it, 750 calls at a time make 6,000",
    ]


def test_flows_by_size() -> None:
    google, azure, hetzner = CLOUDS["gcp"], CLOUDS["azure"], CLOUDS["hetzner"]
    sizes = {one.vcpus: max_flows(google, one) for one in google.machine_types}
    assert sizes[4] == 520_000 and sizes[8] == sizes[16] == 1_040_000
    assert max_flows(azure, azure.machine_types[0]) == 500_000
    assert max_flows(hetzner, hetzner.machine_types[0]) == 0
