"""Reading the settings of a deployment as they are written: in a stack file, offline and without Pulumi, or by the running
program. `stacks/load.py` makes `Settings` and a plan of them.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from components.model.problems import Problem, setting_problem
from components.model.settings import Settings
from stacks.problems import NAMESPACE, SECRET_SETTINGS, SET, SettingsError, describe

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


def read_program() -> tuple[dict[str, Any], list[Problem]]:
    """The values under `webitel:` of the stack that the running program declares; secrets read as `SET`.

    The values of those come from `secret_settings`, marked.
    """
    import pulumi
    from pulumi.runtime.config import CONFIG, is_config_secret

    config = pulumi.Config(NAMESPACE)
    # The SDK tells single values only; a setting that does not exist shows in the whole configuration.
    others = {key.removeprefix(f"{NAMESPACE}:") for key in CONFIG.get() if key.startswith(f"{NAMESPACE}:")}
    values = {name: config.get(name) for name in (*Settings.model_fields, *sorted(others - set(Settings.model_fields)))}
    given = {name: SET if name in SECRET_SETTINGS else value for name, value in values.items() if value}
    plain = [name for name in SECRET_SETTINGS if values[name] and not is_config_secret(config.full_key(name))]
    return given, [plain_text(name) for name in plain]


def secret_settings() -> dict[str, pulumi.Output[str]]:
    """The values of the secret settings that are set, with the engine's secret mark."""
    import pulumi

    config = pulumi.Config(NAMESPACE)
    values = {name: config.get_secret(name) for name in SECRET_SETTINGS if config.get(name)}
    return {name: value for name, value in values.items() if value is not None}
