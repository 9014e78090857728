"""The schema data: every word of it is understood, and every kind of wrong input is refused on every cloud."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from provider.server import UNKNOWN
from tests.simulator import conditions
from tests.simulator.case import load_case
from tests.simulator.changes import find_changes
from tests.simulator.conftest import Driver
from tests.simulator.resource import Simulated
from tests.simulator.schema import Schema, load_schema
from tests.simulator.simulators import PACKAGES

RULES = {
    "a change is accepted but updates nothing": "ignored",
    "used at creation only; a later change updates nothing": "ignored",
    "not sent at creation (read back only)": "ignored",
    "a change is sent as an update and refused by the API": "refused",
    "base64, decoded at most 65535 bytes; a change is sent as an update and refused by the API": "refused, azure_machines",
    "any value is an error": "settable",
    "must equal deleteProtection": "hetzner_machines",
    "must equal rebuildProtection": "hetzner_machines",
    "without assigneeId only a warning": "nothing",
    (
        "each element needs networkId or subnetId; one element per network; ip must lie in the subnet of subnetId"
    ): "hetzner_machines",
    "resize call only; shrinking is refused by the API": "hetzner",
    "server or location must be given (API)": "hetzner",
    "forbidden when mode=primary, required when mode=secondary": "not used",
    "at least one inbound or outbound rule; portRange required unless protocol is icmp": "digitalocean",
    "may only grow (smaller is a plan-time error)": "digitalocean",
    "direction not EGRESS: one of sourceRanges, sourceTags, sourceServiceAccounts must be set": "gcp",
    "must end with a dot": "gcp",
}
"""The texts of `rule`, and where each is done."""


NOTHING_BEFORE = {"libvirt", "xen"}
"""Whose provider compares no value with anything before it asks the host, or a few words only."""


def list_specs(schema: Schema) -> Iterator[tuple[str, Any]]:
    for type, resource in schema.resources.items():
        yield from ((f"{type}.{name}", spec) for name, spec in resource["inputs"].items())
    for type, properties in schema.types.items():
        yield from ((f"{type}.{name}", spec) for name, spec in properties.items())


@pytest.fixture(params=PACKAGES.values())
def schema(request: pytest.FixtureRequest) -> Schema:
    return load_schema(str(request.param))


def test_every_word_is_understood(schema: Schema) -> None:
    for path, spec in list_specs(schema):
        for word in ("check", "elemCheck"):
            assert spec.get(word, "CIDR") in conditions.CHECKS, (path, word, spec[word])
        for word in ("requiredWhen", "forbiddenWhen"):
            if word in spec and spec[word] != "the RouterNat is being created":
                conditions.holds(spec[word], {})
        if "replacesWhen" in spec and spec["replacesWhen"] not in conditions.REPLACES:
            conditions.holds(spec["replacesWhen"], {})
        assert spec.get("rule", "any value is an error") in RULES, (path, spec.get("rule"))
        known = {"string", "number", "integer", "boolean", "any", "asset"}
        kind = spec["type"].removeprefix("array<").removeprefix("map<").rstrip(">")
        inner = kind.removeprefix("array<").rstrip(">")
        assert {*inner.split("|")} <= known or inner.removeprefix("ref:") in schema.types or spec.get("simulated") is False, path


def test_every_type_of_the_data_is_simulated(make_driver: Callable[[str], Driver]) -> None:
    for cloud in PACKAGES:
        driver = make_driver(cloud)
        data = load_schema(PACKAGES[cloud])
        assert {*driver.provider.handlers} <= {*data.resources}
        assert {*data.resources} - {*driver.provider.handlers} == set(), cloud


@pytest.mark.parametrize("cloud", PACKAGES)
def test_wrong_inputs_are_refused_for_every_type(cloud: str, make_driver: Callable[[str], Driver]) -> None:
    driver = make_driver(cloud)
    schema = load_schema(PACKAGES[cloud])
    for type, handler in driver.provider.handlers.items():
        request = driver.request(type, "x")
        refused = {failure.property for failure in handler.check(request, None, {"noSuchInput": 1})[1]}
        assert "noSuchInput" in refused
        for name, spec in schema.inputs(type).items():
            if spec.get("required"):
                assert name in refused, (type, name)
            values: tuple[Any, ...] = (3.5, [], {}, "text", True)
            for value in values:
                wrong = {failure.property for failure in handler.check(request, None, {name: value})[1]}
                fits = {"string": "text", "boolean": True, "number": 3.5}.get(spec["type"]) == value and value is not None
                fits |= (
                    (spec["type"].startswith("array") and value == [])
                    or (spec["type"].startswith(("map", "ref")) and value == {})
                    or spec["type"] == "any"
                )
                if not fits:
                    assert any(path.split(".")[0] == name for path in wrong), (type, name, value)


def list_places(schema: Schema, specs: Mapping[str, Any], seen: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Every input, also inside others, with what it is; its path such as `networks[].ip`."""
    for name, spec in specs.items():
        yield name, spec
        nested = schema.nested(spec)
        if nested is not None and spec["type"] not in seen and spec.get("simulated") is not False:
            start = f"{name}[]" if spec["type"].startswith("array<") else name
            yield from ((f"{start}.{path}", one) for path, one in list_places(schema, nested, seen | {spec["type"]}))


def put(path: str, value: Any) -> Any:
    """The inputs of a resource with a value at a path."""
    for part in reversed(path.split(".")):
        value = {part.removesuffix("[]"): [value] if part.endswith("[]") else value}
    return value


def list_wrong_values(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values of the right type that a word of the data excludes, each with the word."""
    kind = spec["type"].removeprefix("array<").removesuffix(">")
    element: Any = "no such value" if kind.startswith("string") else -7
    for word in {"enum", "known", "allowed"} & spec.keys():
        yield word, [element] if spec["type"].startswith("array<") else element
    for word in {"pattern", "elemPattern", "check", "elemCheck", "cidrPrefix"} & spec.keys():
        wrong = {"k": "no label!"} if spec["type"].startswith("map<") else "–"
        yield word, [wrong] if word.startswith("elem") else wrong
    if spec.get("notEmpty") or spec.get("elemNotEmpty") or spec.get("minLen"):
        yield "notEmpty", [""] if spec.get("elemNotEmpty") else "" if kind.startswith("string") else 0
    if "maxLen" in spec:
        yield "maxLen", "x" * (spec["maxLen"] + 1)
    yield from ((word, spec[word] + more) for word, more in (("min", -1), ("max", 1)) if word in spec)
    if spec.get("minItems"):
        yield "minItems", []
    if "maxItems" in spec:
        yield "maxItems", [{} if "ref:" in kind else "x"] * (spec["maxItems"] + 1)


@pytest.mark.parametrize("cloud", PACKAGES)
def test_every_enum_name_rule_and_limit_refuses(cloud: str, make_driver: Callable[[str], Driver]) -> None:
    driver = make_driver(cloud)
    schema = load_schema(PACKAGES[cloud])
    tried = 0
    for type, handler in driver.provider.handlers.items():
        assert isinstance(handler, Simulated)
        for path, spec in list_places(schema, schema.inputs(type), frozenset()):
            for word, value in list_wrong_values(spec):
                inputs = put(path, value)
                failures = handler.check(driver.request(type, "x"), None, inputs)[1]
                by_provider = {re.sub(r"\[\d+\]", "[]", one.property) for one in failures}
                by_cloud = {one.property for one in schema.check_values(type, inputs, handler.values)}
                assert {path, f"{path}[]"} & (by_provider | by_cloud), (type, path, word, value)
                tried += 1
    assert tried > 15 or cloud in NOTHING_BEFORE


def test_a_nested_input_that_is_none_is_refused(make_driver: Callable[[str], Driver]) -> None:
    for cloud in PACKAGES:
        type, inputs = load_case(cloud).unknown
        driver = make_driver(cloud)
        token = driver.find_type(type)
        failures = driver.provider.handlers[token].check(driver.request(token, "x"), None, dict(inputs))[1]
        assert any(failure.reason.endswith("speed is no input") for failure in failures), cloud


def test_unknown_values_pass_and_count_as_changed(make_driver: Callable[[str], Driver]) -> None:
    driver = make_driver("hetzner")
    inputs = driver.check("NetworkSubnet", networkId=UNKNOWN, type="cloud", networkZone=UNKNOWN, ipRange="10.0.0.0/24")
    assert inputs["networkId"] is UNKNOWN
    schema = load_schema("hcloud")
    old = {**inputs, "networkId": 7, "networkZone": "eu-central"}
    changes = find_changes(schema, driver.find_type("NetworkSubnet"), old, inputs)
    assert changes.replaces == ["networkId", "networkZone"]


@pytest.mark.parametrize(
    ("text", "inputs", "expected"),
    [
        ("type is MX or SRV", {"type": "SRV"}, True),
        ("type is MX or SRV", {"type": "A"}, False),
        ("type is not io1, io2 or gp3", {"type": "gp3"}, False),
        ("type is not io1, io2 or gp3", {}, True),
        ("connectivityType=private", {"connectivityType": "private"}, True),
        ("userDataReplaceOnChange=true (else stop/start in place)", {"userDataReplaceOnChange": True}, True),
        ("type is CAA", {"type": UNKNOWN}, False),
    ],
)
def test_conditions(text: str, inputs: dict[str, Any], expected: bool) -> None:
    assert conditions.holds(text, inputs) is expected
