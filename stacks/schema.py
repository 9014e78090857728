"""Settings as others see them: the JSON Schema of a stack file, for editors, and Pulumi.yaml's declarations.

`python -m stacks.schema` writes both, after a change of `components/model/settings.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from components.model.settings import Settings
from stacks.problems import NAMESPACE, SECRET_SETTINGS

SCHEMA_FILE = Path(__file__).with_name("schema.json")
PROJECT_FILE = Path(__file__).parent.parent / "Pulumi.yaml"
MARK = "# Below: made by `python -m stacks.schema` from components/model/settings.py.\n"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a whole stack file. Keys of other namespaces (`aws:region`) are left to their owners."""
    settings = Settings.model_json_schema()
    properties = {
        f"{NAMESPACE}:{name}": encrypted(value) if name in SECRET_SETTINGS else value
        for name, value in settings["properties"].items()
    }
    config = {
        "type": "object",
        "properties": properties,
        "required": [f"{NAMESPACE}:{name}" for name in settings["required"]],
        "patternProperties": {f"^(?!{NAMESPACE}:)[^:]+:.+$": {}},
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A stack of the Webitel project",
        "type": "object",
        "properties": {
            "config": config,
            "encryptionsalt": {"type": "string"},
            "encryptedkey": {"type": "string"},
            "secretsprovider": {"type": "string"},
        },
        "required": ["config"],
        "additionalProperties": False,
        "$defs": settings.get("$defs", {}),
    }


def encrypted(value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a secret setting: what `pulumi config set --secret` writes, never plain text."""
    secure = {"type": "object", "properties": {"secure": {"type": "string"}}, "required": ["secure"]}
    return secure | {"title": value["title"], "description": value["description"]}


def pulumi_config() -> dict[str, Any]:
    """Return the `config:` block of Pulumi.yaml. A declaration without default must be set in every stack.

    Left out: settings of more than one type (`phones`), as the command line knows no union, and secret ones, as it
    refuses a default for them and would require the vendor's credentials everywhere.
    """
    declarations = {}
    for name, value in Settings.model_json_schema()["properties"].items():
        kinds = [kind for kind in value.get("anyOf", [value]) if kind.get("type") != "null"]
        kind = find_kind(kinds[0])
        if len(kinds) > 1 or name in SECRET_SETTINGS:
            continue
        declaration = {"type": kind, "description": value["description"]}
        if kind == "array":
            declaration["items"] = {"type": find_kind(kinds[0]["items"])}
        if not Settings.model_fields[name].is_required():
            declaration["default"] = "" if value["default"] is None else value["default"]
        declarations[f"{NAMESPACE}:{name}"] = declaration
    return declarations


def find_kind(schema: dict[str, Any]) -> str:
    """Return the type of a setting; the others refer to the names of an enumeration."""
    refers = schema.get("$ref", "").rpartition("/")[2]
    kind: str = (Settings.model_json_schema()["$defs"][refers] if refers else schema).get("type", "string")
    return kind


def schema_text() -> str:
    """Return the content of `stacks/schema.json`."""
    return json.dumps(schema(), indent=2) + "\n"


def project_text(text: str) -> str:
    """Return Pulumi.yaml with the current declarations at its end."""
    block = yaml.safe_dump({"config": pulumi_config()}, sort_keys=False, width=200, allow_unicode=True)
    return text.partition(MARK)[0] + MARK + block


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text())
    PROJECT_FILE.write_text(project_text(PROJECT_FILE.read_text()))
