"""From a stack's name to its settings and its plan: what every command and the program itself begin with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from components.clouds.registry import CLOUDS
from components.model.clouds.facts import CloudFacts
from components.model.plan import Plan
from components.model.planning.planner import make_plan
from components.model.problems import PlanError, Problem, setting_problem
from components.model.settings import Settings
from stacks.problems import Part, SettingsError, explain, find_part, give_example
from stacks.settings import find_stack, read_file, read_program


@dataclass(frozen=True)
class Deployment:
    """What a deployment's owner decided, and everything that follows from it."""

    settings: Settings
    plan: Plan


def load_deployment(stack: str) -> Deployment:
    """Load the deployment of `Pulumi.<stack>.yaml`; secrets read as `SET`. Raises UnknownStackError or SettingsError."""
    values, problems = read_file(find_stack(stack))
    return check(values, stack, problems)


def load_program() -> Deployment:
    """Load the deployment that the running program declares. Raises SettingsError."""
    import pulumi

    values, problems = read_program()
    return check(values, pulumi.get_stack(), problems)


def make_deployment(settings: Settings, stack: str) -> Deployment:
    """Plan settings that stand in no file, or not yet. Raises PlanError."""
    return Deployment(settings, make_plan(settings, stack, find_facts(settings.cloud)))


def find_facts(cloud: str) -> CloudFacts:
    """Return the facts of a cloud: the only way from a cloud's name to them."""
    return CLOUDS[cloud]


def check(values: Mapping[str, Any], stack: str, problems: Iterable[Problem]) -> Deployment:
    """Make a deployment of raw values (strings, lists, maps), or raise a SettingsError with the problems given and all new ones.

    What is wrong is left out and the rest goes through the planner, so that its problems are told in the same run.
    """
    found = list(problems)
    told_already = {problem.setting for problem in found}
    rest = {name: parse(name, value, found) for name, value in values.items() if not is_unset(name, value)}
    settings, wrong = validate(rest)
    found += explain(wrong)
    told = {name for name, part in map(find_part, wrong) if part is None}
    if settings is None:
        rest = leave_out(rest, wrong)
        told |= {name for name, _ in map(find_part, wrong) if name not in rest}
        if all(name in rest for name, field in Settings.model_fields.items() if field.is_required()):
            settings, _ = validate(rest)
    deployment: Deployment | None = None
    if settings is not None:
        try:
            deployment = make_deployment(settings, stack)
        except PlanError as error:
            found += [
                problem for problem in error.problems if setting_of(problem) not in told and problem.setting not in told_already
            ]
    if found or deployment is None:
        raise SettingsError(found)
    return deployment


def validate(values: Mapping[str, Any]) -> tuple[Settings | None, list[ErrorDetails]]:
    """Make settings of values, or tell every error of theirs."""
    try:
        return Settings.model_validate(values), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def leave_out(values: Mapping[str, Any], errors: Iterable[ErrorDetails]) -> dict[str, Any]:
    """Return the values without the wrong parts of lists and maps, and without what is wrong as a whole or has nothing left."""
    parts: dict[str, set[Part]] = {}
    for name, part in map(find_part, errors):
        parts.setdefault(name, set()).add(part)
    left: dict[str, Any] = {}
    for name, value in values.items():
        wrong = parts.get(name, set())
        if wrong == {None}:
            continue
        if not wrong:
            left[name] = value
        elif isinstance(value, list) and (items := [item for place, item in enumerate(value) if place not in wrong]):
            left[name] = items
        elif isinstance(value, dict) and (pairs := {key: item for key, item in value.items() if key not in wrong}):
            left[name] = pairs
    return left


def setting_of(problem: Problem) -> str:
    """Return the name of the setting that a problem is about."""
    return problem.setting.partition(":")[2].partition(".")[0]


def is_unset(name: str, value: Any) -> bool:
    """Return whether a value is empty and so an unset one, as `pulumi config` knows no other way to write it."""
    return value in ("", None) and name in Settings.model_fields


def parse(name: str, value: Any, problems: list[Problem]) -> Any:
    """Return a list or map written as JSON text, as `pulumi config set` stores it and as the program receives it."""
    field = Settings.model_fields.get(name)
    if field is None or not isinstance(value, str) or value[:1] not in ("[", "{"):
        return value

    def check_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [key for key, _ in pairs]
        for key in dict.fromkeys(key for key in names if names.count(key) > 1):
            example = f", for example {given}" if (given := give_example(name)) else ""
            problems.append(setting_problem(f"{name}.{key}", "", f"stands more than once in its JSON text; keep one{example}"))
        return dict(pairs)

    try:
        # Numbers as they are written: 25.10 is not 25.1, and 112 stands in a list of texts.
        return json.loads(value, parse_int=str, parse_float=str, object_pairs_hook=check_names)
    except (ValueError, RecursionError):
        return value
