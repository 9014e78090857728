"""The real Pulumi command line on toy projects."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.engine.environment import run_environment
from tools.engine.find import find_engine

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent

_PROJECT = """\
name: toy
runtime: {name: python, options: {virtualenv: .venv}}
stackConfigDir: stacks
plugins: {providers: [{name: toy, path: provider}]}
"""
_PROVIDER = f"""\
#!/bin/sh
cd {ROOT} && PYTHONPATH={ROOT} GRPC_VERBOSITY=NONE exec {sys.executable} {HERE}/toy_provider.py "$@"
"""


class Toy:
    """A project with one stack, whose resources are the entries of `wanted.json`."""

    def __init__(self, engine: Path, folder: Path) -> None:
        self.folder = folder / "project"
        self.world = folder / "world"
        self.state = folder / "data/webitel/state"
        self.events = folder / "events"
        self._engine = engine
        self._started: list[subprocess.Popen[str]] = []
        own = {
            "PULUMI_DEBUG_COMMANDS": "1",
            "HOME": str(folder),
            "PULUMI_HOME": str(folder / "pulumi"),
            "XDG_DATA_HOME": str(folder / "data"),
        }
        mine = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        self.world.mkdir()
        self.environment = run_environment({**mine, **own, "TOY_WORLD": str(self.world)})
        for name, text in (("Pulumi.yaml", _PROJECT), ("provider/pulumi-resource-toy", _PROVIDER)):
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (self.folder / "provider/pulumi-resource-toy").chmod(0o755)
        (self.folder / "__main__.py").write_text((HERE / "toy_program.py").read_text())
        (self.folder / ".venv").symlink_to(sys.prefix)
        self.want({})
        self.run("stack", "init", "test")

    def want(self, resources: dict[str, dict[str, Any]]) -> None:
        (self.folder / "wanted.json").write_text(json.dumps(resources))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `pulumi`; what it prints goes into one stream."""
        process = subprocess.Popen(
            [str(self._engine), *arguments, "--non-interactive", "--color", "never"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # as from a terminal of its own: the test's signals reach the engine only
        )
        self._started.append(process)
        return process

    def kill_all(self) -> None:
        """Ends what a failed test left running; the provider goes with its engine."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Runs `pulumi` to its end and returns what it printed."""
        process = self.start(*arguments)
        shown = process.communicate(timeout=90)[0]
        assert (process.returncode != 0) is fails, shown
        return shown

    def up(self, *arguments: str, fails: bool = False) -> str:
        return self.run("up", "--yes", "--skip-preview", "--event-log", str(self.events), *arguments, fails=fails)

    def read_events(self, kind: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.events.read_text().splitlines())
        return [line[kind] for line in lines if kind in line]

    def read_state(self) -> str:
        return "".join(file.read_text() for file in self.state.rglob("test.json"))


@pytest.fixture(scope="session")
def engine() -> Path:
    return find_engine(print)


@pytest.fixture
def toy(engine: Path, tmp_path: Path) -> Iterator[Toy]:
    made = Toy(engine, tmp_path)
    yield made
    made.kill_all()
