"""Reading the settings of a deployment: from a stack file, offline and without Pulumi, or from the running program.

Both ways end in the one class `Settings`, and in one `SettingsError` that carries every problem found.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from components.model.planning.planner import make_plan
from components.model.problems import PlanError, Problem, setting_problem
from components.model.settings import Settings
from stacks.problems import NAMESPACE, SECRET_SETTINGS, SET, SettingsError, describe, explain

if TYPE_CHECKING:
    import pulumi

STACKS = Path(__file__).resolve().parent


class UnknownStackError(Exception):
    """No such stack file; the message lists the ones there are."""


def stack_file(stack: str) -> Path:
    """The path of a stack's file, whether it exists or not."""
    return STACKS / f"Pulumi.{stack}.yaml"


def find_stack(stack: str) -> Path:
    """The file of a stack that is there. Raises UnknownStackError."""
    path = stack_file(stack)
    if not path.exists():
        known = list_stacks()
        near = difflib.get_close_matches(stack, known, 1)
        raise UnknownStackError(
            f"no stack {stack}: there is no {path.parent.name}/{path.name}\n"
            + (f"Did you mean {near[0]}? " if near else "")
            + f"There are {', '.join(known) or 'none'}\n"
            f"Make it: webitel init {stack} --from {'aws-basic' if 'aws-basic' in known else 'EXISTING'}"
        )
    return path


def list_stacks() -> tuple[str, ...]:
    """The names of all stacks that have a file, sorted."""
    return tuple(sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in STACKS.glob("Pulumi.*.yaml")))


def load_stack(stack: str) -> Settings:
    """The settings of `Pulumi.<stack>.yaml`, checked with the planner too; secrets read as `SET`.

    Raises UnknownStackError or SettingsError.
    """
    values, problems = read_file(find_stack(stack))
    return check(values, stack, problems)


def read_file(path: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The values under `webitel:` of a stack file, every scalar as a string as Pulumi hands them to the program."""
    try:
        document = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
        typed = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError([Problem(path.name, "", f"is not YAML: {error}")]) from error
    config = document.get("config") if isinstance(document, dict) else {}
    if not isinstance(config, dict):
        config = {}
    values: dict[str, Any] = {}
    problems = []
    for key, value in config.items():
        namespace, separator, name = str(key).partition(":")
        if not separator:
            problems.append(Problem(str(key), "", f"has no namespace: write {NAMESPACE}:{key}"))
        elif namespace == NAMESPACE:
            values[name] = value
    for name, value in list(values.items()):
        if name in SECRET_SETTINGS:
            if value and not is_encrypted(value):
                problems.append(plain_text(name))
            values[name] = SET if value else ""
        elif name in Settings.model_fields and contains_encrypted(value):
            del values[name]
            problems.append(setting_problem(
                name, "[encrypted]", f"must be readable without the passphrase; {describe(name)}"))
        elif isinstance(typed["config"][f"{NAMESPACE}:{name}"], float):
            # Pulumi says no more than "bad value".
            problems.append(setting_problem(name, value, f'is a fraction to YAML: write it in quotes, "{value}"'))
        elif isinstance(value, dict):
            inner = typed["config"][f"{NAMESPACE}:{name}"]
            problems += [
                setting_problem(f"{name}.{key}", value[key], f'is a fraction to YAML: write it in quotes, "{value[key]}"')
                for key, one in inner.items() if isinstance(one, float)]
    return values, problems


def plain_text(name: str) -> Problem:
    """A secret setting that stands in the stack file as it is."""
    return setting_problem(name, SET, "stands in plain text in the stack file; encrypt it: "
                                     f"pulumi config set --secret {NAMESPACE}:{name}")


def is_encrypted(value: Any) -> bool:
    """Whether a value of a stack file is Pulumi's `secure: ...`."""
    return isinstance(value, dict) and set(value) == {"secure"}


def contains_encrypted(value: Any) -> bool:
    """Whether an encrypted value stands anywhere in it."""
    if isinstance(value, dict):
        return is_encrypted(value) or any(contains_encrypted(item) for item in value.values())
    return isinstance(value, list) and any(contains_encrypted(item) for item in value)


def from_pulumi() -> Settings:
    """The settings of the stack that the running program deploys. Raises SettingsError.

    Secrets read as `SET`; their values come from `secret_settings`, marked.
    """
    import pulumi
    from pulumi.runtime.config import CONFIG, is_config_secret

    config = pulumi.Config(NAMESPACE)
    # The SDK tells single values only; a setting that does not exist shows in the whole configuration.
    others = {key.removeprefix(f"{NAMESPACE}:") for key in CONFIG.get() if key.startswith(f"{NAMESPACE}:")}
    values = {name: config.get(name) for name in (*Settings.model_fields, *sorted(others - set(Settings.model_fields)))}
    given = {name: SET if name in SECRET_SETTINGS else value for name, value in values.items() if value}
    plain = [name for name in SECRET_SETTINGS if values[name] and not is_config_secret(config.full_key(name))]
    return check(given, pulumi.get_stack(), [plain_text(name) for name in plain])


def secret_settings() -> dict[str, pulumi.Output[str]]:
    """The values of the secret settings that are set, with the engine's secret mark."""
    import pulumi

    config = pulumi.Config(NAMESPACE)
    values = {name: config.get_secret(name) for name in SECRET_SETTINGS if config.get(name)}
    return {name: value for name, value in values.items() if value is not None}


def check(values: Mapping[str, Any], stack: str, problems: Iterable[Problem]) -> Settings:
    """Settings from raw values (strings, lists, maps), or a SettingsError with the problems given and all new ones.

    What is wrong is left out and the rest goes through the planner, so that its problems are told in the same run.
    """
    found = list(problems)
    rest = {name: parse(name, value) for name, value in values.items() if not is_unset(name, value)}
    settings: Settings | None = None
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
            make_plan(settings, stack)
        except PlanError as error:
            told = {problem.setting.partition(".")[0] for problem in found}
            found += [problem for problem in error.problems if problem.setting.partition(".")[0] not in told]
    if found or settings is None:
        raise SettingsError(found)
    return settings


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
