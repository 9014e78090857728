"""From a stack's name to its settings and its plan: what every command and the program itself begin with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from components.clouds.registry import CLOUDS
from components.model.clouds.facts import CloudFacts
from components.model.plan import Plan
from components.model.planning.planner import make_plan
from components.model.problems import PlanError, Problem
from components.model.settings import Settings
from stacks.problems import SettingsError, explain
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
    rest = {name: parse(name, value) for name, value in values.items() if not is_unset(name, value)}
    settings: Settings | None = None
    deployment: Deployment | None = None
    try:
        settings = Settings.model_validate(rest)
    except ValidationError as error:
        found += explain(error.errors(include_url=False))
        wrong = {str(details["loc"][0]) for details in error.errors()}
        rest = {name: value for name, value in rest.items() if name not in wrong}
        if all(name in rest for name, field in Settings.model_fields.items() if field.is_required()):
            settings = Settings.model_validate(rest)
    if settings is not None:
        try:
            deployment = make_deployment(settings, stack)
        except PlanError as error:
            told = {problem.setting.partition(".")[0] for problem in found}
            found += [problem for problem in error.problems if problem.setting.partition(".")[0] not in told]
    if found or deployment is None:
        raise SettingsError(found)
    return deployment


def is_unset(name: str, value: Any) -> bool:
    """An empty value is an unset one, as `pulumi config` knows no other way to write it."""
    return value in ("", None) and name in Settings.model_fields


def parse(name: str, value: Any) -> Any:
    """A list or map written as JSON text, as `pulumi config set` stores it and as the program receives it."""
    field = Settings.model_fields.get(name)
    if field is None or not isinstance(value, str) or value[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
