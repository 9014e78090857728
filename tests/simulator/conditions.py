"""The words of the schema data: checks of one value, and the conditions under which an input is required or replaces."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from provider.server import UNKNOWN, Failure, Properties

Spec = Mapping[str, Any]

SOURCES = "CIDR or IP; host bits must be zero"
"""A check of networks of which a bare address is one too."""

_LABEL = re.compile(r"([a-z0-9A-Z]([a-z0-9A-Z._-]{0,61}[a-z0-9A-Z])?)?")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _parses(parse: Callable[[str], object]) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return test


def _parse_source(text: str) -> object:
    return ip_network(text)  # a bare address is a network of one; strict: host bits must be zero


CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "ARN": lambda text: text.startswith("arn:"),
    "CIDR": lambda text: "/" in text and _parses(lambda t: ip_network(t, strict=False))(text),
    SOURCES: _parses(_parse_source),
    "IP": _parses(ip_address),
    "IPv4": _parses(IPv4Address),
    "IPv6": _parses(IPv6Address),
    "IPv4 CIDR, host bits zero": lambda text: "/" in text and _parses(IPv4Network)(text),
    "IPv6 CIDR, host bits zero": lambda text: "/" in text and _parses(IPv6Network)(text),
    "base64": _is_base64,
    "hcloud labels": lambda labels: all(
        _LABEL.fullmatch(key.rpartition("/")[2]) and _LABEL.fullmatch(str(value)) for key, value in labels.items()
    ),
}
"""By the words of `check` and `elemCheck`."""


def check_plain(spec: Spec, value: Any, path: str) -> Iterator[Failure]:
    """What is wrong with a plain value of the right type."""
    allowed = spec.get("allowed")
    if allowed is not None and value not in (*allowed, *spec.get("allowedUnverified", ())):
        yield Failure(path, f"{value!r} is not one of {', '.join(map(repr, allowed))}")
    if isinstance(value, str):
        if spec.get("notEmpty") and not value:
            yield Failure(path, "must not be empty")
        length = len(value)
        if not spec.get("minLen", 0) <= length <= spec.get("maxLen", length):
            yield Failure(path, f"{length} characters, allowed {spec.get('minLen', 0)} to {spec.get('maxLen')}")
        if "pattern" in spec and not re.search(spec["pattern"], value):
            yield Failure(path, f"{value!r} does not match {spec['pattern']}")
        if "cidrPrefix" in spec:
            yield from _check_prefix(spec["cidrPrefix"], value, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if spec.get("notEmpty") and value == 0:
            yield Failure(path, "must not be zero")
        if not spec.get("min", value) <= value <= spec.get("max", value):
            yield Failure(path, f"{value} is not within {spec.get('min')} to {spec.get('max')}")
    if "check" in spec and not CHECKS[spec["check"]](value):
        yield Failure(path, f"{value!r} is no {spec['check']}")


def _check_prefix(limits: list[int], value: str, path: str) -> Iterator[Failure]:
    try:
        length = IPv4Network(value).prefixlen
    except ValueError as error:
        yield Failure(path, str(error))
        return
    if not limits[0] <= length <= limits[1]:
        yield Failure(path, f"/{length} is not within /{limits[0]} to /{limits[1]}")


def is_required(spec: Spec, root: Properties) -> bool:
    """Whether `requiredWhen` holds."""
    return "requiredWhen" in spec and holds(spec["requiredWhen"], root)


def is_forbidden(spec: Spec, root: Properties, creating: bool = False) -> bool:
    """Whether `forbiddenWhen` holds."""
    text = spec.get("forbiddenWhen")
    if text == "the RouterNat is being created":
        return creating
    return text is not None and holds(text, root)


def holds(text: str, root: Properties) -> bool:
    """Whether a condition such as `type is MX or SRV` or `connectivityType=private` is true; false while unknown."""
    found = re.fullmatch(r"(\w+)(?: (is not|is) |=)([\w, ]+)", text.partition(" (")[0])
    if not found:
        raise ValueError(f"no condition: {text}")
    name, word, values = found.groups()
    value = root.get(name)
    if value is UNKNOWN:
        return False
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return (shown in re.split(r", | or ", values)) is (word != "is not")


def _contains(wide: str, narrow: str) -> bool:
    return IPv4Network(narrow).subnet_of(IPv4Network(wide))


def _is_arm(machine_type: str) -> bool:
    return bool(re.match(r"[a-z]+\d+[a-z]*g", machine_type))


def _moves_script(old: Properties, new: Properties) -> bool:
    def script(inputs: Properties) -> Any:
        return inputs.get("metadataStartupScript") or (inputs.get("metadata") or {}).get("startup-script")

    return script(old) is not None and script(old) == script(new)


Test = Callable[[Properties, Properties, str], bool]

REPLACES: Mapping[str, Test] = {
    "another region; unset <-> the provider region is no change": lambda old, new, name: (
        None not in (old.get(name), new.get(name))
    ),
    "always, except moving the same text to or from metadata['startup-script']": lambda old, new, name: (
        not _moves_script(old, new)
    ),
    "true -> false": lambda old, new, name: old.get(name) is True and not new.get(name),
    "old and new type share no CPU architecture (else stop/start in place)": lambda old, new, name: (
        _is_arm(old[name]) != _is_arm(new[name])
    ),
    "type is not a hyperdisk": lambda old, new, name: not str(new.get("type")).startswith("hyperdisk"),
    "smaller than before": lambda old, new, name: (new.get(name) or 0) < (old.get(name) or 0),
    "the new range does not contain the old one": lambda old, new, name: not _contains(new[name], old[name]),
    "the kind of source changes (another of the four is set)": lambda old, new, name: (
        (old.get(name) is None) != (new.get(name) is None)
    ),
    "address changes while network and subnetwork stay": lambda old, new, name: all(
        old.get(key) == new.get(key) for key in ("network", "subnetwork")
    ),
    "privateIpListEnabled=false and the new set lacks the old primary address": lambda old, new, name: (
        bool(old.get(name)) and not new.get("privateIpListEnabled") and old[name][0] not in (new.get(name) or ())
    ),
    "privateIpListEnabled=true and the first element changes": lambda old, new, name: (
        bool(new.get("privateIpListEnabled")) and (old.get(name) or [None])[0] != (new.get(name) or [None])[0]
    ),
    "any change except dedicated -> default": lambda old, new, name: (old.get(name), new.get(name)) != ("dedicated", "default"),
    "ipv4NetmaskLength unset (with IPAM netmask the change is dropped)": lambda old, new, name: (
        new.get("ipv4NetmaskLength") is None
    ),
    "regional mode: empty <-> non-empty (auto <-> manual)": lambda old, new, name: (
        new.get("availabilityMode") == "regional" and bool(old.get(name)) != bool(new.get(name))
    ),
}
"""By the words of `replacesWhen`: whether a change of the input of that name needs a new resource."""


def needs_replacement(spec: Spec, old: Properties, new: Properties, name: str) -> bool:
    """Whether a changed plain input needs a new resource; `old` and `new` are the objects it stands in."""
    text = spec.get("replacesWhen")
    if text is None:
        return bool(spec.get("replaces"))
    if UNKNOWN in (old.get(name), new.get(name)):
        return bool(spec.get("replaces"))
    return REPLACES[text](old, new, name) if text in REPLACES else holds(text, new)
