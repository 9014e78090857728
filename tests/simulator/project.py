"""The real Pulumi command line on a small program, with the simulated clouds attached."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.simulator.simulators import Simulators
from tools.engine.environment import run_environment

ROOT = Path(__file__).resolve().parents[2]

_PROJECT = """\
name: simulated
runtime: {name: python, options: {virtualenv: .venv}}
"""


class Project:
    """A project in `folder/project` with one stack, `test`; its `__main__.py` is `program`."""

    def __init__(self, engine: Path, folder: Path, simulators: Simulators, program: str, config: Mapping[str, str]) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.events = folder / "events"
        self.running: list[subprocess.Popen[str]] = []
        self._engine = engine
        mine = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        own = {
            "HOME": str(folder),
            "PULUMI_HOME": str(folder / "pulumi"),
            "XDG_DATA_HOME": str(folder / "data"),
            "PULUMI_DEBUG_COMMANDS": "1",
            "PULUMI_DEBUG_PROVIDERS": simulators.attached,
        }
        self.environment = run_environment({**mine, **own})
        (self.folder / "Pulumi.yaml").write_text(_PROJECT)
        (self.folder / ".venv").symlink_to(sys.prefix)
        self.write(program)
        self.run("stack", "init", "test")
        for key, value in config.items():
            self.run("config", "set", key, value)

    def write(self, program: str) -> None:
        """Replaces the program."""
        (self.folder / "__main__.py").write_text(program)

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
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Runs `pulumi` to its end and returns what it printed."""
        process = self.start(*arguments)
        shown = process.communicate(timeout=180)[0]
        assert (process.returncode != 0) is fails, shown
        return shown

    def preview(self, *arguments: str) -> str:
        return self.run("preview", "--diff", *arguments)

    def up(self, *arguments: str, fails: bool = False) -> str:
        return self.run("up", "--yes", "--skip-preview", *arguments, fails=fails)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        outputs: dict[str, Any] = json.loads(self.run("stack", "output", "--json", "--show-secrets"))
        return outputs

    def kill_all(self) -> None:
        """Ends what a failed test left running."""
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.communicate()
