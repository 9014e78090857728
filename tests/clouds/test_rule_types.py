"""Which resource types of the installed SDKs let somebody in, by their inputs: the policy pack reads each or refuses it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from components.clouds.registry import CLOUDS
from policy.openings import RULE_INPUTS, RULE_TYPE
from policy.resources import READERS, find_reader

pytestmark = pytest.mark.clouds

SDKS = sorted(f"pulumi_{cloud.package.replace('-', '_')}" for cloud in CLOUDS.values() if cloud.firewalls and cloud.package)

SOURCE = re.compile(
    r"cidr|ip_?range|source_?(address|range|ip|network)|src_ip|allowed_?(ip|cidr|address)|prefix_list|(ip|address)_?prefix"
    r"|ingress|inbound|from_port|security_rules|ip_rules"
)
PORT, PROTOCOL = re.compile(r"port"), re.compile(r"protocol")

NO_DOORS: Mapping[str, str] = {
    r"gcp:(oracledatabase|filestore)/.*|aws:(apprunner|bedrock|finspace)/.*": "a managed service's addresses and callers",
    r"azure-native:(cognitiveservices|containerservice|logic|machinelearningservices):.*": "the same",
    r"aws:(alb|lb)/listenerRule:ListenerRule": "a load balancer's choice among its own targets",
    r"aws:(securityhub|ec2transitgateway)/.*|azure-native:managednetworkfabric:NetworkTapRule": "searches, routes, taps",
    r"aws:ec2clientvpn/.*|azure-native:network:(VirtualNetworkGateway|VirtualNetworkGatewayConnection|VpnGateway)": "inside",
    r"azure-native:(azurefleet|azurestackhci|computebulkactions|devtestlab):.*": "other kinds of machines than ours",
    r"aws:fms/policy:Policy": "what an organization orders about groups, which it makes by itself",
}
"""Types with sources, ports and protocols among their inputs that are no firewall of a machine of ours, with the reason."""


def list_types(sdk: str) -> Iterator[tuple[str, set[str]]]:
    """Return every resource type of an SDK with the names of its inputs at any depth, as its own Python source has them."""
    spec = find_spec(sdk)
    assert spec and spec.origin
    for path in sorted(Path(spec.origin).parent.rglob("*.py")):
        text = path.read_text()
        start = text.find("def _internal_init")
        token = re.search(r"__init__\(\s*'([a-z-]+:[^':]+:[^']+)'", text[start:]) if start >= 0 else None
        if token:
            yield token[1], names_in(text[start : text.find("__props__=None", start)], path.parent / "_inputs.py")


def names_in(signature: str, inputs: Path) -> set[str]:
    names = set(re.findall(r"\n\s+(\w+): ", signature))
    left, seen = set(re.findall(r"\b(\w+Args)\b", signature)), set[str]()
    while left:
        seen.add(name := left.pop())
        body = classes_of(inputs).get(name, "")
        names |= set(re.findall(r"\n\s+(\w+): (?:Optional|pulumi)", body))
        left |= set(re.findall(r"\b(\w+Args)\b", body)) - seen
    return names


@cache
def classes_of(inputs: Path) -> dict[str, str]:
    """Return the classes of nested inputs of a folder by name, up to their assignments."""
    if not inputs.exists():
        return {}
    parts = re.split(r"\n(?=class )", inputs.read_text())
    return {found[1]: part.split("pulumi.set(")[0] for part in parts if (found := re.match(r"class (\w+Args)\b", part))}


def spell(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


@pytest.mark.parametrize("sdk", SDKS)
def test_each_type_that_lets_somebody_in_is_read_or_refused(sdk: str) -> None:
    types = dict(list_types(sdk))
    package = next(iter(types)).partition(":")[0]
    # A type that the pack reads is one that there is, spelt as there.
    assert [one for one in READERS if one.startswith(f"{package}:") and one not in types] == []
    doors = {
        one
        for one, names in types.items()
        if all(any(map(pattern.search, names)) for pattern in (SOURCE, PORT, PROTOCOL))
        and not any(re.fullmatch(known, one) for known in NO_DOORS)
    }
    assert doors
    passed = [
        one
        for one in sorted(doors)
        if not (find_reader(one) or RULE_TYPE.search(one.rpartition(":")[2]) or RULE_INPUTS.intersection(map(spell, types[one])))
    ]
    assert passed == []
