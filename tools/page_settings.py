"""The page of settings, from the schema that the stack files are held against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from components.model.catalogue.service import PackageSource
from components.model.settings import ExistingNetwork, Settings
from components.model.site import Site
from tools.markdown import table

EMPTY: tuple[object, ...] = ("", None, [], {}, ExistingNetwork().model_dump(mode="json"), Site().model_dump(mode="json"))
"""What a setting is that says nothing."""


def describe_type(schema: Mapping[str, Any]) -> str:
    """Return a setting's type in words, from its JSON Schema."""
    if "anyOf" in schema:
        kinds = [describe_type(kind) for kind in schema["anyOf"] if kind.get("type") != "null"]
        return " or ".join(kinds)
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "$ref" in schema and "properties" in find_definition(schema):
        return "map of the rows below"
    if "$ref" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in PackageSource)
    if schema.get("type") == "array":
        items = schema["items"]
        if "$ref" in items:
            return "list of maps of the rows below"
        if "enum" in items:
            return "list of " + ", ".join(f"`{value}`" for value in items["enum"])
        return f"list of {'networks' if items.get('format') == 'ipv4network' else 'texts'}"
    if schema.get("type") == "object" and "$ref" in schema["additionalProperties"]:
        return "map of the rows below"
    if schema.get("type") == "object":
        return "map of " + ("numbers" if schema["additionalProperties"].get("type") == "integer" else "texts")
    if schema.get("type") == "integer":
        return f"number, {schema['minimum']} to {schema['maximum']}"
    if schema.get("type") == "boolean":
        return "true or false"
    return "network" if schema.get("format") == "ipv4network" else "text"


def find_definition(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference in the settings' schema is to."""
    found: Mapping[str, Any] = Settings.model_json_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    return found


def show_value(value: object) -> str:
    """Return a value as a stack file may have it."""
    return value if isinstance(value, str) else json.dumps(value)


def show_default(value: object) -> str:
    """Return what a setting is unless set; nothing where that is nothing."""
    return "" if value in EMPTY else f"`{show_value(value)}`"


def settings_table() -> str:
    """Return every setting with type, default and an example, in the order of the model."""
    rows = []
    schema = Settings.model_json_schema()
    for name, row in schema["properties"].items():
        rows.append(describe_setting(name, row, name in schema["required"]))
        rows += list_inner(name, row)
    return table(("setting", "type", "unless set", "what it is", "example"), rows)


def list_inner(name: str, row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows of what stands in a setting: in itself, or in each entry of a map or list."""
    entry = {"object": "additionalProperties", "array": "items"}.get(row.get("type", ""), "")
    inner = (row.get(entry) or {}) if entry else row
    if "$ref" not in inner or "properties" not in (definition := find_definition(inner)):
        return []
    prefix = name if inner is row else f"{name}.*"
    rows = []
    for part, one in definition["properties"].items():
        rows.append(describe_setting(f"{prefix}.{part}", one, part in definition.get("required", ())))
        rows += list_inner(f"{prefix}.{part}", one)
    return rows


def describe_setting(name: str, row: Mapping[str, Any], required: bool) -> tuple[str, ...]:
    """Return a row of the settings' table."""
    examples = ", ".join(f"`{show_value(example)}`" for example in row.get("examples", ()))
    default = "required" if required else show_default(row["default"])
    return (f"`{name}`", describe_type(row), default, row["description"], examples)
