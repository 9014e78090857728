"""What `$(name{...})` makes of a value."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Callable

from .tree import Value
from .uri import parse_address, parse_parameters, parse_uri


def unescape(text: str) -> str:
    """`%41` -> `A`."""
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), text)


def transform(value: Value, step: str) -> Value:
    """One transformation; what cannot be transformed becomes NULL."""
    family, _, rest = step.partition(".")
    name, *arguments = rest.split(",")
    text = "" if value is None else str(value)
    if value is None and not (family == "s" and name in ("len", "int")):
        return None
    handler = {
        "s": of_text,
        "uri": of_uri,
        "nameaddr": of_name_address,
        "param": of_parameters,
        "csv": of_list,
        "val": of_list,
        "ip": of_address,
    }.get(family)
    if family == "re":
        return substitute(text, rest)
    return handler(text, name, arguments) if handler else None


def of_text(text: str, name: str, arguments: list[str]) -> Value:
    """`s.*`."""
    if name == "len":
        return len(text)
    if name == "int":
        found = re.match(r"-?\d+", text)
        return int(found[0]) if found else 0
    if name == "substr":
        start, size = int(arguments[0]), int(arguments[1])
        start = max(0, start + len(text)) if start < 0 else start
        return (text[start : start + size] if size > 0 else text[start:]) or None
    if name == "select":
        parts, place = text.split(arguments[1] if len(arguments) > 1 and arguments[1] else ","), int(arguments[0])
        return parts[place] if -len(parts) <= place < len(parts) else None
    if name in ("index", "rindex"):
        return text.find(arguments[0]) if name == "index" else text.rfind(arguments[0])
    simple: dict[str, Callable[[], Value]] = {
        "tolower": text.lower,
        "toupper": text.upper,
        "trim": text.strip,
        "trimr": text.rstrip,
        "triml": text.lstrip,
        "md5": lambda: hashlib.md5(text.encode("latin-1"), usedforsecurity=False).hexdigest(),
        "encode.hexa": lambda: text.encode("latin-1").hex(),
        "b64encode": lambda: base64.b64encode(text.encode("latin-1")).decode(),
        "b64decode": lambda: base64.b64decode(text).decode("latin-1"),
        "unescape.user": lambda: unescape(text),
        "escape.common": lambda: re.sub(r"(['\"\\])", r"\\\1", text).replace("\0", "\\0"),
        "unescape.common": lambda: re.sub(r"\\(.)", r"\1", text),
        "reverse": lambda: text[::-1],
        "numeric": lambda: re.sub(r"\D", "", text),
    }
    if name == "fill.left":
        return text.rjust(int(arguments[1]), arguments[0])
    return simple[name]() if name in simple else None


def of_uri(text: str, name: str, arguments: list[str]) -> Value:
    """`uri.*`."""
    uri = parse_uri(text)
    if uri is None:
        return None
    if name == "param":
        return uri.parameters.get(arguments[0].lower())
    if name == "port":
        return uri.port or (5061 if uri.scheme == "sips" else 5060)
    return {
        "user": uri.user,
        "username": uri.user,
        "host": uri.host,
        "domain": uri.host,
        "schema": uri.scheme,
        "password": uri.password,
        "passwd": uri.password,
        "transport": uri.parameters.get("transport"),
        "params": ";".join(f"{key}={said}" if said else key for key, said in uri.parameters.items()),
    }.get(name) or None


def of_name_address(text: str, name: str, arguments: list[str]) -> Value:
    """`nameaddr.*`."""
    said, uri, parameters = parse_address(text)
    if name == "param":
        return parameters.get(arguments[0].lower())
    return {
        "name": said.strip('"'),
        "uri": uri,
        "len": str(len(text)),
        "params": ";".join(f"{key}={value}" for key, value in parameters.items()),
    }.get(name) or None


def of_parameters(text: str, name: str, arguments: list[str]) -> Value:
    """`param.*`."""
    found = parse_parameters(text)
    if name == "count":
        return len(found)
    if name in ("value", "exist"):
        said = found.get(arguments[0].lower())
        return (1 if said is not None else 0) if name == "exist" else said
    place = int(arguments[0]) if arguments else 0
    entries = list(found.items() if name == "valueat" else found)
    return None if place >= len(entries) else entries[place][1] if name == "valueat" else str(entries[place])


def of_list(text: str, name: str, arguments: list[str]) -> Value:
    """`csv.*` and `val.*`."""
    parts = [part.strip() for part in text.split(",")]
    if name == "count":
        return len(parts)
    if name == "value":
        place = int(arguments[0])
        return parts[place] if -len(parts) <= place < len(parts) else None
    return None


def of_address(text: str, name: str, arguments: list[str]) -> Value:
    """`ip.*`."""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return 0 if name in ("isip", "matches") else None
    if name == "isip":
        return 1
    if name == "isprivate":
        return int(address.is_private)
    if name == "family":
        return f"INET{'' if address.version == 4 else '6'}"
    if name == "matches":
        return int(address in ipaddress.ip_network(arguments[0], strict=False))
    return {"pton": str(address), "ntop": str(address)}.get(name)


def substitute(text: str, step: str) -> Value:
    """`re.subst,/pattern/replacement/flags`."""
    found = re.match(r"subst,(.)(.*?)\1(.*?)\1([ig]*)$", step, re.DOTALL)
    if found is None:
        return None
    replacement = re.sub(r"\\(\d)", r"\\g<\1>", found[3])
    flags = re.IGNORECASE if "i" in found[4] else 0
    return re.sub(found[2], replacement, text, count=0 if "g" in found[4] else 1, flags=flags)
