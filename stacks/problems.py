"""What is wrong with settings, in the words of the person who wrote them: the setting, its value, a correct example."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from components.model.problems import PlanError, Problem, setting_problem
from components.model.settings import Settings

NAMESPACE = "webitel"
SET = "[secret]"
"""What a secret setting reads as in `Settings`: that it is set, never its value."""
SECRET_SETTINGS = tuple(
    name
    for name, field in Settings.model_fields.items()
    if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("secret")
)
"""The settings that are encrypted in the stack file."""

Part = int | str | None
REQUIREMENTS: Mapping[tuple[str, ...], str] = {
    ("int_type", "int_parsing", "int_parsing_size", "int_from_float"): "must be a whole number",
    ("bool_type", "bool_parsing"): "must be true or false",
    ("string_type",): "must be text",
    ("tuple_type",): "must be a list",
    ("dict_type",): "must be a map",
    ("greater_than_equal",): "must be {ge} or more",
    ("less_than_equal",): "must be {le} or less",
}
"""What pydantic's kinds of errors ask for."""


class SettingsError(PlanError):
    """A stack's settings cannot be used: every problem found, those of the planner too."""


def explain(errors: list[ErrorDetails]) -> list[Problem]:
    """Say pydantic's errors in our words, one for each setting or each wrong part of it (a union reports one a member)."""
    problems: dict[tuple[str, Part, str], Problem] = {}
    for error in errors:
        name, part = find_part(error)
        # Of one element each name is told that is missing or too many: one often stands for the other.
        inside = find_path(error) if error["type"] in ("missing", "extra_forbidden") else ""
        problems.setdefault((name, part, inside), explain_error(name, part, error))
    in_parts = {name for name, part, _ in problems if part is not None}
    return [problem for (name, part, _), problem in problems.items() if part is not None or name not in in_parts]


def find_part(error: ErrorDetails) -> tuple[str, Part]:
    """Find the setting that an error is about, and the place in its list or the key in its map; None = all of it."""
    name, *rest = error["loc"]
    return str(name), next((part for part in rest if isinstance(part, int) or not part.startswith(("tuple[", "literal["))), None)


def explain_error(name: str, part: Part, error: ErrorDetails) -> Problem:
    """Say one error of pydantic's as the setting, its value, what is wrong and what would be right."""
    kind, context = error["type"], error.get("ctx", {})
    value = "" if kind == "missing" else show(error["input"])
    if kind == "missing":
        return setting_problem(find_path(error), "", f"is not set; {describe(name)}")
    if kind == "extra_forbidden" and part is not None:
        return setting_problem(find_path(error), value, f"no such setting; {suggest_part(error)} {describe(name)}")
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, Settings.model_fields, 1, 0.5)
        hint = f"did you mean {NAMESPACE}:{near[0]}? {describe(near[0])}" if near else "webitel schema lists them all"
        return setting_problem(name, SET if near and near[0] in SECRET_SETTINGS else value, f"no such setting; {hint}")
    what = next(
        (text.format(**context) for kinds, text in REQUIREMENTS.items() if kind in kinds),
        error["msg"][0].lower() + error["msg"][1:],
    )
    if kind.startswith("ip_v4"):
        what = explain_network(error["input"])
    if kind in ("literal_error", "enum"):
        near = difflib.get_close_matches(str(error["input"]), re.findall(r"'([^']+)'", error["msg"]), 1)
        what = f"must be {context['expected']}{f', did you mean {near[0]}?' if near else ''}"
    if name in SECRET_SETTINGS:
        value = SET
    # A list's own element is known by its value.
    return setting_problem(re.sub(r"\[\d+\]$", "", find_path(error)), value, f"{what}; {describe(name)}")


def find_path(error: ErrorDetails) -> str:
    """Return the whole name of what an error is about, such as `hosts[0].address`."""
    name, *rest = error["loc"]
    parts = (part for part in rest if isinstance(part, int) or not part.startswith(("tuple[", "literal[", "[")))
    return str(name) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def suggest_part(error: ErrorDetails) -> str:
    """Return what a part of a setting that does not exist may have meant, or which ones there are."""
    *above, wrong = error["loc"]
    models: list[type[BaseModel]] = [Settings]
    for part in above:
        # What is no field of theirs is a place in a list or a key of a map, and leads nowhere else.
        if fields := [model.model_fields[part] for model in models if isinstance(part, str) and part in model.model_fields]:
            models = [model for field in fields for model in find_models(field.annotation)]
    names = list(dict.fromkeys(name for model in models for name in model.model_fields))
    near = difflib.get_close_matches(str(wrong), names, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}."


def find_models(annotation: object) -> Iterator[type[BaseModel]]:
    """Find the models in the type of a field."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from find_models(inner)


def explain_network(value: object) -> str:
    """Say why a value is no IPv4 network, with the network meant where only host bits are too many."""
    try:
        network = IPv4Network(str(value), strict=False)
    except ValueError:
        return "is not an IPv4 network"
    return f"has host bits set, the network is {network}"


def describe(name: str) -> str:
    """Return a setting's description and a correct example of it, in the stack file's syntax."""
    text = (Settings.model_fields[name].description or "").rstrip(".")
    return f"{text}; for example {example}" if (example := give_example(name)) else text


def give_example(name: str) -> str:
    """Return a correct line for a setting, in the stack file's syntax; "" where none is known."""
    field = Settings.model_fields.get(name)
    if field is None:
        return ""
    examples = field.examples or ([] if field.is_required() or not field.default else [field.default])
    return f"{NAMESPACE}:{name}: {show(examples[0])}" if examples else ""


def show(value: Any) -> str:
    """Return a value on one line as a person reads it."""
    return value if isinstance(value, str) else to_yaml(value)


def to_yaml(value: Any) -> str:
    """Return a value on one line in the stack file's syntax: a text that would read as a number is quoted."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).strip().removesuffix("...").strip()
