"""What a refusal advises is not refused itself."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components.model.problems import PlanError
from components.model.settings import Settings
from tests.plans import make_plan


def refusals(**values: Any) -> list[str]:
    """What the planner refuses."""
    try:
        make_plan(Settings.model_validate(values), "try")
    except PlanError as error:
        return [str(problem) for problem in error.problems]
    return []


AWS, LOCAL = {"cloud": "aws", "tier": "basic"}, {"cloud": "local", "tier": "basic"}
TAKEN = ["10.0.0.0/12", "10.16.0.0/12"]


@pytest.mark.parametrize(
    "values",
    [
        {**AWS, "network": "10.20.0.0/28"},
        {**AWS, "network": "10.20.0.0/28", "operators": ["10.20.0.0/16"]},
        {**AWS, "network": "8.8.0.0/16", "operators": TAKEN},
        {**AWS, "network": "10.0.0.0/8", "operators": ["10.20.5.0/24"], "carriers": ["10.0.0.0/24"]},
        {**AWS, "phones": ["10.20.9.0/24"], "operators": ["10.0.0.0/24"]},
        {"cloud": "hetzner", "tier": "single", "network": "172.31.0.0/16"},
        {"cloud": "hetzner", "tier": "single", "network": "10.20.0.0/30", "operators": ["10.0.0.0/8", "172.16.0.0/16"]},
        {"cloud": "digitalocean", "tier": "basic", "network": "10.244.0.0/16"},
        {"cloud": "digitalocean", "tier": "basic", "network": "10.20.0.0/25", "operators": ["10.20.0.0/20"]},
        {"cloud": "gcp", "tier": "extended", "network": "192.168.0.0/29", "carriers": ["192.168.0.0/16", "10.20.0.0/16"]},
        {"cloud": "azure", "tier": "basic", "network": "10.20.0.0/29"},
        {**LOCAL, "network": "10.77.1.0/27", "counts": {"app": 12}},
        {**LOCAL, "network": "10.77.1.0/24", "counts": {"app": 12}},
        {**LOCAL, "network": "10.77.1.0/24", "counts": {"app": 97}},
    ],
)
def test_a_network_that_is_advised_can_be_set(values: dict[str, Any]) -> None:
    told = [text for text in refusals(**values) if text.startswith("webitel:network = ")]
    assert told
    for text in told:
        advised = re.search(r"such as ([\d./]+)$", text)
        assert advised, text
        assert not refusals(**{**values, "network": advised[1]}), (text, values)


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        ({**AWS, "counts": {"app": 150}}, "counts.app"),
        ({**AWS, "counts": {"app": 99}}, "counts.app"),
        ({**AWS, "counts": {"data": 2}}, "counts.data"),
        ({**AWS, "counts": {"data": 7}}, "counts.data"),
        ({**AWS, "counts": {"app": 0}}, "counts.app"),
        ({**AWS, "disk_sizes": {"data.database": 70_000}}, "disk_sizes.data.database"),
        ({**AWS, "disk_sizes": {"data.database": 1}}, "disk_sizes.data.database"),
        ({**AWS, "machine_types": {"edge": "t3.large"}}, "machine_types.edge"),
        ({**AWS, "time_zone": "Berlin"}, "time_zone"),
        ({**AWS, "operators": ["0.0.0.0/0"]}, "operators"),
        ({**AWS, "carriers": ["0.0.0.0/0"]}, "carriers"),
        ({**AWS, "domain": "a b"}, "domain"),
        ({**AWS, "region": "mars"}, "region"),
    ],
)
def test_a_value_that_is_advised_can_be_set(values: dict[str, Any], setting: str) -> None:
    (text,) = refusals(**values)
    assert text.startswith(f"webitel:{setting} = ")
    advised = re.search(r"such as ([\w./-]+)", text) or re.search(r"use (?:fewer than )?([\w./-]+)", text)
    assert advised, text
    value: Any = advised[1].rstrip(".")
    name, _, key = setting.partition(".")
    if value.isdecimal():
        value = int(value) - (98 if "use fewer than" in text else 0)
    given = values[name]
    changed = {**given, key: value} if isinstance(given, dict) else [value] if isinstance(given, list) else value
    assert not refusals(**{**values, name: changed}), text
