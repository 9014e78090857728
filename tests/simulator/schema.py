"""What each cloud's inputs may be, from `<cloud>/schema.json`: every check and every replacement that is data.

The keys of the data are described in `tests/simulator/README.md`, its surprises in `facts/schemas/README.md`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from components.clouds.registry import CLOUDS
from provider.server import UNKNOWN, Failure, Properties
from tests.simulator import conditions

Spec = Mapping[str, Any]

_FOLDER = Path(__file__).parent
_TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}
_HEX = "0123456789abcdef"


class Schema:
    """The resources and nested types of one package; `bridged`: its provider is built on a Terraform one."""

    def __init__(self, package: str) -> None:
        cloud = next(name for name, cloud in CLOUDS.items() if cloud.package == package)
        data = json.loads((_FOLDER / cloud / "schema.json").read_text())
        self.package: str = data["package"]
        self.version: str = data["version"]
        self.resources: Mapping[str, Any] = data["resources"]
        self.types: Mapping[str, Mapping[str, Spec]] = data["types"]
        self.bridged = package != "azure-native"

    def inputs(self, type: str) -> Mapping[str, Spec]:
        """The inputs of a resource type by name."""
        inputs: Mapping[str, Spec] = self.resources[type]["inputs"]
        return inputs

    def output_names(self, type: str) -> set[str]:
        """The names of all outputs; what is an input too is one."""
        return {*self.resources[type]["outputs"], *self.inputs(type)}

    def check(self, type: str, inputs: Properties, old: Properties | None) -> list[Failure]:
        """What is wrong with inputs as the program gave them, before defaults."""
        return [*self._check_object(self.inputs(type), inputs, "", inputs, old)]

    def check_values(self, type: str, inputs: Properties, more: Mapping[str, set[str]]) -> list[Failure]:
        """Values that the provider passes on and the cloud refuses; `more` are values by path that the SDK lacks."""
        return [
            Failure(path, f"{value} is not one of {', '.join(map(str, sorted(known)[:12]))} ...")
            for path, spec, value in self.walk(type, inputs)
            if (known := {*spec.get("enum", ()), *spec.get("known", ()), *more.get(path, ())}) and "allowed" not in spec
            for value in (value if isinstance(value, list) else [value])
            if value not in known
        ]

    def check_names(self, type: str, inputs: Properties) -> list[Failure]:
        """Names that the provider generated from a logical name that makes no valid one."""
        return [
            failure
            for name, spec in self.inputs(type).items()
            if "autoName" in spec and isinstance(inputs.get(name), str)
            for failure in conditions.check_plain(spec, inputs[name], name)
        ]

    def walk(self, type: str, inputs: Properties) -> Iterator[tuple[str, Spec, Any]]:
        """Every input that is set, also inside others: its path such as `networks[].ip`, what it is, its value."""
        yield from self._walk(self.inputs(type), inputs, "")

    def _walk(self, specs: Mapping[str, Spec], given: Properties, path: str) -> Iterator[tuple[str, Spec, Any]]:
        for name, value in given.items():
            if name in specs and value is not None:
                yield path + name, specs[name], value
                if nested := self.nested(specs[name]):
                    many = isinstance(value, list)
                    for item in value if many else [value]:
                        if isinstance(item, dict):
                            yield from self._walk(nested, item, f"{path}{name}{'[]' if many else ''}.")

    def nested(self, spec: Spec) -> Mapping[str, Spec] | None:
        """The properties of the objects an input consists of, None for plain values."""
        found = re.search(r"ref:([\w.]+)", spec["type"])
        return self.types.get(found[1]) if found else None

    def add_defaults(self, type: str, inputs: Properties, old: Properties | None, name: str) -> Properties:
        """The inputs with the provider's defaults and generated names; a name generated before stays."""
        made = self._add_defaults(self.inputs(type), inputs, inputs)
        for key, spec in self.inputs(type).items():
            if "autoName" in spec and inputs.get(key) is None and not _is_excluded(spec, inputs, key):
                made[key] = (old or {}).get(key) or make_name(name, spec["autoName"])
        return made

    def _add_defaults(self, specs: Mapping[str, Spec], given: Properties, root: Properties) -> Properties:
        made = {name: value for name, value in given.items() if value is not None}
        for name, spec in specs.items():
            if name not in made:
                if "default" in spec and not _is_excluded(spec, root, name) and not conditions.is_forbidden(spec, root):
                    made[name] = spec["default"]
            elif nested := self.nested(spec):
                value = made[name]
                if isinstance(value, dict):
                    made[name] = self._add_defaults(nested, value, root)
                elif isinstance(value, list):
                    made[name] = [self._add_defaults(nested, v, root) if isinstance(v, dict) else v for v in value]
        return made

    def _check_object(
        self,
        specs: Mapping[str, Spec],
        given: Properties,
        path: str,
        root: Properties,
        old: Properties | None,
    ) -> Iterator[Failure]:
        for name in given.keys() - specs.keys():
            yield Failure(path + name, f"{path + name} is no input")
        for name, spec in specs.items():
            value = given.get(name)
            if value is None:
                if spec.get("required"):
                    yield Failure(path + name, "missing required property")
                elif conditions.is_required(spec, root):
                    yield Failure(path + name, f"required when {spec['requiredWhen']}")
            elif spec.get("computedOnly") or spec.get("settable") is False:
                yield Failure(path + name, "is set by the cloud and cannot be given")
            elif spec.get("simulated") is False:
                yield Failure(path + name, "this input is not simulated: add its type to tests/simulator/<cloud>/schema.json")
            elif conditions.is_forbidden(spec, root, creating=old is None):
                yield Failure(path + name, f"not allowed when {spec['forbiddenWhen']}")
            else:
                yield from self._check_value(spec, value, path + name, root, old)
            yield from _check_groups(spec, name, value, path, root)

    def _check_value(
        self,
        spec: Spec,
        value: Any,
        path: str,
        root: Properties,
        old: Properties | None,
    ) -> Iterator[Failure]:
        if value is UNKNOWN:
            return
        kind = spec["type"]
        if kind.startswith("array<"):
            if not isinstance(value, list):
                yield Failure(path, f"must be a list, got {_show(value)}")
                return
            if not spec.get("minItems", 0) <= len(value) <= spec.get("maxItems", len(value)):
                yield Failure(path, f"{len(value)} elements, allowed {spec.get('minItems', 0)} to {spec.get('maxItems')}")
            element = {key[4].lower() + key[5:]: v for key, v in spec.items() if key.startswith("elem")}
            for index, item in enumerate(value):
                yield from self._check_value({"type": kind[6:-1], **element}, item, f"{path}[{index}]", root, old)
        elif kind.startswith("map<"):
            if not isinstance(value, dict):
                yield Failure(path, f"must be a map, got {_show(value)}")
                return
            for key, item in value.items():
                yield from self._check_value({"type": kind[4:-1]}, item, f"{path}.{key}", root, old)
            yield from conditions.check_plain(spec, value, path)
        elif nested := self.nested(spec):
            if not isinstance(value, dict):
                yield Failure(path, f"must be an object, got {_show(value)}")
                return
            yield from self._check_object(nested, value, f"{path}.", root, old)
        elif kind != "any":
            expected = tuple(t for part in kind.split("|") for t in _flatten(_TYPES[part]))
            if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
                yield Failure(path, f"must be a {kind}, got {_show(value)}")
                return
            yield from conditions.check_plain(spec, value, path)


@cache
def load_schema(package: str) -> Schema:
    """The schema of a package, read once."""
    return Schema(package)


def make_name(logical: str, rule: Spec) -> str:
    """A generated name: the logical name and random characters, as the rule says."""
    if rule.get("kind") == "copy":
        return logical
    tail = "".join(secrets.choice(_HEX) for _ in range(rule["rand"]))
    name = f"{logical}{rule['sep']}{tail}"
    return name.lower() if rule.get("lower") else name


def resolve(root: Any, path: str) -> Any:
    """The value at a dotted path, None where a part is missing, UNKNOWN inside what is unknown."""
    for part in path.split("."):
        if root is UNKNOWN:
            return UNKNOWN
        if isinstance(root, list):  # a block that may stand once is a list in some SDKs
            root = root[0] if root else None
        root = root.get(part) if isinstance(root, dict) else None
    return root


def _is_excluded(spec: Spec, root: Properties, name: str) -> bool:
    """Whether an input that is set keeps this one from its default."""
    others = [*spec.get("conflictsWith", ()), *spec.get("exactlyOneOf", ())]
    return any(resolve(root, other) is not None for other in others if other != name)


def _check_groups(spec: Spec, name: str, value: Any, path: str, root: Properties) -> Iterator[Failure]:
    full = (path + name).replace("[", ".").split(".")[0] if "[" in path else path + name
    if value is not None:
        for other in spec.get("conflictsWith", ()):
            if other != full and resolve(root, other) is not None:
                yield Failure(path + name, f"conflicts with {other}")
        for other in spec.get("requiredWith", ()):
            if resolve(root, other) is None:
                yield Failure(path + name, f"needs {other} too")
    if group := spec.get("exactlyOneOf"):
        given = [other for other in group if resolve(root, other) is not None]
        if len(given) != 1 and (given[:1] in ([], [full])):
            yield Failure(path + name, f"exactly one of {', '.join(group)}, got {', '.join(given) or 'none'}")
    if (group := spec.get("atLeastOneOf")) and all(resolve(root, other) is None for other in group):
        yield Failure(path + name, f"at least one of {', '.join(group)}")


def _flatten(kind: Any) -> tuple[type, ...]:
    return kind if isinstance(kind, tuple) else (kind,)


def _show(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"[:80]
