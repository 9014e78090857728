"""A deployment's own tags: what each cloud takes."""

import pytest

from components.clouds.registry import CLOUDS
from components.model.clouds.tags import OWN_TAGS

WEAR = [name for name, facts in CLOUDS.items() if facts.tags]


def problems(cloud: str, tags: dict[str, str]) -> list[str]:
    facts = CLOUDS[cloud]
    assert facts.tags
    return [problem.setting for problem in facts.tags.find_problems(tags, facts.title)]


@pytest.mark.parametrize("cloud", WEAR)
def test_every_cloud_takes_a_cost_centre(cloud: str) -> None:
    assert problems(cloud, {"cost-center": "telephony", "team": "4711"}) == []


@pytest.mark.parametrize(
    ("cloud", "name", "value"),
    [
        ("aws", "aws:team", "a"),
        ("aws", "name", "a"),
        ("aws", "team", "a;b"),
        ("aws", "webitel:stack", "a"),
        ("aws", "k" * 129, ""),
        ("aws", "team", "v" * 257),
        ("gcp", "Team", "a"),
        ("gcp", "4team", "a"),
        ("gcp", "team", "A"),
        ("gcp", "role", "a"),
        ("gcp", "team", "v" * 64),
        ("azure", "team/a", "a"),
        ("azure", "Windows-team", "a"),
        ("azure", "team", "v" * 257),
        ("azure", "node", "a"),
        ("hetzner", "-team", "a"),
        ("hetzner", "team", "a b"),
        ("hetzner", "managed-by", "a"),
        ("proxmox", "Team", "a"),
        ("proxmox", "team", "a b"),
        ("proxmox", "role", "a"),
        ("digitalocean", "team", ""),
        ("digitalocean", "team", "a.b"),
        ("digitalocean", "Webitel", "a"),
    ],
)
def test_what_a_cloud_refuses_is_refused_before(cloud: str, name: str, value: str) -> None:
    assert problems(cloud, {name: value}) == [f"webitel:tags.{name}"]


def test_twenty_at_most() -> None:
    assert problems("aws", {f"t{number}": "" for number in range(OWN_TAGS)}) == []
    assert problems("aws", {f"t{number}": "" for number in range(OWN_TAGS + 1)}) == ["webitel:tags"]
