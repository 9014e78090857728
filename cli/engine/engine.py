"""Running the Pulumi command line on one stack, in the checkout but with nothing written into it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cli.console import Failure, progress
from cli.engine.backend import ROOT, mend_sidecars, read_project
from stacks.problems import NAMESPACE
from stacks.settings import find_stack

RUN_VARIABLES = {
    # The salt stands in the state; a stack file without it is no reason to make a new one.
    "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    # The flag --event-log exists only with it.
    "PULUMI_DEBUG_COMMANDS": "true",
}
STACK_TYPE = "pulumi:pulumi:Stack"
EXPORT, LIST = ("stack", "export"), ("stack", "ls")
SECRET_MARK = "4dabf18193072939515e22adb298388d"
"""The key by which the engine marks a secret in the state."""


@dataclass(frozen=True)
class Engine:
    """One stack's command line. `folder` is this run's own, 0700, removed after it."""

    stack: str
    binary: Path
    environment: dict[str, str]
    folder: Path
    answers: dict[tuple[str, ...], str] = field(default_factory=dict, compare=False)
    """What the engine said to looks since the last command that may have changed something: each costs half a second."""

    @property
    def config_file(self) -> Path:
        """Return a copy of the stack file: the engine writes the passphrase's salt and `--config` values into it."""
        return self.folder / "stacks" / f"Pulumi.{self.stack}.yaml"

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command line, which may be about to change the state."""
        self.answers.pop(EXPORT, None)
        if arguments[:2] == ("stack", "rm"):
            self.answers.clear()
        return [str(self.binary), *arguments, "--non-interactive", "--color", "never", "--stack", self.stack]

    def run(self, *arguments: str, stdin: str = "", folder: Path | None = None) -> str:
        """Run a short command and return its standard output; a Failure shows what it said.

        In this run's folder, with its copies, unless another one is given: some commands write the passphrase's salt into
        the stack file they find.
        """
        done = subprocess.run(
            self.command(*arguments),
            cwd=folder or self.folder,
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
            input=stdin,
        )
        if done.returncode:
            raise Failure(f"pulumi {' '.join(arguments)} failed:\n{(done.stderr or done.stdout).strip()}")
        return done.stdout

    def project(self) -> str:
        """Return the project's name."""
        name: str = read_project()["name"]
        return name

    def setting(self, name: str) -> str:
        """Return a value of the stack's configuration by its full name, "" where it has none."""
        values = json.loads(self.run("config", "--json", "--show-secrets"))
        return str(values.get(name, {}).get("value", ""))

    def exists(self) -> bool:
        """Return whether the backend has this stack."""
        if LIST in self.answers:
            return True
        done = subprocess.run(
            [str(self.binary), *LIST, "--json", "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise Failure(f"the Pulumi backend cannot be read:\n{done.stderr.strip()}")
        found = any(row["name"].rpartition("/")[2] == self.stack for row in json.loads(done.stdout))
        if found:
            self.answers[LIST] = done.stdout
        return found

    def create(self) -> None:
        """Make the stack in the backend."""
        self.run("stack", "init", "--no-select")

    def export(self) -> dict[str, Any]:
        """Return the stack's state, secrets encrypted."""
        text = self.answers.get(EXPORT) or self.run(*EXPORT)
        self.answers[EXPORT] = text
        state: dict[str, Any] = json.loads(text)
        return state

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the state, the stack itself left out."""
        found = self.export()["deployment"].get("resources", [])
        return [resource for resource in found if resource["type"] != STACK_TYPE]

    def open_resources(self) -> list[dict[str, Any]]:
        """Return the resources of the state, the stack itself too, with secrets in the clear: they stay in this process."""
        state = json.loads(self.run(*EXPORT, "--show-secrets"))
        return [reveal(resource) for resource in state["deployment"].get("resources", [])]


def reveal(value: Any) -> Any:
    """Return a value of the decrypted state without the engine's wrapping of secrets."""
    if isinstance(value, dict):
        if "plaintext" in value and SECRET_MARK in value:
            return reveal(json.loads(value["plaintext"]))
        return {name: reveal(item) for name, item in value.items()}
    return [reveal(item) for item in value] if isinstance(value, list) else value


def list_secrets(value: Any) -> list[Any]:
    """Return the plain values of everything in a decrypted state that the engine marks as secret."""
    if isinstance(value, dict):
        if "plaintext" in value and SECRET_MARK in value:
            return [reveal(value)]
        return [secret for item in value.values() for secret in list_secrets(item)]
    return [secret for item in value for secret in list_secrets(item)] if isinstance(value, list) else []


@contextmanager
def open_engine(stack: str, find: Callable[[Callable[[str], None]], Path] | None = None) -> Iterator[Engine]:
    """Open the engine for a stack that has a file, else UnknownStackError; got or built where it is missing (minutes, once a
    machine)."""
    from tools.engine.environment import run_environment
    from tools.engine.find import find_engine

    file = find_stack(stack)
    binary = (find or find_engine)(progress)
    environment = run_environment() | RUN_VARIABLES
    with tempfile.TemporaryDirectory(prefix="webitel-") as folder:
        engine = Engine(stack, binary, environment, Path(folder))
        engine.config_file.parent.mkdir()
        shutil.copy(file, engine.config_file)
        shutil.copy(ROOT / "Pulumi.yaml", folder)
        mend_sidecars(environment)
        yield engine


def set_for_this_run(engine: Engine, name: str, value: str) -> None:
    """Give a setting another value in this run's copy of the stack file."""
    engine.run("config", "set", f"{NAMESPACE}:{name}", value)


def hand_over(engine: Engine, key: str, value: str) -> None:
    """Give a secret to this run's copy of the stack file, encrypted, and by no argument that others could read."""
    engine.run("config", "set", "--secret", key, stdin=value)


def asking_nodes(engine: Engine) -> Engine:
    """Return the engine with the leave to open SSH when it refreshes (`provider/drift.py`)."""
    return replace(engine, environment={**engine.environment, "WEBITEL_ASK_NODES": "yes"})


def require_existing(engine: Engine) -> None:
    """Raise a Failure where the deployment was never started."""
    if not engine.exists():
        raise Failure(f"{engine.stack} is not up yet. Next: ./webitel up {engine.stack}")
