"""Reading the settings of a deployment as they are written: in a stack file, offline and without Pulumi, or by the running
program. `stacks/load.py` makes `Settings` and a plan of them.
"""

from __future__ import annotations

import json
import os
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.model.problems import Problem, set_secret, setting_problem
from components.model.settings import Settings
from stacks.document import read_config
from stacks.problems import NAMESPACE, SECRET_SETTINGS, SET, describe

if TYPE_CHECKING:
    import pulumi

RECOVERED_NAMESPACE, RECOVERED = "webitel-restore", "secrets"
"""Where `restore --from` hands over secrets to its run of the engine; no stack file has it."""
STACKS = Path(__file__).resolve().parent


class UnknownStackError(Exception):
    """No such stack file; the message lists the ones there are."""


def stack_file(stack: str) -> Path:
    """Return the path of a stack's file, whether it exists or not."""
    return STACKS / f"Pulumi.{stack}.yaml"


def find_stack(stack: str) -> Path:
    """Find the file of a stack that is there. Raises UnknownStackError."""
    path = stack_file(stack)
    if not os.path.lexists(path):  # for a name that is too long the file system's answer would be an error
        known = list_stacks()
        near = get_close_matches(stack, known, 1)
        raise UnknownStackError(
            f"no stack {stack}: {path.parent.name}/{path.name} does not exist\n"
            + (f"Did you mean {near[0]}? " if near else "")
            + f"The stacks are {', '.join(known) or 'none'}\n"
            f"Create it: ./webitel init {stack}"
        )
    return path


def list_stacks() -> tuple[str, ...]:
    """Return the names of all stacks that have a file, sorted."""
    return tuple(sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in STACKS.glob("Pulumi.*.yaml")))


def read_file(path: Path) -> tuple[dict[str, Any], list[Problem]]:
    """Read the values under `webitel:` of a stack file, every scalar as a string as Pulumi hands them to the program."""
    config, found = read_config(path)
    # What belongs to other programs is theirs to write; only what would end the engine's run concerns us.
    problems = [problem for problem in found if is_ours_to_read(problem.setting) or not problem.value]
    values: dict[str, Any] = {}
    for key, value in config.items():
        namespace, separator, name = key.partition(":")
        if not separator:
            problems.append(Problem(key, "", f"has no namespace: write {NAMESPACE}:{key}"))
        elif namespace == NAMESPACE and name.startswith("config:"):
            right = f"{NAMESPACE}:{name.removeprefix('config:')}"
            problems.append(Problem(key, "", f"remove it: {right} is there too" if right in config else f"write {right}"))
        elif namespace == NAMESPACE:
            values[name] = value
        elif name in Settings.model_fields and get_close_matches(namespace.lower(), [NAMESPACE], 1, 0.7):
            problems.append(Problem(key, "", f"nothing reads it; did you mean {NAMESPACE}:{name}?"))
    for name, value in list(values.items()):
        if name in SECRET_SETTINGS:
            if value and not is_encrypted(value):
                problems.append(plain_text(name))
            values[name] = SET if value else ""
        elif name in Settings.model_fields and contains_encrypted(value):
            del values[name]
            problems.append(setting_problem(name, "[encrypted]", f"must be readable without the passphrase; {describe(name)}"))
    return values, problems


def is_ours_to_read(setting: str) -> bool:
    """Return whether a key of a stack file is no other program's and no secret, whose text nobody must see."""
    namespace, separator, name = setting.partition(":")
    return not separator or (namespace == NAMESPACE and name.partition(".")[0] not in SECRET_SETTINGS)


def plain_text(name: str) -> Problem:
    """Say that a secret setting stands in the stack file as it is."""
    return setting_problem(name, SET, f"stands in plain text in the stack file; encrypt it: {set_secret(name)}")


def is_encrypted(value: Any) -> bool:
    """Return whether a value of a stack file is Pulumi's `secure: ...`."""
    return isinstance(value, dict) and set(value) == {"secure"}


def contains_encrypted(value: Any) -> bool:
    """Return whether an encrypted value stands anywhere in it."""
    if isinstance(value, dict):
        return is_encrypted(value) or any(contains_encrypted(item) for item in value.values())
    return isinstance(value, list) and any(contains_encrypted(item) for item in value)


def read_program() -> tuple[dict[str, Any], list[Problem]]:
    """Return the values under `webitel:` of the stack that the running program declares; secrets read as `SET`.

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


def recovered_secrets() -> pulumi.Output[dict[str, str]] | None:
    """Return the secrets of the deployment whose data is restored into this one, in the run that `restore --from` makes."""
    import pulumi

    given = pulumi.Config(RECOVERED_NAMESPACE).get_secret(RECOVERED)
    return given.apply(json.loads) if given is not None else None


def secret_settings() -> dict[str, pulumi.Output[str]]:
    """Return the values of the secret settings that are set, with the engine's secret mark."""
    import pulumi

    config = pulumi.Config(NAMESPACE)
    values = {name: config.get_secret(name) for name in SECRET_SETTINGS if config.get(name)}
    return {name: value for name, value in values.items() if value is not None}
