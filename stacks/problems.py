"""What is wrong with settings, in the words of the person who wrote them: the setting, its value, a correct example."""

from __future__ import annotations

import difflib
import re
from ipaddress import IPv4Network
from typing import Any

import yaml
from pydantic_core import ErrorDetails

from components.model.problems import PlanError, Problem, setting_problem
from components.model.settings import Settings

NAMESPACE = "webitel"
SET = "[secret]"
"""What a secret setting reads as in `Settings`: that it is set, never its value."""
SECRET_SETTINGS = tuple(
    name for name, field in Settings.model_fields.items()
    if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("secret")
)
"""The settings that are encrypted in the stack file."""


class SettingsError(PlanError):
    """A stack's settings cannot be used: every problem found, those of the planner too."""


def explain(errors: list[ErrorDetails]) -> list[Problem]:
    """pydantic's errors in our words, one for each setting (a union reports one for each of its members)."""
    problems: dict[str, Problem] = {}
    for error in errors:
        name = str(error["loc"][0])
        problems.setdefault(name, explain_error(name, error))
    return list(problems.values())


def explain_error(name: str, error: ErrorDetails) -> Problem:
    """One error of pydantic's as the setting, its value, what is wrong and what would be right."""
    value = "" if error["type"] == "missing" else show(error["input"])
    if error["type"] == "missing":
        return setting_problem(name, "", f"is not set; {describe(name)}")
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, Settings.model_fields, 1, 0.5)
        hint = f"did you mean {NAMESPACE}:{near[0]}? {describe(near[0])}" if near else "webitel schema lists them all"
        return setting_problem(name, value, f"there is no such setting; {hint}")
    position = next((str(part) for part in error["loc"][1:] if isinstance(part, str) and "[" not in part), "")
    what = error["msg"][0].lower() + error["msg"][1:]
    if error["type"].startswith("ip_v4"):
        what = explain_network(str(error["input"]))
    if error["type"] in ("tuple_type", "dict_type"):
        what = "must be a list" if error["type"] == "tuple_type" else "must be a map"
    if error["type"] in ("literal_error", "enum"):
        near = difflib.get_close_matches(str(error["input"]), re.findall(r"'([^']+)'", error["msg"]), 1)
        what = f"{what.replace('input should be', 'must be')}{f', did you mean {near[0]}?' if near else ''}"
    if name in SECRET_SETTINGS:
        value = SET
    whole = isinstance(Settings.model_fields[name].default, dict) and position
    return setting_problem(f"{name}.{position}" if whole else name, value, f"{what}; {describe(name)}")


def explain_network(value: str) -> str:
    """Why a text is no IPv4 network; the network meant where only host bits are too many."""
    try:
        network = IPv4Network(value, strict=False)
    except ValueError:
        return "is not an IPv4 network"
    return f"has host bits set, the network is {network}"


def describe(name: str) -> str:
    """A setting's description and a correct example of it, in the stack file's syntax."""
    field = Settings.model_fields[name]
    text = (field.description or "").rstrip(".")
    examples = field.examples or ([] if field.is_required() or not field.default else [field.default])
    return f"{text}; for example {NAMESPACE}:{name}: {show(examples[0])}" if examples else text


def show(value: Any) -> str:
    """A value on one line as a person reads it."""
    return value if isinstance(value, str) else to_yaml(value)


def to_yaml(value: Any) -> str:
    """A value on one line in the stack file's syntax: a text that would read as a number is quoted."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).strip().removesuffix("...").strip()
