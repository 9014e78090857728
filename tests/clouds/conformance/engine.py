"""One stack of ours on the real Pulumi command line, with simulated providers attached to it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from tests.clouds.conformance.program import CLOUD_CONFIG, SECRET_CONFIG, Config, read_config
from tools.engine.environment import WITHOUT_SIDECARS, run_environment

ROOT = Path(__file__).resolve().parents[3]
PROJECT = "name: webitel\nruntime: {name: python, options: {virtualenv: .venv}}\nstackConfigDir: config\n"
SECONDS = 300

SECRET_NAMES = [f"webitel:{name}" for name in SECRET_CONFIG]

REPLACING = ("replace", "create-replacement", "delete-replaced")

UNINTERRUPTED = {"PULUMI_SKIP_CHECKPOINTS": "true"}
"""Has the engine save its state once, at the end (`env.SkipCheckpoints` of its source), and not twice a resource: a third of its
time. Only for runs that nobody kills: those that fail end the same."""


@dataclass(frozen=True)
class Step:
    """What the engine did, or would do, with one resource."""

    op: str
    type: str
    name: str
    changed: tuple[str, ...]


class EngineError(Exception):
    """A run that failed; its text is what the user would read."""


class Kept(Protocol):
    """What a deployment can go on with: a state, and the stack file whose secrets are encrypted as in that."""

    @property
    def state_file(self) -> Path: ...

    @property
    def file(self) -> Path: ...


class Deployment:
    """A project of its own with one stack, a copy of a committed one with changed settings."""

    seconds = SECONDS
    """For one run of the engine."""

    def __init__(self, engine: Path, folder: Path, stack: str, attached: str, like: Kept | None = None) -> None:
        """`attached` is what PULUMI_DEBUG_PROVIDERS says; the state is that of `like`, else an empty one."""
        self.engine, self.folder, self.stack = engine, folder, stack
        make_project(folder)
        (folder / "__main__.py").write_text((ROOT / "__main__.py").read_text())
        self.environment = make_environment(folder) | {"PULUMI_DEBUG_PROVIDERS": attached}
        state, file = (like.state_file.read_text(), like.file.read_text()) if like else make_empty(engine)
        self.state_file.parent.mkdir(parents=True)
        self.state_file.write_text(state.replace(EMPTY, stack))
        self.file.write_text(file)
        self.configure({})

    @property
    def state_file(self) -> Path:
        """Where the backend keeps the stack's state."""
        return self.folder / f"state/.pulumi/stacks/webitel/{self.stack}.json"

    @property
    def file(self) -> Path:
        return self.folder / "config" / f"Pulumi.{self.stack}.yaml"

    def configure(self, changes: Config) -> None:
        """The settings of the committed stack with `changes`, from now on."""
        before = yaml.safe_load(self.file.read_text()) if self.file.exists() else {}
        encrypted = {name: value for name, value in before.get("config", {}).items() if name in SECRET_NAMES}
        settings = {f"webitel:{name}": value for name, value in read_config(self.stack, changes).items()}
        settings |= {f"{package}:{name}": value for package, own in CLOUD_CONFIG.items() for name, value in own.items()}
        self.file.write_text(yaml.safe_dump({**before, "config": {**settings, **encrypted}}))

    def run(self, *arguments: str) -> str:
        """Runs `pulumi` to its end and returns what it printed; raises EngineError where it failed."""
        process = subprocess.run(
            [str(self.engine), *arguments, "--stack", self.stack, "--non-interactive", "--color", "never"],
            cwd=self.folder,
            env=self.environment | UNINTERRUPTED,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.seconds,
            check=False,
            start_new_session=True,
        )
        if process.returncode:
            raise EngineError(process.stdout)
        return process.stdout

    def up(self, *arguments: str) -> list[Step]:
        """What `up` did."""
        return self._stepped("up", "--yes", "--skip-preview", *arguments)

    def preview(self, *arguments: str) -> list[Step]:
        """What `up` would do."""
        return self._stepped("preview", *arguments)

    def refresh(self) -> list[str]:
        """The names of the resources of which `refresh` found something else than the state said."""
        before = {one["urn"]: one for one in self.decrypted_state()}
        self.run("refresh", "--yes", "--skip-preview")
        after = {one["urn"]: one for one in self.decrypted_state()}

        def tell(state: dict[str, dict[str, Any]], urn: str) -> list[Any]:
            return [state.get(urn, {}).get(key) for key in ("id", "inputs", "outputs")]

        return [urn.rpartition("::")[2] for urn in before | after if tell(before, urn) != tell(after, urn)]

    def destroy(self, *arguments: str) -> list[Step]:
        """What `destroy` did."""
        return self._stepped("destroy", "--yes", "--skip-preview", *arguments)

    def _stepped(self, *arguments: str) -> list[Step]:
        events = self.folder / "events.json"
        events.unlink(missing_ok=True)
        self.shown = self.run(*arguments, "--event-log", str(events))
        lines = map(json.loads, events.read_text().splitlines())
        found = [line["resourcePreEvent"]["metadata"] for line in lines if "resourcePreEvent" in line]
        return [
            Step(one["op"], one["type"], one["urn"].rpartition("::")[2], tuple(one.get("diffs") or ()))
            for one in found
            if one["op"] not in ("same", "read", "refresh")
        ]

    def state(self) -> list[dict[str, Any]]:
        """The resources of the stack's state as the backend keeps it, secrets encrypted."""
        kept = json.loads(self.state_file.read_text())
        resources: list[dict[str, Any]] = kept["checkpoint"]["latest"].get("resources", [])
        return resources

    def known(self) -> dict[str, str]:
        """The ids of the state's resources by URN; the engine's own providers, which each run makes, left out."""
        return {one["urn"]: one.get("id", "") for one in self.state() if not one["type"].startswith("pulumi:providers:pulumi")}

    def decrypted_state(self) -> list[dict[str, Any]]:
        """Likewise with secrets in plain text: encrypted ones differ each time."""
        exported = json.loads(self.run("stack", "export", "--show-secrets"))
        resources: list[dict[str, Any]] = exported["deployment"].get("resources", [])
        return resources


def replaced(steps: list[Step]) -> list[str]:
    """The names of what was, or would be, replaced."""
    return [f"{step.type} {step.name}" for step in steps if step.op in REPLACING]


EMPTY = "stack-without-resources"


def make_project(folder: Path) -> None:
    """A Pulumi project without a program."""
    (folder / "config").mkdir(parents=True)
    (folder / "state").mkdir()
    (folder / "Pulumi.yaml").write_text(PROJECT)
    (folder / ".venv").symlink_to(sys.prefix)
    # A file in place of the folder: the engine goes on without the log for its makers, which takes a tenth of its time.
    (folder / "home").mkdir()
    (folder / "home" / "logs").touch()


def make_environment(folder: Path) -> dict[str, str]:
    """The variables of `pulumi` for a project with its state beside it."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    return run_environment(
        {
            **mine,
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": (folder / "state").as_uri() + WITHOUT_SIDECARS,
            "PULUMI_CONFIG_PASSPHRASE": "simulated",
            # It would look for the plugin of every provider in the state, attached or not, for seconds each run.
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DEBUG_COMMANDS": "1",  # for --event-log
            "PYTHONPATH": str(ROOT),
            "GRPC_VERBOSITY": "NONE",
            # It lives for seconds and has little to keep: a sixth of its time would go into looking for what may be given up.
            "GOGC": "off",
        }
    )


@functools.cache
def make_empty(engine: Path) -> tuple[str, str]:
    """The state of a stack without resources, and its file with the encrypted settings: made once, copied for each."""
    secrets = [word for name, value in SECRET_CONFIG.items() for word in ("--secret", f"webitel:{name}={value}")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        make_project(folder)
        for words in (("stack", "init", EMPTY), ("config", "set-all", "--stack", EMPTY, *secrets)):
            subprocess.run(
                [str(engine), *words, "--non-interactive"],
                cwd=folder,
                env=make_environment(folder),
                check=True,
                capture_output=True,
                timeout=SECONDS,
            )
        state = folder / f"state/.pulumi/stacks/webitel/{EMPTY}.json"
        return state.read_text(), (folder / f"config/Pulumi.{EMPTY}.yaml").read_text()
